/**
 * Suite: claims and their leases. A claim takes what is due up to its credit, only the holder of the token can end an
 * attempt, and a new start takes back what the last one left running.
 */

import { assertEquals } from "@std/assert";
import {
  allDeliveries,
  claimAll,
  claimOne,
  newRequest,
  openWithQueue,
  settlement,
  states,
  type StoreTest,
} from "./fixture.ts";

export const leaseTests: Record<string, StoreTest> = {
  async "claim: brings the event, the counters and the token"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ key: "k", queues: [queue], lane: "a", time: 7, item: `{"n":1}` }, { query: "q=1" });
    await store.append(request);
    const { deliveries, nextDueAt } = await store.claim([{ queue, limit: 5 }], { token: "tok-1", now: 2_000 });
    const [event] = request.events;
    assertEquals(deliveries, [{
      seq: 1,
      id: event!.deliveries[0]!.id,
      queue,
      token: "tok-1",
      lane: "a",
      version: undefined,
      executions: 1,
      failures: 0,
      deaths: 0,
      lineage: event!.deliveries[0]!.id,
      event: {
        id: event!.id,
        source: "shop",
        type: "order.paid",
        idempotencyKey: "k",
        time: 7,
        receivedAt: 1_000,
        headers: { "content-type": "application/json" },
        query: "q=1",
        raw: request.raw,
        item: `{"n":1}`,
      },
    }]);
    assertEquals(nextDueAt, undefined);
  },

  async "claim: never more than the credit of each queue, oldest due first"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [other] = await store.registerQueues([{ route: "mirror", target: "ci" }]);
    const ats = [3_000, 1_000, 2_000];
    for (const receivedAt of ats) await store.append(newRequest({ queues: [queue, other!] }, { receivedAt }));
    const claim = await store.claim([{ queue, limit: 2 }, { queue: other!, limit: 1 }], { token: "t1", now: 9_000 });
    const taken = claim.deliveries.map(({ queue, event }) => [queue, event.receivedAt]);
    assertEquals(taken.filter(([of]) => of === queue).map(([, at]) => at).sort(), [1_000, 2_000]);
    assertEquals(taken.filter(([of]) => of === other).map(([, at]) => at), [1_000]);
    assertEquals((await store.claim([{ queue, limit: 0 }], { token: "t2", now: 9_000 })).deliveries, []);
    assertEquals(await store.claim([], { token: "t3", now: 9_000 }), {
      deliveries: [],
      nextDueAt: undefined,
      waiting: [],
      suspects: [],
    });
  },

  async "claim: names the queues that still hold something due, paused ones apart"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [other, paused] = await store.registerQueues([{ route: "mirror", target: "ci" }, {
      route: "off",
      target: "",
    }]);
    await store.pauseQueue({ route: "off", target: "" }, { at: 1, reason: "a person" });
    for (let n = 0; n < 2; n++) await store.append(newRequest({ queues: [queue, other!, paused!] }));
    const credits = [{ queue, limit: 1 }, { queue: other!, limit: 2 }, { queue: paused!, limit: 2 }];
    const { waiting } = await store.claim(credits, { token: "t1", now: 9_000 });
    assertEquals(waiting, [queue]);
    assertEquals((await store.claim([credits[0]!], { token: "t2", now: 9_000 })).waiting, []);
  },

  async "claim: says when the earliest that is not due yet will be"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [other] = await store.registerQueues([{ route: "mirror", target: "ci" }]);
    await store.append(newRequest({ queues: [queue] }));
    const delivery = await claimOne(store, queue);
    await store.settle(settlement(delivery, "ready", { dueAt: 70_000 }));
    await store.append(newRequest({ queues: [other!] }, { receivedAt: 60_000 }));
    const credits = [{ queue, limit: 1 }, { queue: other!, limit: 0 }];
    assertEquals((await store.claim(credits, { token: "t1", now: 50_000 })).nextDueAt, 60_000);
    assertEquals((await store.claim([credits[0]!], { token: "t2", now: 50_000 })).nextDueAt, 70_000);
    assertEquals((await store.claim([credits[0]!], { token: "t3", now: 70_000 })).nextDueAt, undefined);
  },

  async "claim: two claims at once share the work, no delivery twice"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    for (let i = 0; i < 5; i++) await store.append(newRequest({ queues: [queue] }));
    const claims = await Promise.all(
      ["t1", "t2", "t3"].map((token) => store.claim([{ queue, limit: 2 }], { token, now: 9_000 })),
    );
    const taken = claims.flatMap(({ deliveries }) => deliveries);
    assertEquals(claims.map(({ deliveries }) => deliveries.length), [2, 2, 1]);
    assertEquals(new Set(taken.map(({ id }) => id)).size, 5);
    assertEquals(claims.every((claim, at) => claim.deliveries.every(({ token }) => token === `t${at + 1}`)), true);
  },

  async "settle: keeps the attempt and ends the delivery"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const failed = settlement(await claimOne(store, queue), "ready", { reason: "503", output: "log", dueAt: 40_000 });
    assertEquals(await store.settle({ ...failed, attempt: { ...failed.attempt, codeHash: "abc" } }), true);
    const waiting = await store.delivery(failed.delivery.id);
    assertEquals([waiting?.state, waiting?.dueAt, waiting?.reason, waiting?.failures], ["ready", 40_000, "503", 1]);
    const done = settlement(await claimOne(store, queue, 40_000), "succeeded", { finishedAt: 41_000, result: "[1]" });
    assertEquals(await store.settle(done), true);
    const detail = await store.delivery(failed.delivery.id);
    assertEquals([detail?.state, detail?.dueAt, detail?.finishedAt, detail?.result, detail?.reason, detail?.failures], [
      "succeeded",
      undefined,
      41_000,
      "[1]",
      undefined,
      1,
    ]);
    assertEquals(detail?.attempts, [
      { ...failed.attempt, codeHash: "abc" },
      { ...done.attempt, output: undefined, codeHash: undefined },
    ]);
  },

  async "settle: a stale token changes nothing, not even the attempts"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const delivery = await claimOne(store, queue);
    const stale = { ...delivery, token: "somebody else's" };
    const before = await store.delivery(delivery.id);
    for (const state of ["succeeded", "ready", "dead"] as const) {
      assertEquals(await store.settle(settlement(stale, state)), false);
    }
    assertEquals(await store.delivery(delivery.id), before);
    assertEquals(await store.settle(settlement(delivery, "succeeded")), true);
    assertEquals(await store.settle(settlement(delivery, "dead")), false);
    const detail = await store.delivery(delivery.id);
    assertEquals([detail?.state, detail?.attempts.length], ["succeeded", 1]);
  },

  async "settle: of two ends of one attempt in one group the first counts"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const delivery = await claimOne(store, queue);
    const ends = [settlement(delivery, "succeeded"), settlement(delivery, "dead")];
    assertEquals(await Promise.all(ends.map((end) => store.settle(end))), [true, false]);
    const detail = await store.delivery(delivery.id);
    assertEquals([detail?.state, detail?.attempts.map(({ outcome }) => outcome)], ["succeeded", ["succeeded"]]);
  },

  async "settle: tried again because its answer was lost, it says that the lease held, and counts once"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    for (const state of ["succeeded", "ready", "dead"] as const) {
      await store.append(newRequest({ queues: [queue] }));
      const end = settlement(await claimOne(store, queue), state, { dueAt: 900_000 });
      assertEquals([await store.settle(end), await store.settle(end)], [true, true], state);
      const other = { ...end, attempt: { ...end.attempt, finishedAt: end.attempt.finishedAt + 1 } };
      assertEquals(await store.settle(other), false, "an end that nobody wrote");
      const detail = await store.delivery(end.delivery.id);
      assertEquals([detail?.state, detail?.attempts.length], [state, 1]);
      assertEquals(detail?.failures, end.transition.failures);
    }
  },

  async "settle: of the ends of two claims of one delivery in one group the later claim's counts"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const lost = await claimOne(store, queue);
    await store.settle(settlement(lost, "ready"));
    const held = await claimOne(store, queue, 90_000);
    const late = settlement(lost, "dead", { finishedAt: 95_000 });
    const ends = [late, settlement(held, "succeeded"), late];
    assertEquals(await Promise.all(ends.map((end) => store.settle(end))), [false, true, false]);
    const detail = await store.delivery(held.id);
    assertEquals([detail?.state, detail?.attempts.map(({ outcome }) => outcome)], ["succeeded", [
      "failed",
      "succeeded",
    ]]);
  },

  async "settle: counts failures and deaths as it is told"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const delivery = await claimOne(store, queue);
    const end = settlement(delivery, "ready");
    await store.settle({ ...end, transition: { ...end.transition, failures: 1, deaths: 1 } as typeof end.transition });
    const again = await claimOne(store, queue, 90_000);
    assertEquals([again.executions, again.failures, again.deaths], [2, 1, 1]);
  },

  async "settle: an interruption is an execution and no failure"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const delivery = await claimOne(store, queue);
    const end = settlement(delivery, "ready");
    await store.settle({
      delivery,
      transition: { state: "ready", failures: 0, deaths: 0, dueAt: 20_000, reason: "shutdown" },
      attempt: { ...end.attempt, outcome: "interrupted", reason: "shutdown" },
    });
    const again = await claimOne(store, queue, 20_000);
    assertEquals([again.executions, again.failures], [2, 0]);
    assertEquals((await store.delivery(delivery.id))?.attempts.map(({ outcome }) => outcome), ["interrupted"]);
  },

  async "cancel: a settlement that comes after it finds its lease gone"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const first = await claimOne(store, queue);
    await store.settle(settlement(first, "ready"));
    await store.cancel(first.id, { now: 21_000, reason: "by hand" });
    assertEquals(await store.settle(settlement(first, "succeeded")), false);
    assertEquals(await states(store), ["cancelled"]);
  },

  async "registerQueues: numbers stay with their names"(fixture) {
    const { store } = await openWithQueue(fixture);
    const names = [{ route: "b", target: "" }, { route: "a", target: "x" }, { route: "a", target: "" }];
    const ids = await store.registerQueues(names);
    assertEquals(new Set(ids).size, 3);
    assertEquals(await store.registerQueues(names.toReversed()), ids.toReversed());
    assertEquals(await store.registerQueues([]), []);
    const again = await fixture.open();
    assertEquals(await again.registerQueues(names), ids);
  },

  async "ping: answers while the log is open; afterwards it throws and so does everything"(fixture) {
    const { store } = await openWithQueue(fixture);
    await store.ping();
    await Promise.all([store.close(), store.close()]);
    const refusals = await Promise.allSettled([store.ping(), store.append(newRequest({})), store.events({ limit: 1 })]);
    assertEquals(
      refusals.map((refusal) => refusal.status === "rejected" && refusal.reason.name),
      ["StoreUnavailable", "StoreUnavailable", "StoreUnavailable"],
    );
  },

  async "close: waits for what was handed over"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const appended = Promise.all([1, 2, 3].map(() => store.append(newRequest({ queues: [queue] }))));
    await store.close();
    await appended;
    const again = await openWithQueue(fixture);
    assertEquals((await claimAll(again.store, again.queue)).length, 3);
    assertEquals((await allDeliveries(again.store)).length, 3);
  },
};
