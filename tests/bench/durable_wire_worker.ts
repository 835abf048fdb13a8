/** The thread of durable_wire.ts: each message is a list of texts, one row each, in one transaction. */

import { DatabaseSync, type StatementSync } from "node:sqlite";

const scope = globalThis as unknown as {
  name: string;
  onmessage: (event: MessageEvent<string[]>) => void;
  postMessage(done: true): void;
};

const rowsMax = 64;
const db = new DatabaseSync(`${scope.name}/durable_wire.db`);
db.exec(
  "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body TEXT)",
);
const inserts = new Map<number, StatementSync>();

function insertOf(count: number): StatementSync {
  let insert = inserts.get(count);
  if (insert === undefined) {
    insert = db.prepare(`INSERT INTO bodies (body) VALUES ${Array(count).fill("(?)").join(", ")}`);
    inserts.set(count, insert);
  }
  return insert;
}

scope.onmessage = ({ data }) => {
  db.exec("BEGIN IMMEDIATE");
  for (let at = 0; at < data.length; at += rowsMax) {
    const rows = data.slice(at, at + rowsMax);
    insertOf(rows.length).run(...rows);
  }
  db.exec("COMMIT");
  scope.postMessage(true);
};
