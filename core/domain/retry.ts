/**
 * When a failed delivery is tried again. Pure: the caller brings the random number.
 */

/** How often and how far apart. */
export interface RetryPolicy {
  /** Most counted attempts, the first included. */
  readonly attempts: number;
  /** Delays after the first, second, ... failure; the last one repeats. */
  readonly scheduleMs: readonly number[];
  /** Share of the delay that may be added by chance: 0.1 adds up to a tenth. */
  readonly jitter: number;
}

/** The default: ten attempts over about 23 hours. */
export const defaultRetry: RetryPolicy = {
  attempts: 10,
  scheduleMs: [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000],
  jitter: 0.1,
};

/** A target or handler cannot push a retry further away than this. */
export const retryAfterMsMax = 86_400_000;

/**
 * The delay before the next attempt. Jitter only ever adds, and a Retry-After only ever lengthens.
 *
 * @param policy the route's
 * @param failed.failures counted failures so far, this one included (at least 1)
 * @param failed.random in [0, 1)
 * @param failed.retryAfterMs what the receiver asked for
 * @returns milliseconds
 */
export function retryDelay(
  policy: RetryPolicy,
  failed: { failures: number; random: number; retryAfterMs?: number },
): number {
  const step = Math.min(failed.failures, policy.scheduleMs.length) - 1;
  const scheduled = policy.scheduleMs[Math.max(0, step)] ?? 0;
  const jittered = scheduled * (1 + policy.jitter * failed.random);
  return Math.round(Math.max(jittered, Math.min(failed.retryAfterMs ?? 0, retryAfterMsMax)));
}

/**
 * Expands exponential backoff into a schedule, so that there is one kind of policy.
 *
 * @returns one delay per retry, the last one being the first that reaches `maxMs`
 */
export function exponentialSchedule(
  backoff: { baseMs: number; factor: number; maxMs: number; attempts: number },
): number[] {
  const schedule: number[] = [];
  for (let delay = backoff.baseMs; schedule.length < Math.max(1, backoff.attempts - 1); delay *= backoff.factor) {
    schedule.push(Math.round(Math.min(delay, backoff.maxMs)));
    if (delay >= backoff.maxMs) break;
  }
  return schedule;
}

/** The two forms of an HTTP date that name their zone: the current one, and the one of RFC 850. */
const zonedDate = /^(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4}|[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d) [\d:]{8} GMT$/;

/** The form of C's asctime, which is meant in GMT and does not say so. */
const asctimeDate = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}$/;

/**
 * Reads a Retry-After header: seconds, or one of the three forms of an HTTP date (RFC 9110, 10.2.3 and 5.6.7).
 *
 * @returns milliseconds from now, or undefined when the header says nothing usable
 */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, Number.MAX_SAFE_INTEGER);
  const date = zonedDate.test(text) ? text : asctimeDate.test(text) ? `${text} GMT` : "";
  const at = Date.parse(date);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
