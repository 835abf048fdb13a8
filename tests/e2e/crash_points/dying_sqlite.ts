/**
 * Stands where `core/store/sqlite.ts` does, in an engine that is to die at a commit.
 */

import type { Database } from "../../../core/store/database.ts";
import { openSqlite as open } from "../../../core/store/sqlite.ts";
import { dieAtCommits } from "./death.ts";

export * from "../../../core/store/sqlite.ts";

/** Opens the file as the original does. */
export function openSqlite(...how: Parameters<typeof open>): Database {
  return dieAtCommits(open(...how));
}
