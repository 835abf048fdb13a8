/**
 * How Deno is run where it loads a peer's packages.
 */

/**
 * `--no-lock`: deno.lock lists what Weir needs, and what it lists is downloaded by every machine that tests it; the
 * packages of a comparison do not belong there. What a lock file would fix is fixed by a date instead: of every package
 * that the pinned ones need in turn, the newest version of that day is taken.
 */
export const packageFlags: readonly string[] = ["--no-lock", "--minimum-dependency-age=2026-11-01"];
