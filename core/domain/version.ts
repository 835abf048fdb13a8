/**
 * The version of this program, as `weir --version` and the admin API say it. A test holds it against deno.json.
 */

/** Semantic version. */
export const version = "0.1.0";
