/**
 * The file under the log: its pragmas and its mode, a second engine, what the schema refuses, and batches run twice.
 */

import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { planAppend } from "../../core/store/append.ts";
import { ConstraintBroken, type Value } from "../../core/store/database.ts";
import { createKysely } from "../../core/store/kysely.ts";
import { migrate, schemaVersion } from "../../core/store/migrations.ts";
import { openStore } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { openSqliteThread } from "../../core/store/sqlite_thread.ts";
import { type Store, StoreUnavailable } from "../../core/store/store.ts";
import { claimOne, newRequest, openWithQueue, settlement, states } from "./fixture.ts";
import { open, readOne, statement, testInFolder } from "./temporary_log.ts";

testInFolder("openSqlite: the pragmas that the promises rest on hold", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  await migrate(database);
  const expected = {
    journal_mode: "wal",
    synchronous: 2,
    foreign_keys: 1,
    busy_timeout: 2_000,
    mmap_size: 0,
    trusted_schema: 0,
    cell_size_check: 1,
    temp_store: 2,
    auto_vacuum: 2,
    wal_autocheckpoint: 1_000,
    journal_size_limit: 67_108_864,
    integrity_check: "ok",
  };
  for (const [name, value] of Object.entries(expected)) {
    assertEquals(await readOne(database, `PRAGMA ${name}`), value, name);
  }
  await database.close();
});

testInFolder("openSqlite: nobody else may read the file", async (folder) => {
  const store = await open(folder);
  for (const name of ["weir.db", "weir.db-wal", "weir.db-shm", "weir.db.lock"]) {
    assertEquals(((await Deno.stat(`${folder}/${name}`)).mode! & 0o777).toString(8), "600", name);
  }
  await store.close();
});

testInFolder("openSqlite: closing leaves one file and nothing in the WAL", async (folder) => {
  const store = await open(folder);
  await store.append(newRequest({ key: "k" }));
  await store.close();
  const left = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => !name.endsWith(".lock")).sort();
  assertEquals(left, ["weir.db"]);
});

testInFolder("openSqlite: a file that is no database is refused, and not touched", async (folder) => {
  await Deno.writeTextFile(`${folder}/weir.db`, "these are my notes, ".repeat(100));
  const error = await assertRejects(() => open(folder), StoreUnavailable);
  assertStringIncludes(error.message, "file is not a database");
  assertStringIncludes(await Deno.readTextFile(`${folder}/weir.db`), "these are my notes");
});

testInFolder("openSqlite: a database of another program is refused, and not touched", async (folder) => {
  const path = `${folder}/weir.db`;
  const foreign: Record<string, string> = {
    users: "CREATE TABLE users (id INTEGER PRIMARY KEY)",
    "meta, users": "CREATE TABLE users (id INTEGER); CREATE TABLE meta (key TEXT, value TEXT)",
    meta: "CREATE TABLE meta (version INTEGER)",
  };
  for (const [tables, sql] of Object.entries(foreign)) {
    const other = new DatabaseSync(path);
    other.exec(sql);
    other.close();
    const before = await Deno.readFile(path);
    const error = await assertRejects(() => open(folder), StoreUnavailable);
    assertStringIncludes(error.message, `it holds the tables of another program (${tables}); give storage.url a file`);
    assertEquals(await Deno.readFile(path), before);
    await Deno.remove(path);
  }
});

testInFolder("openSqlite: a log whose engine died before it had made its tables is one", async (folder) => {
  const begun = openSqlite(`${folder}/weir.db`);
  await migrate(begun, 0);
  await begun.close();
  const store = await open(folder);
  assertEquals(await states(store), []);
  await store.close();
});

testInFolder("openStore: a folder that is not there is named", async (folder) => {
  const error = await assertRejects(() => open(folder, "none/weir.db"), StoreUnavailable);
  assertStringIncludes(error.message, `${folder}/none/weir.db`);
});

testInFolder("openStore: a second engine on one log is refused, under another name too", async (folder) => {
  const store = await open(folder);
  await Deno.symlink(`${folder}/weir.db`, `${folder}/alias.db`);
  for (const file of ["weir.db", "alias.db"]) {
    const error = await assertRejects(() => open(folder, file), StoreUnavailable);
    assertStringIncludes(error.message, "is in use by another engine; stop it, or give this one its own storage.url");
  }
  await store.append(newRequest({})); // the first one has not noticed
  await store.close();
  await (await open(folder, "alias.db")).close();
});

testInFolder("openStore: a log of a newer program is refused and let go", async (folder) => {
  await (await open(folder)).close();
  const database = openSqlite(`${folder}/weir.db`);
  await database.write([statement("UPDATE meta SET value = ? WHERE key = 'schema'", String(schemaVersion + 1))]);
  await database.close();
  for (let i = 0; i < 2; i++) { // the second time shows that the lock was released
    await assertRejects(() => open(folder), StoreUnavailable, `schema is version ${schemaVersion + 1}`);
  }
});

testInFolder("openStore: a log of an older program is brought up to date with what is in it", async (folder) => {
  const old = openSqlite(`${folder}/weir.db`);
  await migrate(old, 1);
  const hash = "0".repeat(64);
  await old.write([
    statement("INSERT INTO requests (id, source, query, headers, raw) VALUES ('req_1', 'shop', '', '{}', x'00')"),
    statement(
      `INSERT INTO events (id, request_id, source, type, idem_key, sha256, received_at, config_hash)
      VALUES ('evt_1', 'req_1', 'shop', 't', 'k', ?, 1, 'c')`,
      hash,
    ),
    statement(
      `INSERT INTO idempotency (source, key, event_id, sha256, expires_at, seen, mismatches, last_at, guarded)
      VALUES ('shop', 'k', 'evt_1', ?, 500, 4, 1, 400, 0)`,
      hash,
    ),
  ]);
  await old.close();
  const store = await open(folder);
  const counts = async () => {
    const event = await store.event("evt_1");
    return [event?.duplicates, event?.mismatches, event?.lastDuplicateAt];
  };
  assertEquals(await counts(), [3, 1, 400]);
  await store.append(newRequest({ key: "k" })); // takes the expired key over
  assertEquals(await counts(), [3, 1, 400]);
  await store.close();
  const database = openSqlite(`${folder}/weir.db`);
  assertEquals(await readOne(database, "SELECT value FROM meta WHERE key = 'schema'"), String(schemaVersion));
  await database.close();
});

/** Of the schema at each version. Logs in the world hold it: a change is one version more, never another digest here. */
const schemaDigests: readonly string[] = [
  "c1a0a36959d90af7",
  "796eaeec5cfdc703",
  "8bd8735bc505450e",
  "17ee9d95a354b2a8",
  "f0cbba4827233afd",
];

testInFolder("migrate: no version of the schema is another than when it was made", async (folder) => {
  const found: string[] = [];
  for (let version = 1; version <= schemaVersion; version++) {
    const database = openSqlite(`${folder}/${version}.db`);
    await migrate(database, version);
    const sql = "SELECT group_concat(sql, ';' ORDER BY name) AS sql FROM sqlite_schema";
    found.push(createHash("sha256").update(String(await readOne(database, sql))).digest("hex").slice(0, 16));
    await database.close();
  }
  assertEquals(found, schemaDigests);
});

testInFolder(
  "openStore: what the last engine left running is ready at once, and the attempt says so (trap: a lock with no expiry)",
  async (folder) => {
    const opened = await openWithQueue({ open: () => open(folder), [Symbol.asyncDispose]: () => Promise.resolve() });
    await opened.store.append(
      newRequest([{ queues: [opened.queue], lane: "a" }, { queues: [opened.queue], lane: "a" }]),
    );
    const left = await claimOne(opened.store, opened.queue, 10_000);
    await opened.store.close();

    const store = await openStore({
      url: `file:${folder}/weir.db`,
      boot: "next",
      now: 50_000,
      idempotencyMs: () => 60_000,
    });
    assertEquals(store.recovered, 1);
    assertEquals(await states(store), ["ready", "blocked"]);
    assertEquals(await store.settle(settlement(left, "succeeded")), false);
    const detail = await store.delivery(left.id);
    assertEquals([detail?.dueAt, detail?.failures, detail?.executions], [50_000, 0, 1]);
    assertEquals(detail?.attempts, [{
      n: 1,
      startedAt: 10_000,
      finishedAt: 50_000,
      outcome: "interrupted",
      reason: "the engine that ran it is gone",
      output: undefined,
      codeHash: undefined,
    }]);
    const again = await claimOne(store, opened.queue, 50_000);
    assertEquals([again.id, again.executions], [left.id, 2]);
    assertEquals(await store.beat({ now: 50_000, monotonic: 0 }), 0);
    await store.close();
    const third = await open(folder);
    assertEquals(third.recovered, 1);
    await third.close();
  },
);

testInFolder("skip_older: the end of what runs below the mark of its lane leaves the mark", async (folder) => {
  const fixture = { open: () => open(folder), [Symbol.asyncDispose]: () => Promise.resolve() };
  const before = await openWithQueue(fixture);
  const append = (store: Store, version: number) =>
    store.append(newRequest({ queues: [before.queue], lane: "a", version }));
  await append(before.store, 1);
  await before.store.close();
  // As a program did that let a replay through whenever its lane was empty.
  const database = openSqlite(`${folder}/weir.db`);
  await database.write([
    statement("INSERT INTO marks (queue, lane, rule, version, at) VALUES (?, 'a', 1, 9, 1)", before.queue),
  ]);
  await database.close();
  const { store, queue } = await openWithQueue(fixture);
  await store.settle(settlement(await claimOne(store, queue), "succeeded"));
  await append(store, 8);
  assertEquals(await states(store), ["succeeded", "skipped"]);
  await store.close();
});

/** Half-made states, and the rule of the schema that each of them breaks. */
const refused: Record<string, string> = {
  "running without a token": "SET state = 'running' WHERE seq = 3",
  "a token without running": "SET token = 't', boot = 'b', claimed_at = 1 WHERE seq = 3",
  "a claim of nobody's": "SET state = 'running', token = 't', claimed_at = 1 WHERE seq = 3",
  "a claim of no time": "SET state = 'running', token = 't', boot = 'b' WHERE seq = 3",
  "finished without a time": "SET state = 'succeeded' WHERE seq = 3",
  "a time without being finished": "SET finished_at = 5 WHERE seq = 3",
  "blocked outside of a lane": "SET state = 'blocked' WHERE seq = 3",
  "two heads of one lane": "SET state = 'ready' WHERE seq = 2",
  "a second head that is parked": "SET state = 'parked', reason = 'r' WHERE seq = 2",
  "parked without a reason": "SET state = 'parked' WHERE seq = 3",
  "a state that is none": "SET state = 'lost' WHERE seq = 3",
  "more failures than executions": "SET failures = 1 WHERE seq = 3",
  "a lane without a name": "SET lane = '' WHERE seq = 3",
  "a delivery of no event": "SET event_seq = 99 WHERE seq = 3",
  "a delivery in no queue": "SET queue = 99 WHERE seq = 3",
  "a time that is text": "SET due_at = 'soon' WHERE seq = 3",
};

testInFolder("schema: a half-made state cannot be written", async (folder) => {
  const { store, queue } = await openWithQueue({
    open: () => open(folder),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  await store.append(newRequest([{ queues: [queue], lane: "a" }, { queues: [queue], lane: "a" }, { queues: [queue] }]));
  await store.close();
  const database = openSqlite(`${folder}/weir.db`);
  const before = await database.read(statement("SELECT * FROM deliveries"));
  for (const [name, change] of Object.entries(refused)) {
    await assertRejects(() => database.write([statement(`UPDATE deliveries ${change}`)]), ConstraintBroken, "", name);
  }
  assertEquals(await database.read(statement("SELECT * FROM deliveries")), before);
  await database.close();
});

testInFolder("planAppend: a batch whose reply was lost can be run again", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  await migrate(database);
  await database.write([statement("INSERT INTO queues (route, target) VALUES ('r', '')")]);
  const requests = [
    newRequest([{ key: "a", queues: [1], lane: "l" }, { key: "b", queues: [1], lane: "l" }]),
    newRequest([{ queues: [1] }]),
  ];
  const plan = planAppend(requests, { idempotencyMs: 60_000 });
  const tables = ["requests", "events", "deliveries", "idempotency"];
  const dump = (): Promise<unknown[]> =>
    Promise.all(tables.map(async (table) => (await database.read(statement(`SELECT * FROM ${table}`))).rows));
  const first = plan.read(await database.write(plan.statements));
  const rows = await dump();
  const second = plan.read(await database.write(plan.statements));
  assertEquals(second, first);
  assertEquals(await dump(), rows);
  await database.close();
});

testInFolder("planAppend: a batch run again resurrects nothing that has happened since", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  await migrate(database);
  await database.write([statement("INSERT INTO queues (route, target) VALUES ('r', '')")]);
  const plan = planAppend([newRequest([{ key: "a", queues: [1], lane: "l" }, { key: "b", queues: [1], lane: "l" }])], {
    idempotencyMs: 60_000,
  });
  await database.write(plan.statements);
  await database.write([statement("UPDATE deliveries SET state = 'cancelled', finished_at = 5 WHERE seq = 1")]);
  await database.write(plan.statements);
  const { rows } = await database.read(statement("SELECT state FROM deliveries ORDER BY seq"));
  assertEquals(rows.map(({ state }) => state), ["cancelled", "ready"]);
  await database.close();
});

testInFolder("planAppend: a request of which every event is a duplicate is not kept", async (folder) => {
  const store = await open(folder);
  const [first, mixed] = [newRequest({ key: "a" }), newRequest([{ key: "a" }, { key: "b" }])];
  for (const request of [first, newRequest({ key: "a" }), mixed, newRequest([{ key: "a" }, { key: "b" }])]) {
    await store.append(request);
  }
  await store.close();
  const database = openSqlite(`${folder}/weir.db`);
  const { rows } = await database.read(statement("SELECT id FROM requests ORDER BY id"));
  assertEquals(rows.map(({ id }) => id), [first.id, mixed.id]);
  await database.close();
});

testInFolder("createKysely: an interactive transaction is refused", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  const db = createKysely(database);
  await assertRejects(() => db.transaction().execute(() => Promise.resolve()), TypeError, "written in batches");
  await database.close();
});

testInFolder("openSqliteThread: what meets its end is refused, and nothing hangs", async (folder) => {
  const database = await openSqliteThread(`${folder}/a.db`);
  const select = { sql: "SELECT 1 AS one", parameters: [] };
  const closing = database.close();
  await assertRejects(() => database.read(select), StoreUnavailable, "closed");
  await closing;
  await database.close();
  await assertRejects(() => database.write([select]), StoreUnavailable, "closed");
});

testInFolder(
  "openSqliteThread: a value that cannot be sent is refused alone, and the others get their own answers",
  async (folder) => {
    const database = await openSqliteThread(`${folder}/a.db`);
    const odd = { sql: "SELECT ?", parameters: [(() => 1) as unknown as Value] };
    const select = (n: number) => ({ sql: "SELECT ? AS n", parameters: [n] });
    const results = await Promise.allSettled([
      database.read(select(1)),
      database.write([odd]),
      database.read(select(2)),
    ]);
    assertEquals(results.map((each) => each.status === "fulfilled" ? each.value : each.reason.name), [
      { rows: [{ n: 1 }], changes: 1 },
      "ConstraintBroken",
      { rows: [{ n: 2 }], changes: 1 },
    ]);
    await database.close();
  },
);

testInFolder(
  "openStore: appends that meet its end are refused, and it ends under a steady stream of them",
  async (folder) => {
    const store = await openStore({ url: `file:${folder}/weir.db`, boot: "b", now: 1, idempotencyMs: () => 1_000 });
    let closed = false;
    const results: Promise<unknown>[] = [];
    const stream = (async () => {
      while (!closed) {
        results.push(store.append(newRequest({})).then(() => "appended", (error) => error.name));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await results[0];
    await store.close();
    closed = true;
    await stream;
    const outcomes = new Set(await Promise.all(results));
    assertEquals([...outcomes].filter((each) => each !== "appended" && each !== "StoreUnavailable"), []);
  },
);
