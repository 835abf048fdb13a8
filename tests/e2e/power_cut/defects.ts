/**
 * Defects that are planted below the log, so that the rig can show that it would see them.
 */

import { DatabaseSync } from "node:sqlite";
import type { Database, Result, Statement, Value } from "../../../core/store/database.ts";

/**
 * - `NORMAL`: commits are not synced.
 * - `torn append`: a request and its events are committed before their deliveries.
 * - `forgotten keys`: an idempotency key now and then is gone before its event is acknowledged.
 * - `other bytes`: a body now and then has one bit that its sender did not send.
 */
export const defects = ["NORMAL", "torn append", "forgotten keys", "other bytes"] as const;

export type Defect = (typeof defects)[number];

/** One in so many of what can go wrong does. */
const every = 20;

/** Opens the database as it would be with a defect. */
export function plant(defect: Defect, open: () => Database): Database {
  if (defect === "NORMAL") forgetSync();
  const database = open();
  if (defect === "NORMAL") return database;
  const write = { "torn append": writeTorn, "forgotten keys": writeForgetting, "other bytes": writeOther };
  return {
    read: (statement) => database.read(statement),
    write: (batch) => write[defect](database, batch),
    close: () => database.close(),
  };
}

/** Behind the engine's back, on this thread: the pragmas have been read back by now. */
function forgetSync(): void {
  const { prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function (sql, ...rest) {
    if (sql.startsWith("BEGIN")) this.exec("PRAGMA synchronous = NORMAL");
    return prepare.call(this, sql, ...rest);
  };
}

async function writeTorn(database: Database, batch: readonly Statement[]): Promise<Result[]> {
  const at = batch.findIndex(({ sql }) => sql.startsWith("INSERT INTO deliveries"));
  if (at === -1) return await database.write(batch);
  return [...await database.write(batch.slice(0, at)), ...await database.write(batch.slice(at))];
}

let keys = 0;

async function writeForgetting(database: Database, batch: readonly Statement[]): Promise<Result[]> {
  const forgets = batch.some(({ sql }) => sql.startsWith("INSERT INTO idempotency")) && ++keys % every === 0;
  const forget = { sql: "DELETE FROM idempotency WHERE event_id = (SELECT max(id) FROM events)", parameters: [] };
  return (await database.write(forgets ? [...batch, forget] : batch)).slice(0, batch.length);
}

let bodies = 0;

function writeOther(database: Database, batch: readonly Statement[]): Promise<Result[]> {
  const alter = (value: Value): Value => {
    if (!(value instanceof Uint8Array) || value.length === 0 || ++bodies % every !== 0) return value;
    return value.with(value.length >> 1, value[value.length >> 1]! ^ 1);
  };
  return database.write(batch.map(({ sql, parameters }) => ({ sql, parameters: parameters.map(alter) })));
}
