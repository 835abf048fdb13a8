/**
 * Makes the log of an engine that was killed, by opening it below the engine.
 */

import { assertEquals } from "@std/assert";
import { isSuspect } from "../../core/domain/delivery.ts";
import { openStore } from "../../core/store/open.ts";

/** Claims everything of some inline routes that is due, begins it, and goes away without a word, as a killed engine does. */
export async function claimAndDie(folder: string, routes: readonly string[], now: number): Promise<void> {
  const store = await openStore({ url: `file:${folder}/weir.db`, boot: "dead", now: 1, idempotencyMs: () => 1 });
  const queues = await store.registerQueues(routes.map((route) => ({ route, target: "", isInline: true })));
  const { deliveries } = await store.claim(queues.map((queue) => ({ queue, limit: 10 })), {
    token: crypto.randomUUID(),
    now,
  });
  for (const delivery of deliveries.filter(isSuspect)) {
    const { failures, deaths } = delivery;
    const death = { failures: failures + 1, deaths: deaths + 1, delayMs: 0 };
    assertEquals(await store.begin(delivery, { death, monotonic: () => 0 }), true);
  }
  await store.close();
}
