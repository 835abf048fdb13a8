/**
 * The version of this program, as `weir --version` and the admin API say it, and how versions of others compare.
 */

/** Semantic version; a test holds it against deno.json. */
export const version = "0.1.0";

/** Whether a version of three numbers, such as `3.51.3`, is older than another. What is missing counts as 0. */
export function isOlder(text: string, than: string): boolean {
  const [a, b] = [text, than].map((each) => each.split(".").map(Number));
  for (let at = 0; at < 3; at++) if (a![at] !== b![at]) return (a![at] ?? 0) < (b![at] ?? 0);
  return false;
}
