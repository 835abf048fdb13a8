/**
 * A clock that stands still until a test moves it. Timers fire in order of their time while it moves.
 */

import type { Clock } from "weir";

/** A clock in the hands of a test. */
export interface FakeClock extends Clock {
  /** Moves both times forward and fires what falls due. */
  advance(ms: number): void;
  /** Moves wall time alone, in either direction: somebody set the clock. */
  jump(ms: number): void;
  /** Timers that wait. */
  readonly waiting: number;
  /** Whether a timer fires in so many milliseconds, to the millisecond. */
  isDueIn(ms: number): boolean;
}

/** Makes a clock that begins at `startAt` (epoch milliseconds). */
export function createFakeClock(startAt = 1_750_000_000_000): FakeClock {
  let wall = startAt;
  let elapsed = 0;
  const timers = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => wall,
    monotonic: () => elapsed,
    timer(delayMs, wake) {
      const timer = { at: elapsed + Math.max(0, delayMs), wake };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      const until = elapsed + ms;
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        wall += due.at - elapsed;
        elapsed = due.at;
        timers.delete(due);
        due.wake();
      }
      wall += until - elapsed;
      elapsed = until;
    },
    jump: (ms) => void (wall += ms),
    isDueIn: (ms) => [...timers].some(({ at }) => at === elapsed + ms),
    get waiting() {
      return timers.size;
    },
  };
}
