/**
 * Chance that can be had again: the same seed gives the same numbers in the same order.
 */

/** A source of numbers. */
export interface SeededRandom {
  /** In [0, 1). */
  next(): number;
  /** A whole number from 0 up to, and not including, `limit`. */
  below(limit: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
}

/** Makes a source (mulberry32: one word of state, good enough for schedules). */
export function createRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return { next, below: (limit) => Math.floor(next() * limit), chance: (probability) => next() < probability };
}
