/**
 * A rate limit over many periods: never more than it allows, and never a claim that leaves work behind without saying
 * when to come again.
 */

import { assert, assertEquals } from "@std/assert";
import type { Store } from "../../core/store/store.ts";
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
