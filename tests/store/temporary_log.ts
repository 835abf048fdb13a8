/**
 * A folder with a log in it for one test, and the least that is needed to look into the file beneath the Store.
 */

import type { Database, Statement } from "../../core/store/database.ts";
import { openStore } from "../../core/store/open.ts";
import type { Store } from "../../core/store/store.ts";

/** Runs a test in a folder of its own. */
export function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "weir-sqlite-" });
    try {
      await test(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Opens the log of a folder as an engine does. */
export function open(folder: string, file = "weir.db"): Promise<Store> {
  return openStore({
    url: `file:${folder}/${file}`,
    boot: crypto.randomUUID(),
    now: 1_000,
    idempotencyMs: () => 60_000,
  });
}

/** SQL with its values. */
export function statement(sql: string, ...parameters: Statement["parameters"]): Statement {
  return { sql, parameters };
}

/** The one value that a query gives. */
export async function readOne(database: Database, sql: string): Promise<unknown> {
  return Object.values((await database.read(statement(sql))).rows[0]!)[0];
}

/** The same database, closed when it goes out of scope. */
export function disposable(database: Database): Database & AsyncDisposable {
  return {
    read: (statement) => database.read(statement),
    write: (batch) => database.write(batch),
    close: () => database.close(),
    [Symbol.asyncDispose]: () => database.close(),
  };
}
