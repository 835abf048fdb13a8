/**
 * Stands where `core/store/libsql.ts` does, in an engine that is to die at a commit.
 */

import type { Database } from "../../../core/store/database.ts";
import { openLibsql as open } from "../../../core/store/libsql.ts";
import { dieAtCommits } from "./death.ts";

export * from "../../../core/store/libsql.ts";

/** Joins the server as the original does. */
export function openLibsql(...how: Parameters<typeof open>): Database {
  return dieAtCommits(open(...how));
}
