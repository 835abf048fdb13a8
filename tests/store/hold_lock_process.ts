/**
 * A program beside the engine that holds the write lock of its log until its standard input closes: a shell left open,
 * a backup that takes its time.
 */

import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(Deno.args[0]!);
database.exec("PRAGMA busy_timeout = 10000"); // the engine may be writing just now
database.exec("BEGIN IMMEDIATE");
console.log("held");
await Deno.stdin.read(new Uint8Array(1));
database.exec("ROLLBACK");
database.close();
