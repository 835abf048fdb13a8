/** Engines that share a log, where what one of them sends or sees is not what it seems. */

import { assertEquals } from "@std/assert";
import type { Database, Statement } from "../../core/store/database.ts";
import { takeoverMs } from "../../core/store/engines.ts";
import { shareLog } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import type { Store } from "../../core/store/store.ts";
import { claimOne, newRequest, settlement, states, watch } from "./fixture.ts";
import { disposable, testInFolder } from "./temporary_log.ts";

const now = 1_000_000;
const options = { now, idempotencyMs: () => 60_000 };

testInFolder("claim: a batch that arrives twice takes once, and spends once", async (folder) => {
  await using database = disposable(openSqlite(`${folder}/weir.db`));
  let sent: readonly Statement[] = [];
  const face: Database = { ...database, write: (batch) => database.write(sent = batch) };
  const store = await shareLog(face, { ...options, boot: "one" });
  const [queue] = await store.registerQueues([{ route: "r", target: "" }]);
  await store.append(newRequest(Array(9).fill({ queues: [queue!] }), { receivedAt: now }));
  const credit = { queue: queue!, limit: 2, concurrency: 10, rateLimit: { count: 5, perMs: 100_000 } };
  const { deliveries } = await store.claim([credit], { token: "first", now });
  assertEquals(deliveries.length, 2);
  const readState = async () =>
    (await database.read({
      sql: "SELECT rate_at, (SELECT count(*) FROM deliveries WHERE state = 'running') AS running FROM queues",
      parameters: [],
    })).rows;
  const before = await readState();
  await database.write(sent);
  assertEquals(await readState(), before);
  assertEquals((await store.claim([credit], { token: "second", now })).deliveries.length, 2);
});

testInFolder(
  "claim: what arrives late is held against the time of an engine that has only just joined",
  async (folder) => {
    await using database = disposable(openSqlite(`${folder}/weir.db`));
    const open = (boot: string, at: number) => shareLog(database, { ...options, boot, now: at });
    const [slow, leaver] = [await open("slow", 100_000), await open("leaver", now)];
    const [queue] = await slow.registerQueues([{ route: "r", target: "" }]);
    await slow.append(newRequest(Array(3).fill({ queues: [queue!] }), { receivedAt: 100_000 }));
    const claim = async (store: Store, at: number) => {
      const credit = { queue: queue!, limit: 9, rateLimit: { count: 1, perMs: 300_000 } };
      return (await store.claim([credit], { token: crypto.randomUUID(), now: at })).deliveries.length;
    };
    assertEquals(await claim(leaver, now), 1);
    await database.write([{ sql: "DELETE FROM engines WHERE boot = ?", parameters: ["leaver"] }]);
    await open("joiner", now + 1);
    assertEquals(await claim(slow, 100_000), 0);
  },
);

testInFolder("beat: who stood still has watched nobody, and takes nothing over at its first look", async (folder) => {
  await using database = disposable(openSqlite(`${folder}/weir.db`));
  const [first, second] = [
    await shareLog(database, { ...options, boot: "first" }),
    await shareLog(database, { ...options, boot: "second" }),
  ];
  const [queue] = await first.registerQueues([{ route: "r", target: "" }]);
  await first.append(newRequest({ queues: [queue!] }));
  const held = await claimOne(second, queue!, now);
  assertEquals(await watch(first, { now, from: 0, to: 20_000 }), 0);
  await second.beat({ now, monotonic: 20_000 });
  assertEquals(await first.beat({ now, monotonic: 20_000 }), 0);
  // Both are frozen, and the first is let go a moment before the second.
  const thawedAt = 20_000 + 10 * takeoverMs;
  assertEquals(await first.beat({ now, monotonic: thawedAt }), 0);
  assertEquals(await second.settle(settlement(held, "succeeded")), true);

  await first.append(newRequest({ queues: [queue!] }));
  await claimOne(second, queue!, now);
  assertEquals(await watch(first, { now, from: thawedAt, to: thawedAt + takeoverMs }), 1);
  assertEquals(await states(first), ["succeeded", "ready"]);
});
