/**
 * How SQLite runs the statements. The hot ones use the index that was made for them, and none of them walks a table
 * that grows: neither in an empty log nor in one with 100,000 rows that nobody has analysed.
 */

import { assert, assertEquals } from "@std/assert";
import { planAppend } from "../../core/store/append.ts";
import { planClaim, planCountDue } from "../../core/store/claims.ts";
import type { Database, Statement } from "../../core/store/database.ts";
import { createKysely } from "../../core/store/kysely.ts";
import {
  planBegin,
  planEnd,
  planReclaim,
  planRedeliver,
  planReplay,
  planResume,
  planSettle,
} from "../../core/store/deliveries.ts";
import {
  countDeliveries,
  listDeliveries,
  listEvents,
  listQueues,
  readDelivery,
  readEvent,
} from "../../core/store/listings.ts";
import { migrate } from "../../core/store/migrations.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { newRequest, settlement } from "./fixture.ts";

/** Rows of the large log. */
const rowsMany = 100_000;

const credits = [{ queue: 1, limit: 10 }, { queue: 2, limit: 10 }];
const claim = { token: "t", boot: "b", now: 5_000 };
const request = newRequest([1, 2, 3].map(() => ({ key: "k", queues: [1, 2], lane: "l" })));
const claimed = { seq: 1, token: "t", queue: 1, lane: "l", executions: 1, failures: 0, deaths: 0 };
const death = { failures: 1, deaths: 1, delayMs: 9_000 };
const ends = [settlement(claimed as Parameters<typeof settlement>[0], "succeeded")];
const versioned = settlement({ ...claimed, version: 1 } as Parameters<typeof settlement>[0], "succeeded");
const breaker = { failures: 3, openMs: 1, openMsMax: 2 };
const limited = { queue: 1, limit: 10, concurrency: 5, rateLimit: { count: 1, perMs: 1_000 }, breaker };
const followers =
  "d USING COVERING INDEX deliveries_version (queue=? AND lane=? AND version_rule=? AND version>? AND version<?)";

/** Statement lists of every write, and the indexes that each must be seen to use. */
const writes: readonly [name: string, statements: readonly Statement[], indexes: readonly string[]][] = [
  ["append", planAppend([request], { idempotencyMs: 1 }).statements, [
    "i USING PRIMARY KEY (source=? AND key=?)",
    "e USING COVERING INDEX sqlite_autoindex_events_1 (id=?)",
    "d USING COVERING INDEX deliveries_lane (queue=? AND lane=?)",
  ]],
  ["claim", planClaim(credits, claim).statements, [
    "deliveries USING COVERING INDEX deliveries_ready (queue=? AND due_at<?)",
    "d USING INDEX deliveries_running (queue=? AND token=?)",
    "d USING COVERING INDEX deliveries_ready (queue=? AND due_at>?)",
    "r USING INDEX sqlite_autoindex_requests_1 (id=?)",
  ]],
  ["settle", planSettle(ends).statements, [
    "deliveries USING INTEGER PRIMARY KEY (rowid=?)",
    "d USING COVERING INDEX deliveries_lane (queue=? AND lane=?)",
  ]],
  [
    "append to a source that refuses replays",
    planAppend([{ ...request, replays: "refuse" }], { idempotencyMs: 1 })
      .statements,
    ["i USING INDEX idempotency_content (source=? AND sha256=?)"],
  ],
  [
    "append with skip_older",
    planAppend([newRequest({ queues: [1], lane: "l", version: 1 })], { idempotencyMs: 1 })
      .statements,
    ["m USING PRIMARY KEY (queue=? AND lane=?)", followers],
  ],
  ["claim within limits", planClaim([limited], claim).statements, [
    "queues USING INTEGER PRIMARY KEY (rowid=?)",
    "deliveries USING COVERING INDEX deliveries_running (queue=?)",
    "deliveries USING COVERING INDEX deliveries_ready (queue=? AND due_at<?)",
  ]],
  ["claim a suspect", planClaim([{ ...limited, suspects: "only" }], claim).statements, [
    "deliveries USING INDEX deliveries_suspect (queue=? AND due_at<?)",
  ]],
  ["count what is due", planCountDue([limited], 5_000).statements, [
    "queues USING INTEGER PRIMARY KEY (rowid=?)",
    "deliveries USING COVERING INDEX deliveries_ready (queue=? AND due_at<?)",
  ]],
  ["settle with skip_older and a breaker", planSettle([{ ...versioned, breaker }]).statements, [
    "queues USING INTEGER PRIMARY KEY (rowid=?)",
    followers,
  ]],
  ["begin", planBegin(claimed, death).statements, [
    "deliveries USING INTEGER PRIMARY KEY (rowid=?)",
  ]],
  ["resume", planResume("x", { now: 1 }).statements, ["deliveries USING INDEX sqlite_autoindex_deliveries_1 (id=?)"]],
  ["replay", planReplay("e", [{ id: "y", queue: 1, lane: "l" }], { now: 1 }).statements, [
    "e USING COVERING INDEX sqlite_autoindex_events_1 (id=?)",
    "d USING COVERING INDEX deliveries_lane (queue=? AND lane=?)",
  ]],
  [
    "replay with skip_older",
    planReplay("e", [{ id: "y", queue: 1, lane: "l", version: { value: 1, rule: 1 } }], { now: 1 }).statements,
    [
      "m USING PRIMARY KEY (queue=? AND lane=?)",
      followers,
    ],
  ],
  ["cancel", planEnd("x", { state: "cancelled", now: 1, reason: "" }).statements, [
    "deliveries USING INDEX sqlite_autoindex_deliveries_1 (id=?)",
    "d USING COVERING INDEX deliveries_lane (queue=? AND lane=?)",
  ]],
  ["redeliver once", planRedeliver("x", { id: "y", now: 1, unrepeated: true }).statements, [
    "r USING INDEX deliveries_event (event_seq=?)",
  ]],
  ["redeliver", planRedeliver("x", { id: "y", now: 1 }).statements, [
    "d USING INDEX sqlite_autoindex_deliveries_1 (id=?)",
    "d USING COVERING INDEX deliveries_lane (queue=? AND lane=?)",
  ]],
];

/** Statements that look at all claims there are; claims are few, and have an index to themselves. */
const reclaims = (["all", { boot: "b" }, { tokens: ["t"] }] as const)
  .flatMap((of) => planReclaim({ of, now: 1, reason: "", deaths: [{ ...claimed, ...death }] }).statements);

async function explain(database: Database, statement: Statement): Promise<string[]> {
  const { rows } = await database.read({ ...statement, sql: `EXPLAIN QUERY PLAN ${statement.sql}` });
  return rows.map(({ detail }) => String(detail));
}

/** Lines that walk something which is neither the list of values given, nor a limited number of rows, nor a partial index named in `allowed`. */
function tableWalks(lines: readonly string[], allowed: RegExp = /^$/): string[] {
  const given = /^SCAN ((j|json_each) VIRTUAL TABLE.*|v|thousand|limited|CONSTANT ROW|\d+-ROW VALUES CLAUSE)$/;
  return lines.filter((line) => line.startsWith("SCAN") && !given.test(line) && !allowed.test(line));
}

async function checkWrites(database: Database): Promise<void> {
  for (const [name, statements, indexes] of writes) {
    const lines = (await Promise.all(statements.map((statement) => explain(database, statement)))).flat();
    assertEquals(tableWalks(lines), [], name);
    for (const index of indexes) {
      assert(lines.some((line) => line.includes(index)), `${name} does not use ${index}:\n${lines.join("\n")}`);
    }
  }
  for (const statement of reclaims) {
    assertEquals(
      tableWalks(await explain(database, statement), /^SCAN deliveries USING (COVERING )?INDEX deliveries_running$/),
      [],
    );
  }
}

/** Runs a read and explains every statement that it made. */
async function explainRead(
  database: Database,
  read: (db: ReturnType<typeof createKysely>) => unknown,
): Promise<string[]> {
  const statements: Statement[] = [];
  const recording: Database = {
    read(statement) {
      statements.push(statement);
      return database.read(statement);
    },
    write: (batch) => database.write(batch),
    close: () => database.close(),
  };
  await read(createKysely(recording));
  return (await Promise.all(statements.map((statement) => explain(database, statement)))).flat();
}

async function checkReads(database: Database): Promise<void> {
  // What is counted of the lanes is walked too; it is as many rows as there are lanes.
  const partial = /^SCAN ((deliveries|queues) USING (COVERING )?INDEX \w+|lanes|totals)$/;
  const bySearch: Record<string, (db: ReturnType<typeof createKysely>) => unknown> = {
    event: (db) => readEvent(db, "x"),
    delivery: (db) => readDelivery(db, "x"),
    "delivery with what was made from it": (db) => readDelivery(db, "dlv1"),
    "dead deliveries that nothing repeats": (db) => listDeliveries(db, { state: "dead", unrepeated: true, limit: 5 }),
    "how many dead deliveries nothing repeats": (db) => countDeliveries(db, { state: "dead", unrepeated: true }),
    "deliveries of an event": (db) => listDeliveries(db, { eventId: "x", limit: 5 }),
    "dead deliveries": (db) => listDeliveries(db, { state: "dead", limit: 5 }),
    "a later page of dead deliveries": (db) => listDeliveries(db, { state: "dead", before: 9, limit: 5 }),
    "parked deliveries of a route": (db) => listDeliveries(db, { state: "parked", route: "r", limit: 5 }),
    "running deliveries": (db) => listDeliveries(db, { state: "running", limit: 5 }),
    queues: (db) => listQueues(db),
  };
  for (const [name, read] of Object.entries(bySearch)) {
    assertEquals(tableWalks(await explainRead(database, read), partial), [], name);
  }
  // Newest first is the order of the table itself: a page without a filter stops when it is full.
  assertEquals(tableWalks(await explainRead(database, (db) => listEvents(db, { limit: 5 }))), ["SCAN e"]);
}

async function fill(database: Database): Promise<void> {
  const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rowsMany})`;
  const hash = "0".repeat(64);
  await database.write([
    "INSERT INTO queues (id, route, target) VALUES (1, 'r', ''), (2, 's', '')",
    `${numbers} INSERT INTO requests SELECT 'req' || i, 'shop', '', '{}', x'00' FROM n`,
    `${numbers} INSERT INTO events (id, request_id, source, type, idem_key, sha256, received_at, config_hash)
     SELECT 'evt' || i, 'req' || i, 'shop', 't', 'k' || i, '${hash}', 1, 'c' FROM n`,
    `${numbers} INSERT INTO idempotency (source, key, event_id, sha256, expires_at, seen, last_at, guarded)
     SELECT 'shop', 'k' || i, 'evt' || i, '${hash}', 9, 1, 1, 1 FROM n`,
    // A third is finished, a third is ready, a third is blocked behind ten heads.
    `${numbers} INSERT INTO deliveries (id, event_seq, queue, lane, state, due_at, lineage, origin, created_at, finished_at)
     SELECT 'dlv' || i, i, 1 + i % 2, iif(i % 3 = 2 OR i <= 30, 'lane' || (i % 10), NULL),
       CASE WHEN i % 3 = 0 THEN 'succeeded' WHEN i % 3 = 2 THEN 'blocked' ELSE iif(i <= 30, 'blocked', 'ready') END,
       i, 'dlv' || i, 'event', i, iif(i % 3 = 0, i, NULL) FROM n`,
  ].map((sql) => ({ sql, parameters: [] })));
}

Deno.test("statements: searched by index, never by walking a table, in an empty log and in a large one", async () => {
  const folder = await Deno.makeTempDir();
  const database = openSqlite(`${folder}/weir.db`);
  try {
    await migrate(database);
    await checkWrites(database);
    await checkReads(database);
    await fill(database);
    await checkWrites(database);
    await checkReads(database);
  } finally {
    await database.close();
    await Deno.remove(folder, { recursive: true });
  }
});
