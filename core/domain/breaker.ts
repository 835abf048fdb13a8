/**
 * When a queue is left alone. After so many failures in a row it opens: deliveries wait without burning attempts. When
 * its time is over, one probe at a time may pass; a success closes it, a failure opens it again for longer.
 *
 * The counter lives in the log, so that it holds across restarts and engines: `core/store/flow.ts` counts and asks there.
 */

import { clockSkewMsMax } from "./clock.ts";

/** When a breaker opens, and for how long. */
export interface BreakerPolicy {
  /** Failures in a row. */
  readonly failures: number;
  /** How long it stays open the first time; each further failure doubles it. */
  readonly openMs: number;
  readonly openMsMax: number;
}

/** What a queue has been through. */
export interface BreakerState {
  /** Failures in a row. */
  readonly failures: number;
  /** Until when it is open; meaningless below the policy's number of failures. */
  readonly openUntil?: number;
}

/** The breaker of a target that does not say otherwise. */
export const defaultBreaker: BreakerPolicy = { failures: 10, openMs: 30_000, openMsMax: 600_000 };

/** Whether deliveries pass freely, not at all, or one at a time as probes. */
export type BreakerPhase = "closed" | "open" | "half-open";

/** Tells what a queue's breaker lets through. */
export function breakerPhase(state: BreakerState, policy: BreakerPolicy, now: number): BreakerPhase {
  if (state.failures < policy.failures) return "closed";
  const { openUntil = 0 } = state;
  // Further ahead than the longest opening: it was written before the clock was set back.
  return now < openUntil && openUntil <= now + policy.openMsMax + clockSkewMsMax ? "open" : "half-open";
}
