/**
 * Groups on their way to the database: two at a time where it does them in order, one where it does not say so.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { groupAheadMin } from "../../core/store/commit_group.ts";
import { ConstraintBroken } from "../../core/store/database.ts";
import { ownLog } from "../../core/store/open.ts";
import { openSqliteThread } from "../../core/store/sqlite_thread.ts";
import { newRequest } from "./fixture.ts";
import { readOne, statement, testInFolder } from "./temporary_log.ts";

/** Appends many requests while the first is being written; returns how many batches were on their way at once. */
async function appendMany(folder: string, { keepsOrder }: { keepsOrder?: boolean }): Promise<number> {
  const thread = await openSqliteThread(`${folder}/weir.db`);
  assert(thread.keepsOrder);
  let [onTheWay, most] = [0, 0];
  const log = await ownLog({
    keepsOrder: keepsOrder ?? thread.keepsOrder,
    read: (statement) => thread.read(statement),
    close: () => thread.close(),
    async write(batch, options) {
      most = Math.max(most, ++onTheWay);
      return await thread.write(batch, options).finally(() => onTheWay--);
    },
  }, { boot: "boot", now: 1_000, idempotencyMs: () => 60_000 });
  const append = (count: number) => Array.from({ length: count }, () => log.append(newRequest({})));
  const first = append(1);
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([...first, ...append(3 * groupAheadMin)]);
  assertEquals((await log.events({ limit: 200 })).rows.length, 1 + 3 * groupAheadMin);
  await log.close();
  return most;
}

testInFolder("store: a local log is handed a group while it writes another", async (folder) => {
  assertEquals(await appendMany(folder, {}), 2);
});

testInFolder("store: a database that does not keep the order is handed one group at a time", async (folder) => {
  assertEquals(await appendMany(folder, { keepsOrder: false }), 1);
});

testInFolder(
  "store: what a bad operation holds up still comes before what was handed over after it",
  async (folder) => {
    const thread = await openSqliteThread(`${folder}/weir.db`);
    const log = await ownLog(thread, { boot: "boot", now: 1_000, idempotencyMs: () => 60_000 });
    const asked = Array.from({ length: 3 * groupAheadMin }, (_, n) => newRequest({ id: `evt_${n}` }));
    const noSuchQueue = 999;
    const first = log.append(newRequest({ id: "evt_first" }));
    await new Promise((resolve) => setImmediate(resolve));
    const bad = assertRejects(() => log.append(newRequest({ queues: [noSuchQueue] })), ConstraintBroken);
    await Promise.all([first, bad, ...asked.map((request) => log.append(request))]);
    const { rows } = await log.events({ limit: 200 });
    assertEquals(rows.map(({ id }) => id).toReversed(), ["evt_first", ...asked.map(({ events }) => events[0]!.id)]);
    await log.close();
  },
);

testInFolder(
  "sqlite: a batch ahead is not tried after one that broke a rule, until who sends it knows",
  async (folder) => {
    const thread = await openSqliteThread(`${folder}/weir.db`);
    await thread.write([statement("CREATE TABLE t (n INTEGER NOT NULL)")]);
    const insert = (n: number | null, options?: { isAhead: boolean }) =>
      thread.write([statement("INSERT INTO t VALUES (?)", n)], options);
    const [broken, direct, ahead, again, aheadAgain] = await Promise.allSettled([
      insert(null, { isAhead: false }),
      insert(1), // whoever goes with no other neither waits for them nor lets them pass
      insert(2, { isAhead: true }),
      insert(3, { isAhead: false }),
      insert(4, { isAhead: true }),
    ]);
    const isRefused = (result: PromiseSettledResult<unknown>) => result.status === "rejected" && result.reason.name;
    assertEquals([broken, direct, ahead, again, aheadAgain].map(isRefused), [
      "ConstraintBroken",
      false,
      "NotTried",
      false,
      false,
    ]);
    assertEquals(await readOne(thread, "SELECT group_concat(n) FROM t"), "1,3,4");
    await thread.close();
  },
);
