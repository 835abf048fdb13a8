/**
 * A rate limit over many periods: never more than it allows, and never a claim that leaves work behind without saying
 * when to come again.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Statement } from "../../core/store/database.ts";
import { shareLog } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { type Store, StoreUnavailable } from "../../core/store/store.ts";
import { spacingMs } from "../../core/domain/throttle.ts";
import { open, testInFolder } from "./temporary_log.ts";

async function appendMany(store: Store, made: { queue: number; count: number; now: number }): Promise<void> {
  const { queue, count, now } = made;
  await store.append({
    id: `req_${queue}`,
    source: "app",
    query: "",
    headers: {},
    raw: new Uint8Array(),
    receivedAt: now,
    configHash: "",
    events: Array.from({ length: count }, (_, n) => ({
      id: `evt_${queue}_${n}`,
      type: "t",
      sha256: "0".repeat(64),
      deliveries: [{ id: `dlv_${queue}_${n}`, queue }],
    })),
  });
}

testInFolder("rate limit: whoever comes when told starts exactly what is allowed, to the end", async (folder) => {
  const store = await open(folder);
  // Spacings that no double holds; 142/m and 71/m are two whose sums round to the very millisecond, and below it.
  const rates = [[3, 1_000], [7, 1_000], [156, 1_000], [71, 60_000], [142, 60_000], [29, 60_000], [11, 3_600_000]];
  for (const [count, perMs] of rates as [number, number][]) {
    const rateLimit = { count, perMs };
    const [queue] = await store.registerQueues([{ route: `every-${perMs}`, target: `${count}` }]);
    const begin = 1_750_000_000_000 + count * 37;
    const total = count + 300;
    await appendMany(store, { queue: queue!, count: total, now: begin });
    const starts: number[] = [];
    for (let now = begin; starts.length < total;) {
      const claim = await store.claim([{ queue: queue!, limit: 512, rateLimit }], { token: crypto.randomUUID(), now });
      starts.push(...claim.deliveries.map(() => now));
      const allowed = count + (now - begin) / spacingMs(rateLimit);
      assert(starts.length <= allowed + 0.01, `${count} per ${perMs} ms: ${starts.length} starts of ${allowed}`);
      if (starts.length === total) break;
      const { nextDueAt = 0 } = claim;
      assert(
        nextDueAt > now,
        `${count} per ${perMs} ms: ${starts.length} have started, told to come again at ${nextDueAt}`,
      );
      now = nextDueAt;
    }
    assertEquals(starts.filter((at) => at === begin).length, count, `${count} per ${perMs} ms: a bucket at once`);
    const pace = (starts.at(-1)! - begin) / (total - count);
    assert(pace < spacingMs(rateLimit) + 1, `${count} per ${perMs} ms: one start in ${pace} ms`);
  }
  await store.close();
});

const begin = 1_750_000_000_000;
/** Further apart than clocks may differ. */
const longAfter = begin + 120_000;

testInFolder(
  "rate limit: a claim or a beat that a later claim has overtaken spends nothing and empties no bucket",
  async (folder) => {
    const database = openSqlite(`${folder}/weir.db`);
    const late: (readonly Statement[])[] = [];
    let isCutOff = false;
    const store = await shareLog({
      read: (statement) => database.read(statement),
      write(batch) {
        if (!isCutOff) return database.write(batch);
        late.push(batch);
        return Promise.reject(new StoreUnavailable("no answer"));
      },
      close: () => database.close(),
    }, { boot: "boot", now: begin, idempotencyMs: () => 60_000 });
    const [queue] = await store.registerQueues([{ route: "r", target: "" }]);
    await appendMany(store, { queue: queue!, count: 9, now: begin });
    const credits = [{ queue: queue!, limit: 512, rateLimit: { count: 2, perMs: 100_000 } }];
    const claimAt = (now: number) => store.claim(credits, { token: `t${now}`, now });
    const readState = async (): Promise<unknown> => {
      const running = "SELECT count(*) FROM deliveries WHERE state = 'running'";
      const { rows } = await database.read({ sql: `SELECT at, (${running}) AS running FROM engines`, parameters: [] });
      return rows;
    };

    isCutOff = true;
    await assertRejects(() => claimAt(begin), StoreUnavailable);
    await assertRejects(() => store.beat({ now: begin, monotonic: 0 }), StoreUnavailable);
    isCutOff = false;
    assertEquals((await claimAt(longAfter)).deliveries.length, 2);

    for (const batch of late) await database.write(batch);
    assertEquals(await readState(), [{ at: longAfter, running: 2 }]);
    assertEquals((await claimAt(longAfter + 1)).deliveries.length, 0);
    await store.close();
  },
);
