/**
 * The machine's own clock and entropy, for whoever is not handed others. The only place in the engine that asks for them.
 */

import { type IdPrefix, makeId } from "../domain/id.ts";
import type { Clock } from "../domain/clock.ts";

/** Longest delay that a timer takes; beyond it the platform fires at once. */
const timerMsMax = 2_147_483_647;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(delayMs, wake) {
    const timer = setTimeout(wake, Math.max(0, Math.min(delayMs, timerMsMax)));
    return () => clearTimeout(timer);
  },
};

/** Makes identifiers; `IdMaker("evt")`. */
export type IdMaker = (prefix: IdPrefix) => string;

/** An id maker on a clock and the machine's entropy. */
export function createIdMaker(clock: Clock): IdMaker {
  const pool = new Uint8Array(1_280);
  let at = pool.length;
  return (prefix) => {
    if (at === pool.length) {
      crypto.getRandomValues(pool);
      at = 0;
    }
    return makeId(prefix, { now: clock.now(), entropy: pool.subarray(at, at += 10) });
  };
}
