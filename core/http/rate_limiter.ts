/**
 * A token bucket: so many at once, refilled evenly. It counts on monotonic time, so that a jump of the wall clock
 * neither floods nor starves anyone.
 */

import type { Clock } from "../domain/clock.ts";
import type { Rate } from "../domain/duration.ts";

/** One bucket, full when made. */
export interface TokenBucket {
  /** Milliseconds until a token can be had; 0 when one is there. */
  waitMs(): number;
  /** Takes a token. False, and nothing taken, when there is none. */
  take(): boolean;
}

/**
 * Makes a bucket that holds `rate.count` tokens and refills in `rate.perMs`.
 *
 * @throws RangeError when the rate is not above zero
 */
export function createTokenBucket(rate: Rate, clock: Clock): TokenBucket {
  if (!(rate.count > 0 && rate.perMs > 0)) {
    throw new RangeError(`a rate must be above zero, got ${rate.count} per ${rate.perMs} ms`);
  }
  const perMs = rate.count / rate.perMs;
  let tokens = rate.count;
  let filledAt = clock.monotonic();

  function refill(): void {
    const now = clock.monotonic();
    tokens = Math.min(rate.count, tokens + (now - filledAt) * perMs);
    filledAt = now;
  }
  return {
    waitMs() {
      refill();
      return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / perMs);
    },
    take() {
      refill();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
