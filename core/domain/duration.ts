/**
 * The three quantities people write in routes.yaml: durations (`90s`), sizes (`1MiB`) and rates (`100/s`).
 * Each parser returns undefined for what it does not understand; the caller knows where the text stood.
 */

const unitMs: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const unitBytes: Record<string, number> = {
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
};

/** How many events in how long. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/**
 * Reads a duration such as `250ms`, `30s`, `1h30m` or `7d`.
 *
 * @param text one or more `<number><unit>` pairs; units are ms, s, m, h, d
 * @returns milliseconds, or undefined when the text is not a duration
 */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * unitMs[unit!]!;
  }
  return Number.isSafeInteger(Math.round(totalMs)) ? Math.round(totalMs) : undefined;
}

/**
 * Reads a size such as `512KiB` or `1MiB`.
 *
 * @returns bytes, or undefined when the text is not a size
 */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = text.match(/^(\d+(?:\.\d+)?)(B|KB|MB|KiB|MiB)$/) ?? [];
  if (amount === undefined) return undefined;
  const bytes = Math.round(Number(amount) * unitBytes[unit!]!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * Reads a rate such as `100/s`, `30/m` or `10000/h`.
 *
 * @returns the rate, or undefined when the text is not one (zero is not a rate)
 */
export function parseRate(text: string): Rate | undefined {
  const [, count, unit] = text.match(/^(\d+)\/(s|m|h|d)$/) ?? [];
  if (count === undefined || Number(count) === 0 || !Number.isSafeInteger(Number(count))) return undefined;
  return { count: Number(count), perMs: unitMs[unit!]! };
}

/**
 * Writes milliseconds the way people write them: `250ms`, `1.5s`, `45s`, `1h30m`. Below ten seconds nothing is lost,
 * because that is where limits are; above, it is to the nearest second.
 */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1_000) return `${whole}ms`;
  if (whole < 10_000) return `${whole / 1_000}s`;
  let rest = Math.round(whole / 1_000) * 1_000;
  let text = "";
  for (const unit of ["d", "h", "m", "s"]) {
    const amount = Math.floor(rest / unitMs[unit]!);
    rest -= amount * unitMs[unit]!;
    if (amount > 0) text += `${amount}${unit}`;
  }
  return text;
}

/**
 * Reads a point in time as people write it: how long ago (`2h`, `7d`), a date or a time with its
 * zone in ISO 8601, or epoch milliseconds.
 *
 * @returns epoch milliseconds, or undefined when the text is none of these
 */
export function parseMoment(text: string, now: number): number | undefined {
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return now - agoMs;
  if (/^\d{10,15}$/.test(text)) return Number(text);
  if (!/^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
