/**
 * Retention on a local file: the space goes back to the disk, no batch walks what it need not, and whatever happened to
 * a log, exactly what is old goes.
 */

import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals } from "@std/assert";
import { defaultRetention } from "../../core/domain/config.ts";
import { eraseBytesMax, eraseRowsMax, takeBatch } from "../../core/store/erase.ts";
import { ownLog } from "../../core/store/open.ts";
import { freeBytesKept } from "../../core/store/retention.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import type { Store } from "../../core/store/store.ts";
import { createRandom } from "../support/seeded_random.ts";
import { claimAll, newRequest, settlement, uniqueId } from "./fixture.ts";
import { expireAll } from "./suite_retention.ts";
import { open, readOne, statement, testInFolder } from "./temporary_log.ts";

Deno.test("takeBatch: from the front, within both limits, and at least one", () => {
  const cases: [rows: [number, number][], taken: number][] = [
    [[], 0],
    [[[1, 1], [1, 1]], 2],
    [[[eraseRowsMax, 1], [1, 1]], 1],
    [[[eraseRowsMax + 5, 1], [1, 1]], 1],
    [[[1, eraseBytesMax - 1], [1, 1], [1, 1]], 2],
    [[[1, eraseBytesMax * 9], [1, 1]], 1],
  ];
  for (const [rows, taken] of cases) {
    assertEquals(takeBatch(rows.map(([rows, bytes]) => ({ rows, bytes }))).length, taken, JSON.stringify(rows));
  }
});

testInFolder("expire: free pages go back to the disk in steps, all but a reserve", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  const store = await ownLog(database, { boot: "b", now: 1, idempotencyMs: () => 1 });
  const pagesNow = async () => Number(await readOne(database, "SELECT page_count FROM pragma_page_count()"));
  const megabytes = 3 * freeBytesKept / 1_048_576;
  for (let i = 0; i < megabytes; i++) {
    await store.append(newRequest({}, { raw: new Uint8Array(1_048_576).fill(i) }));
  }
  const kept = newRequest({}, { raw: new Uint8Array(100_000).fill(7), receivedAt: 50_000 });
  await store.append(kept);
  const before = await pagesNow();
  let [pages, steps] = [0, 0];
  for (let more = true; more;) {
    const done = await store.expire({ retention: { ...defaultRetention, eventsMs: 30_000 }, now: 60_000 });
    assert(done.events <= eraseBytesMax / 1_048_576, `${done.events} large bodies in one batch`);
    pages += done.pages;
    if (done.pages > 0) steps++;
    more = done.more;
  }
  const gone = before - await pagesNow(); // with some pages of SQLite's own that had kept account of the others
  assert(gone >= pages && gone < pages * 1.01, `${gone} pages are gone, ${pages} were counted`);
  assertEquals([pages / steps > 100, pages / steps <= 128], [true, true], `${pages} pages in ${steps} steps`);
  assertEquals((await store.event(kept.events[0]!.id))?.raw, kept.raw);
  assertEquals(await readOne(database, "PRAGMA integrity_check"), "ok");
  await store.close();
  const { size } = await Deno.stat(`${folder}/weir.db`);
  assert(size > freeBytesKept * 0.9 && size < freeBytesKept * 1.2, `the file has ${size} bytes`);
});

/** Fills a log until there is something to give back, purges all of it, and runs one round of retention. */
async function fillAndPurge(store: Store): Promise<void> {
  const megabytes = 2 * freeBytesKept / 1_048_576;
  for (let i = 0; i < megabytes; i++) {
    await store.append(newRequest({}, { raw: new Uint8Array(1_048_576).fill(i) }));
  }
  for (let next: number | undefined = 0; next !== undefined;) {
    ({ next } = await store.purge({}, { now: 2_000, after: next }));
  }
  await expireAll(store, 2_000);
}

testInFolder("expire: what a purge freed has left the disk after a round, while the log is open", async (folder) => {
  const store = await open(folder);
  const size = async (file: string) => (await Deno.stat(`${folder}/${file}`)).size;
  await fillAndPurge(store);
  assert(await size("weir.db") < freeBytesKept * 1.1, `the file has ${await size("weir.db")} bytes`);
  assertEquals(await size("weir.db-wal"), 0);
  await store.close();
});

testInFolder(
  "expire: somebody who reads delays only the end of a round; the next one makes up for it",
  async (folder) => {
    const store = await open(folder);
    const wal = async () => (await Deno.stat(`${folder}/weir.db-wal`)).size;
    const reader = new DatabaseSync(`${folder}/weir.db`, { readOnly: true });
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM events").get();
    await fillAndPurge(store);
    assert(await wal() > 0);
    await store.append(newRequest({}));
    reader.close();
    await expireAll(store, 2_000);
    assertEquals(await wal(), 0);
    await store.close();
  },
);

testInFolder("expire, purge: every statement is searched by index", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  const seen = new Set<string>();
  const recording: typeof database = {
    read(each) {
      seen.add(each.sql);
      return database.read(each);
    },
    write(batch) {
      for (const each of batch) seen.add(each.sql);
      return database.write(batch);
    },
    close: () => database.close(),
  };
  const store = await ownLog(recording, { boot: "b", now: 1, idempotencyMs: () => 1 });
  const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
  await store.append(newRequest([{ queues: [queue!], lane: "a", key: "k", version: 1 }, {}]));
  for (const delivery of await claimAll(store, queue!)) await store.settle(settlement(delivery, "succeeded"));
  await store.append(newRequest({ queues: [queue!], lane: "a" }));
  seen.clear();
  assertEquals(await expireAll(store, 100_000_000), { events: 2, deliveries: 1, attempts: 1, keys: 1 });
  assertEquals((await store.purge({ source: "shop" }, { now: 1 })).events, 1);
  assertEquals((await store.purge({ ids: ["x"] }, { now: 1 })).events, 0);
  const walks: string[] = [];
  for (const sql of seen) {
    if (sql.startsWith("PRAGMA")) continue;
    const { rows } = await database.read(statement(`EXPLAIN QUERY PLAN ${sql}`));
    for (const { detail } of rows) {
      const given = /^SCAN (w|j|v|json_each|freelist|pragma_\w+|CONSTANT ROW|\d+-ROW VALUES CLAUSE)\b/;
      if (String(detail).startsWith("SCAN") && !given.test(String(detail))) walks.push(`${detail}: ${sql}`);
    }
  }
  assertEquals(walks, []);
  assert(seen.size > 10);
  await store.close();
});

testInFolder("expire: after any history exactly what is old is gone, and what is left is whole", async (folder) => {
  const retention = { eventsMs: 30_000, attemptsMs: 14_000, deadMs: 50_000, idempotencyMs: 7_000 };
  for (let seed = 1; seed <= 5; seed++) {
    const { next: random, below: upTo, chance } = createRandom(seed);
    const database = openSqlite(`${folder}/${seed}.db`);
    const store = await ownLog(database, { boot: "b", now: 1, idempotencyMs: () => retention.idempotencyMs });
    const queues = await store.registerQueues(["a", "b", "c"].map((route) => ({ route, target: "" })));
    let now = 1_000;
    for (let turn = 0; turn < 150; turn++) {
      now += upTo(1_500);
      const what = random();
      if (what < 0.4) {
        const events = Array.from({ length: 1 + upTo(3) }, () => ({
          queues: queues.filter(() => chance(0.5)),
          lane: chance(0.5) ? `lane${upTo(4)}` : undefined,
          key: chance(0.5) ? uniqueId("k") : undefined,
        }));
        await store.append(newRequest(events, { receivedAt: now }));
      } else if (what < 0.85) {
        const queue = queues[upTo(3)]!;
        const { deliveries } = await store.claim([{ queue, limit: 1 + upTo(4) }], { token: uniqueId("tok"), now });
        for (const delivery of deliveries) {
          const state = (["succeeded", "succeeded", "dead", "ready"] as const)[upTo(4)]!;
          await store.settle(settlement(delivery, state, { finishedAt: now, dueAt: now + upTo(3_000) }));
        }
      } else if (what < 0.9) {
        const [dead] = (await store.deliveries({ state: "dead", unrepeated: true, limit: 1 })).rows;
        if (dead !== undefined) await store.redeliver(dead.id, { id: uniqueId("dlv"), now });
      } else await store.expire({ retention, now });
    }
    const at = now + upTo(70_000);
    const { rows: before } = await database.read(statement(
      `SELECT d.id, d.state, d.finished_at, e.id AS event, e.received_at, d.redelivery_of FROM events AS e
       LEFT JOIN deliveries AS d ON d.event_seq = e.seq ORDER BY d.seq`,
    ));
    const stays = new Set<string>();
    const eventStays = new Set<string>();
    const cut = (state: unknown): number => at - (state === "dead" ? retention.deadMs : retention.eventsMs);
    for (const row of before) { // in the order of the log: what a delivery repeats comes before it
      const isOld = row.finished_at !== null && (row.finished_at as number) <= cut(row.state);
      const isHeld = row.state !== "dead" && row.redelivery_of !== null && stays.has(String(row.redelivery_of));
      if (row.id !== null && (!isOld || isHeld)) stays.add(String(row.id));
      if (stays.has(String(row.id)) || (row.received_at as number) > cut("event")) eventStays.add(String(row.event));
    }
    // Two rounds a day apart: what a dead letter held back goes with the second.
    await expireAll(store, at, retention);
    const later = { ...retention, eventsMs: 0, deadMs: 0, attemptsMs: 0 };
    for (const what of ["eventsMs", "deadMs", "attemptsMs"] as const) later[what] = retention[what] + 86_400_000;
    await expireAll(store, at + 86_400_000, later);
    await expireAll(store, at + 86_400_000, later);

    const ids = async (sql: string) => new Set((await database.read(statement(sql))).rows.map(({ id }) => String(id)));
    assertEquals(await ids("SELECT id FROM deliveries"), stays, `deliveries of seed ${seed}`);
    assertEquals(await ids("SELECT id FROM events"), eventStays, `events of seed ${seed}`);
    assertEquals(await ids("SELECT id FROM requests"), await ids("SELECT DISTINCT request_id AS id FROM events"));
    assertEquals((await database.read(statement("PRAGMA foreign_key_check"))).rows, []);
    assertEquals(
      await readOne(
        database,
        `SELECT count(*) FROM attempts AS a JOIN deliveries AS d ON d.seq = a.delivery
         WHERE d.finished_at <= ${at - retention.attemptsMs}`,
      ),
      0,
    );
    await store.close();
  }
});
