/**
 * Suite: order within a lane. Only the head can be claimed, a retry keeps its place, and whatever finishes the head
 * hands the lane on.
 */

import { assertEquals } from "@std/assert";
import type { Store } from "../../core/store/store.ts";
import {
  allDeliveries,
  claimAll,
  claimOne,
  newRequest,
  openWithQueue,
  settlement,
  states,
  type StoreTest,
  uniqueId,
} from "./fixture.ts";

/** Appends events to lanes, one request each; returns the ids of their deliveries. */
async function appendLanes(store: Store, queue: number, lanes: readonly (string | undefined)[]): Promise<string[]> {
  const requests = lanes.map((lane) => newRequest({ queues: [queue], lane }));
  await Promise.all(requests.map((request) => store.append(request)));
  return requests.map((request) => request.events[0]!.deliveries[0]!.id);
}

export const laneTests: Record<string, StoreTest> = {
  async "claim: only the head of a lane, everything without one"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const ids = await appendLanes(store, queue, ["a", "a", "b", undefined, "b", undefined]);
    assertEquals(await states(store), ["ready", "blocked", "ready", "ready", "blocked", "ready"]);
    assertEquals((await claimAll(store, queue)).map(({ id }) => id), [ids[0], ids[2], ids[3], ids[5]]);
    assertEquals(await claimAll(store, queue), []);
  },

  async "settle: a retry keeps the head's place, however often (trap: a retry moved to the back of its key)"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [first, second] = await appendLanes(store, queue, ["a", "a"]);
    for (let n = 1; n <= 3; n++) {
      const head = await claimOne(store, queue, 100_000 * n);
      assertEquals([head.id, head.failures, head.executions], [first, n - 1, n]);
      await store.settle(settlement(head, "ready", { finishedAt: 100_000 * n, dueAt: 100_000 * n + 5_000 }));
      assertEquals(await claimAll(store, queue, 100_000 * n + 4_999), []);
      await appendLanes(store, queue, ["a"]);
    }
    await store.settle(settlement(await claimOne(store, queue, 900_000), "succeeded"));
    assertEquals((await claimOne(store, queue, 900_000)).id, second);
  },

  async "settle: success and death hand the lane on, one at a time"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const ids = await appendLanes(store, queue, ["a", "a", "a"]);
    const seen: string[] = [];
    for (const state of ["succeeded", "dead", "succeeded"] as const) {
      const head = await claimOne(store, queue);
      seen.push(head.id);
      await store.settle(settlement(head, state));
    }
    assertEquals(seen, ids);
    assertEquals(await states(store), ["succeeded", "dead", "succeeded"]);
  },

  async "settle: ends, arrivals and the next claim of one lane in one group"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const ids = await appendLanes(store, queue, ["a", "b"]);
    const claimed = await claimAll(store, queue);
    const later = newRequest([{ queues: [queue], lane: "a" }, { queues: [queue], lane: "b" }]);
    const claim = store.claim([{ queue, limit: 10 }], { token: uniqueId("tok"), now: 50_000 });
    await Promise.all([
      ...claimed.map((delivery, at) => store.settle(settlement(delivery, at === 0 ? "succeeded" : "ready"))),
      store.append(later),
    ]);
    // The claim was asked for first and runs last: it sees what its group has ended.
    assertEquals((await claim).deliveries.map(({ id }) => id), [ids[1], later.events[0]!.deliveries[0]!.id]);
  },

  async "cancel: the head's end promotes, a follower's does not"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const ids = await appendLanes(store, queue, ["a", "a", "a"]);
    assertEquals(await store.cancel(ids[1]!, { now: 5, reason: "by hand" }), true);
    assertEquals(await states(store), ["ready", "cancelled", "blocked"]);
    assertEquals(await store.cancel(ids[0]!, { now: 6, reason: "by hand" }), true);
    assertEquals(await states(store), ["cancelled", "cancelled", "ready"]);
    const detail = await store.delivery(ids[0]!);
    assertEquals([detail?.reason, detail?.finishedAt, detail?.attempts], ["by hand", 6, []]);
  },

  async "cancel: refused while running, once finished, and for nothing at all"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [id] = await appendLanes(store, queue, [undefined]);
    const running = await claimOne(store, queue);
    const cancel = (id: string): Promise<boolean> => store.cancel(id, { now: 5, reason: "by hand" });
    assertEquals(await cancel(id!), false);
    await store.settle(settlement(running, "ready"));
    assertEquals(await cancel(id!), true);
    assertEquals(await cancel(id!), false);
    assertEquals(await cancel("dlv_none"), false);
  },

  async "append: fan-out queues have lanes of their own"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [other] = await store.registerQueues([{ route: "mirror", target: "ci" }]);
    for (let i = 0; i < 2; i++) await store.append(newRequest({ queues: [queue, other!], lane: "a" }));
    const head = await claimOne(store, queue);
    const mirrored = await claimOne(store, other!);
    await store.settle(settlement(mirrored, "succeeded"));
    assertEquals((await claimOne(store, other!)).event.id !== mirrored.event.id, true);
    assertEquals(await claimAll(store, queue), []);
    assertEquals(head.queue, queue);
  },

  async "append: a parked delivery waits for a person"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ queues: [queue], parkedReason: "order_by: no such key" });
    await store.append(request);
    assertEquals(await claimAll(store, queue), []);
    const { id } = request.events[0]!.deliveries[0]!;
    const parked = await store.delivery(id);
    assertEquals([parked?.state, parked?.reason], ["parked", "order_by: no such key"]);
    assertEquals(await store.cancel(id, { now: 5, reason: "looked at" }), true);
  },

  async "append: a parked delivery with a lane parks when its turn comes"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendLanes(store, queue, ["a"]);
    const request = newRequest({ queues: [queue], lane: "a", parkedReason: "when: division by zero" });
    await store.append(request);
    await appendLanes(store, queue, ["a"]);
    assertEquals(await states(store), ["ready", "blocked", "blocked"]);
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    assertEquals(await states(store), ["succeeded", "parked", "blocked"]);
    await store.cancel(request.events[0]!.deliveries[0]!.id, { now: 5, reason: "looked at" });
    assertEquals(await states(store), ["succeeded", "cancelled", "ready"]);
  },

  async "redeliver: only what is finished, and a new delivery of the same lineage"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [id] = await appendLanes(store, queue, [undefined]);
    const again = (of: string, made: string): Promise<boolean> => store.redeliver(of, { id: made, now: 30_000 });
    assertEquals(await again(id!, "dlv_early"), false);
    const running = await claimOne(store, queue);
    assertEquals(await again(id!, "dlv_early"), false);
    await store.settle(settlement(running, "dead"));
    assertEquals(await again(id!, "dlv_second"), true);
    assertEquals(await again("dlv_none", "dlv_third"), false);

    const second = await claimOne(store, queue, 30_000);
    assertEquals([second.id, second.lineage, second.failures, second.executions], ["dlv_second", id, 0, 1]);
    assertEquals(second.event, running.event);
    await store.settle(settlement(second, "succeeded"));
    assertEquals(await again("dlv_second", "dlv_third"), true);
    assertEquals((await claimOne(store, queue, 30_000)).lineage, id);
    const rows = await allDeliveries(store);
    assertEquals(rows.map(({ redeliveryOf }) => redeliveryOf), [undefined, id, "dlv_second"]);
    assertEquals(rows.map(({ state }) => state), ["dead", "succeeded", "running"]);
    assertEquals(rows[0]!.reason, "it failed"); // the old one has not changed
  },

  async "redeliver: goes to the tail of its lane"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [first] = await appendLanes(store, queue, ["a", "a", "a"]);
    await store.settle(settlement(await claimOne(store, queue), "dead"));
    await store.redeliver(first!, { id: "dlv_again", now: 1 });
    assertEquals(await states(store), ["dead", "ready", "blocked", "blocked"]);
    for (let i = 0; i < 2; i++) await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    assertEquals((await claimOne(store, queue)).id, "dlv_again");
  },

  async "redeliver: is marked out of order when others of its lane have passed, and only then"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest(["a", "a", "b", undefined].map((lane) => ({ queues: [queue], lane }))));
    for (const head of await claimAll(store, queue)) await store.settle(settlement(head, "dead"));
    const [passed, , alone, laneless] = await allDeliveries(store);
    for (const { id } of [passed!, alone!, laneless!]) await store.redeliver(id, { id: `${id}_2`, now: 30_000 });
    const made = (await allDeliveries(store)).filter(({ redeliveryOf }) => redeliveryOf !== undefined);
    assertEquals(made.map(({ lane, outOfOrder }) => [lane, outOfOrder]), [
      ["a", true],
      ["b", false],
      [undefined, false],
    ]);
  },

  async "redeliver: no idempotency key stands in its way (trap: a manual retry eaten by its own idempotency key)"(
    fixture,
  ) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ key: "k", queues: [queue] });
    await store.append(request);
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    const { id } = request.events[0]!.deliveries[0]!;
    assertEquals(await store.redeliver(id, { id: "dlv_again", now: 1 }), true);
    assertEquals((await claimOne(store, queue)).event.idempotencyKey, "k");
  },

  async "claim: lanes whose names differ by little do not meet"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const lanes = ["a", "A", "a ", "1", "1.0", "01", "é", "e\u0301", "null", "🙂"];
    await appendLanes(store, queue, [...lanes, ...lanes]);
    assertEquals((await claimAll(store, queue)).map(({ lane }) => lane), lanes);
  },
};
