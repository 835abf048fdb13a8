/**
 * What the death of an engine counts against the inline deliveries that it was running, on a log of its own and on one
 * that several share.
 */

import { assertEquals } from "@std/assert";
import { countDeath } from "../../core/domain/delivery.ts";
import type { Database } from "../../core/store/database.ts";
import { takeoverMs } from "../../core/store/engines.ts";
import { ownLog, shareLog } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import type { ClaimedDelivery, QueueId, Store } from "../../core/store/store.ts";
import { claimAll, claimOne, newRequest, settlement, uniqueId, watch } from "./fixture.ts";
import { disposable, testInFolder } from "./temporary_log.ts";

const policy = { retry: { attempts: 10, scheduleMs: [1_000], jitter: 0 }, onExhausted: "dead" } as const;
const monotonic = () => 0;

function deathOf(delivery: { failures: number; deaths: number }, now: number) {
  return countDeath(delivery, policy, { now, random: 0 });
}

interface Log {
  /** The engine that comes after all others are dead, at a time. */
  next(now: number): Promise<{ store: Store; queue: QueueId; took: number }>;
}

/** Both kinds of log in one file; an engine dies by never being asked again. */
const logs: Record<string, (database: Database) => Log> = {
  own: (database) => ({
    async next(now) {
      const judgeLost = (delivery: { failures: number; deaths: number }) => deathOf(delivery, now);
      const store = await ownLog(database, { boot: uniqueId("boot"), now, idempotencyMs: () => 60_000, judgeLost });
      return { store, queue: await queueOf(store), took: store.recovered };
    },
  }),
  shared: (database) => ({
    async next(now) {
      const store = await join(database, now);
      return { store, queue: await queueOf(store), took: await watch(store, { now, from: 0, to: takeoverMs }) };
    },
  }),
};

function join(database: Database, now: number): Promise<Store> {
  const judgeLost = (delivery: { failures: number; deaths: number }) => deathOf(delivery, now);
  return shareLog(database, { boot: uniqueId("boot"), now, idempotencyMs: () => 60_000, judgeLost });
}

async function queueOf(store: Store, route = "inline"): Promise<QueueId> {
  return (await store.registerQueues([{ route, target: "", isInline: route === "inline" }]))[0]!;
}

function counters({ executions, failures, deaths }: ClaimedDelivery): number[] {
  return [executions, failures, deaths];
}

for (const [kind, open] of Object.entries(logs)) {
  testInFolder(
    `deaths: the first counts against all that ran, later ones against the suspect that had begun [${kind}]`,
    async (folder) => {
      await using database = disposable(openSqlite(`${folder}/weir.db`));
      const log = open(database);
      let { store, queue, took } = await log.next(1_000);
      await store.append(newRequest([{ queues: [queue] }, { queues: [queue] }]));
      await claimAll(store, queue, 10_000);

      ({ store, queue, took } = await log.next(20_000));
      assertEquals(took, 2);
      assertEquals(await claimAll(store, queue, 20_999), []); // a failed attempt waits as its schedule says
      const [guilty, innocent] = await claimAll(store, queue, 21_000);
      assertEquals([counters(guilty!), counters(innocent!)], [[2, 1, 1], [2, 1, 1]]);
      assertEquals(await store.begin(guilty!, { death: deathOf(guilty!, 21_000), monotonic }), true);

      ({ store, queue, took } = await log.next(21_500));
      assertEquals(took, 2);
      const waited = await claimOne(store, queue, 21_500); // it had not begun: nothing is counted, and it is due at once
      assertEquals([waited.id, ...counters(waited)], [innocent!.id, 3, 1, 1]);
      assertEquals(await store.settle(settlement(waited, "succeeded")), true);
      assertEquals(await claimAll(store, queue, 22_499), []); // it waits from when it was found, not from when it began
      assertEquals(counters(await claimOne(store, queue, 22_500)), [3, 2, 2]);
      const outcomes = (await store.delivery(guilty!.id))?.attempts.map(({ outcome }) => outcome);
      assertEquals(outcomes, ["failed", "failed"]);
      assertEquals((await store.delivery(innocent!.id))?.attempts.map(({ outcome }) => outcome), [
        "failed",
        "interrupted",
        "succeeded",
      ]);
    },
  );

  testInFolder(
    `begin: the settlement takes back what was counted, and who lost the lease does not begin [${kind}]`,
    async (folder) => {
      await using database = disposable(openSqlite(`${folder}/weir.db`));
      const { store, queue } = await open(database).next(1_000);
      await store.append(newRequest({ queues: [queue] }));
      const first = await claimOne(store, queue);
      const death = deathOf(first, 10_000);
      assertEquals(await store.begin(first, { death, monotonic }), true);
      assertEquals(await store.begin(first, { death, monotonic }), true); // the answer was lost
      assertEquals(await store.settle(settlement(first, "ready", { dueAt: 10_001 })), true);
      assertEquals(await store.begin(first, { death, monotonic }), false);
      assertEquals(counters(await claimOne(store, queue, 10_001)), [2, 1, 0]);
    },
  );
}

for (const [kind, open] of Object.entries(logs)) {
  testInFolder(
    `deaths: what ran beside a suspect becomes one, and so runs beside it no more [${kind}]`,
    async (folder) => {
      await using database = disposable(openSqlite(`${folder}/weir.db`));
      const log = open(database);
      let { store, queue, took } = await log.next(1_000);
      const ids = (await store.append(newRequest([{ queues: [queue] }]))).map(({ eventId }) => eventId);
      await claimAll(store, queue, 10_000);
      ({ store, queue } = await log.next(20_000));
      ids.push(...(await store.append(newRequest([{ queues: [queue] }]))).map(({ eventId }) => eventId));
      const claimed = await claimAll(store, queue, 30_000);
      const suspect = claimed.find(({ deaths }) => deaths > 0)!;
      await store.begin(suspect, { death: deathOf(suspect, 30_000), monotonic });

      ({ store, queue, took } = await log.next(40_000));
      assertEquals(took, 2);
      const after = await claimAll(store, queue, 50_000);
      assertEquals(ids.map((id) => counters(after.find(({ event }) => event.id === id)!)), [[3, 2, 2], [2, 1, 1]]);
    },
  );
}

testInFolder(
  "beat: a death is counted by whoever takes over, even without that route in its configuration",
  async (folder) => {
    await using database = disposable(openSqlite(`${folder}/weir.db`));
    const dying = await join(database, 1_000);
    const queue = await queueOf(dying);
    await dying.append(newRequest({ queues: [queue] }));
    await claimOne(dying, queue);
    const other = await shareLog(database, {
      boot: uniqueId("boot"),
      now: 20_000,
      idempotencyMs: () => 60_000,
      judgeLost: (delivery) => countDeath(delivery, undefined, { now: 20_000, random: 0 }),
    });
    assertEquals(await watch(other, { now: 20_000, from: 0, to: takeoverMs }), 1);
    assertEquals(counters(await claimOne(other, queue, 20_001)), [2, 1, 1]);
  },
);

testInFolder(
  "beat: nothing is counted against the work of an engine that lives after all, nor for other routes",
  async (folder) => {
    await using database = disposable(openSqlite(`${folder}/weir.db`));
    const slow = await join(database, 1_000);
    const [inline, script] = [await queueOf(slow), await queueOf(slow, "script")];
    await slow.append(newRequest([{ queues: [inline] }, { queues: [script] }]));
    const held = await claimOne(slow, inline);
    await claimOne(slow, script);
    // It beats between the look of the other and what that writes.
    let beforeWrite = (): Promise<unknown> => Promise.resolve();
    const other = await join({
      ...disposable(database),
      async write(batch) {
        if (batch.some(({ sql }) => sql.startsWith("DELETE FROM engines"))) await beforeWrite();
        return await database.write(batch);
      },
    }, 20_000);
    beforeWrite = () => slow.beat({ now: 20_000, monotonic: 0 });
    assertEquals(await watch(other, { now: 20_000, from: 0, to: takeoverMs }), 0);
    const { rows: [row] } = await database.read({ sql: "SELECT sum(deaths) AS n FROM deliveries", parameters: [] });
    assertEquals(row, { n: 0 });
    assertEquals(await slow.settle(settlement(held, "ready", { dueAt: 20_000 })), true);
    const again = await claimOne(slow, inline, 20_000);

    beforeWrite = () => Promise.resolve();
    assertEquals(await watch(other, { now: 30_000, from: takeoverMs + 1, to: 2 * takeoverMs + 1 }), 2);
    assertEquals(counters(await claimOne(other, script, 30_000)), [2, 0, 0]);
    assertEquals(counters(await claimOne(other, inline, 40_000)), [again.executions + 1, again.failures + 1, 1]);
  },
);

testInFolder(
  "begin: an engine that may have been taken over by the time of the answer does not begin",
  async (folder) => {
    await using database = disposable(openSqlite(`${folder}/weir.db`));
    const store = await join(database, 1_000);
    const queue = await queueOf(store);
    await store.beat({ now: 1_000, monotonic: 0 });
    await store.append(newRequest({ queues: [queue] }));
    const delivery = await claimOne(store, queue);
    const readings = [0, takeoverMs];
    const death = deathOf(delivery, 10_000);
    assertEquals(await store.begin(delivery, { death, monotonic: () => readings.shift()! }), false);
    assertEquals(await store.begin(delivery, { death, monotonic }), true);
  },
);
