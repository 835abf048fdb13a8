/**
 * What repeated measurements on a noisy machine say together: the middle, and how sure one may be of it.
 */

/** A middle with the interval that holds it nine times in ten. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

const resamples = 2_000;

/**
 * The median and its 90 % bootstrap interval. Samples are drawn by a fixed sequence, so that the same measurements
 * always give the same interval.
 *
 * @throws RangeError when there is nothing to summarise
 */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError("cannot summarise no measurements at all");
  const random = sequence(values.length);
  const medians = Array.from(
    { length: resamples },
    () => quantile(values.map(() => values[Math.floor(random() * values.length)]!), 0.5),
  );
  return {
    median: quantile(values, 0.5),
    low: quantile(medians, 0.05),
    high: quantile(medians, 0.95),
    count: values.length,
  };
}

/** The value below which a share of the values lies, between neighbours by proportion. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

/** Numerical Recipes' linear congruence: good enough to draw samples. */
function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
