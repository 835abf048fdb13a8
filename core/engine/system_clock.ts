/**
 * The machine's own clock and entropy, for whoever is not handed others. The only place in the engine that asks for them.
 *
 * Limits of bodies and attempts are timers that are set for every event and nearly always cancelled. Timers of one delay
 * fall due in the order in which they were set, so one timer of the platform serves all of them.
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
    const ms = Math.max(1, Math.min(delayMs, timerMsMax));
    let queue = timerQueues.get(ms);
    if (queue === undefined) timerQueues.set(ms, queue = new TimerQueue(ms));
    return queue.add(wake);
  },
};

/** By delay; a queue is here while something waits in it. */
const timerQueues = new Map<number, TimerQueue>();

/** Timers of one delay, the next to fall due first. */
class TimerQueue {
  readonly #delayMs: number;
  readonly #waiting = new Set<{ readonly dueAt: number; readonly wake: () => void }>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  add(wake: () => void): () => void {
    const timer = { dueAt: performance.now() + this.#delayMs, wake };
    this.#waiting.add(timer);
    this.#timer ??= setTimeout(this.#fire, this.#delayMs);
    return () => {
      if (this.#waiting.delete(timer) && this.#waiting.size === 0) this.#drop();
    };
  }

  readonly #fire = (): void => {
    const now = performance.now();
    for (const timer of this.#waiting) {
      if (timer.dueAt > now) {
        this.#timer = setTimeout(this.#fire, Math.ceil(timer.dueAt - now));
        return;
      }
      this.#waiting.delete(timer);
      try {
        timer.wake();
      } catch (error) {
        reportError(error); // as if it had a timer of its own: the others are still woken
      }
    }
    this.#drop();
  };

  #drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (timerQueues.get(this.#delayMs) === this) timerQueues.delete(this.#delayMs);
  }
}

/** Makes identifiers; `IdMaker("evt")`. */
export type IdMaker = (prefix: IdPrefix) => string;

/** An id maker on a clock and the machine's entropy. */
export function createIdMaker(clock: Clock): IdMaker {
  const pool = new Uint8Array(1_280);
  const portions = Array.from({ length: 128 }, (_, n) => pool.subarray(10 * n, 10 * (n + 1)));
  let next = portions.length;
  return (prefix) => {
    if (next === portions.length) {
      crypto.getRandomValues(pool);
      next = 0;
    }
    return makeId(prefix, { now: clock.now(), entropy: portions[next++]! });
  };
}
