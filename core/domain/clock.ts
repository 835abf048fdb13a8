/**
 * Time and chance as values that are handed in. Nothing below `engine/` asks the machine for either, so a test or a
 * simulation can own both.
 */

/** Wall time for schedules and display, monotonic time for measuring inside one process. */
export interface Clock {
  /** Epoch milliseconds. May jump in both directions. */
  now(): number;
  /** Milliseconds that only ever grow; meaningless outside this process. */
  monotonic(): number;
  /** Calls `wake` once after `delayMs`; the returned function cancels it. */
  timer(delayMs: number, wake: () => void): () => void;
}

/**
 * How far the clocks of engines on one log may differ. A time that is further ahead than that and what it stands for was
 * written before the clock was set back, and holds nothing up any more.
 */
export const clockSkewMsMax = 60_000;

/** A number in [0, 1), like `Math.random`. */
export type Random = () => number;
