/**
 * Suite: what a queue lets through, counted inside the claim: pause, concurrency, rate and breaker.
 */

import { assertEquals } from "@std/assert";
import type { ClaimedDelivery, Credit, Store } from "../../core/store/store.ts";
import { allDeliveries, newRequest, openWithQueue, settlement, states, type StoreTest, uniqueId } from "./fixture.ts";

const breaker = { failures: 3, openMs: 1_000, openMsMax: 4_000 };

/** Claims under the given limits; says how many came and when to ask again. */
async function claim(
  store: Store,
  credit: Credit,
  now: number,
): Promise<{ taken: readonly ClaimedDelivery[]; next?: number }> {
  const { deliveries, nextDueAt } = await store.claim([credit], { token: uniqueId("tok"), now });
  return { taken: deliveries, next: nextDueAt };
}

async function appendMany(store: Store, queue: number, count: number): Promise<void> {
  await store.append(newRequest(Array.from({ length: count }, () => ({ queues: [queue] }))));
}

export const flowTests: Record<string, StoreTest> = {
  async "claim: no more of a queue run at once than its concurrency, over all claims"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 9);
    const credit = { queue, limit: 5, concurrency: 3 };
    const { taken } = await claim(store, credit, 5_000);
    assertEquals([taken.length, (await claim(store, credit, 5_000)).taken.length], [3, 0]);
    await store.settle(settlement(taken[0]!, "succeeded"));
    assertEquals((await claim(store, credit, 5_000)).taken.length, 1);
    assertEquals((await claim(store, { queue, limit: 1 }, 5_000)).taken.length, 1); // absent means any number
  },

  async "claim: a lane that has had its turn goes behind those that wait for theirs"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const append = (lane: string | undefined, receivedAt: number): Promise<unknown> =>
      store.append(newRequest({ queues: [queue], lane }, { receivedAt }));
    for (const at of [1_000, 1_001, 1_002]) await append("hot", at);
    await append("cold", 1_500);
    await append(undefined, 1_600);
    const turns: (string | undefined)[] = [];
    for (let now = 2_000; now < 2_500; now += 100) {
      const { taken: [head] } = await claim(store, { queue, limit: 1, concurrency: 1 }, now);
      turns.push(head!.lane);
      await store.settle(settlement(head!, "succeeded", { finishedAt: now + 50 }));
    }
    assertEquals(turns, ["hot", "cold", undefined, "hot", "hot"]);
  },

  async "append: what comes in one group is due no later than a claim that shares its commit may be"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await Promise.all(
      [[1_000, "a"], [1_600, undefined], [2_000, "b"]].map(([receivedAt, lane]) =>
        store.append(newRequest({ queues: [queue], lane: lane as string }, { receivedAt: receivedAt as number }))
      ),
    );
    assertEquals((await claim(store, { queue, limit: 9 }, 1_500)).taken.map(({ lane }) => lane), ["a"]);
  },

  async "claim: a lane's next is due whatever the clock says of whoever ended the one before"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest([1, 2, 3].map(() => ({ queues: [queue], lane: "a" }))));
    const day = 86_400_000;
    for (const finishedAt of [day, 1_900]) {
      const { taken: [head] } = await claim(store, { queue, limit: 1 }, 2_000);
      await store.settle(settlement(head!, "succeeded", { finishedAt }));
    }
    const { taken } = await claim(store, { queue, limit: 1 }, 2_000);
    assertEquals(taken.map(({ lane }) => lane), ["a"]);
  },

  async "claim: nothing of a paused queue, everything of it afterwards"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const name = { route: "orders", target: "" };
    assertEquals(await store.pauseQueue(name, { at: 7, reason: "maintenance" }), true);
    await appendMany(store, queue, 2); // what comes is kept
    const closed = await claim(store, { queue, limit: 5 }, 5_000);
    assertEquals([closed.taken.length, closed.next], [0, undefined]);
    assertEquals((await store.queues())[0]?.paused, { at: 7, reason: "maintenance" });
    const reopened = await openWithQueue(fixture); // a pause outlives the engine
    assertEquals((await claim(reopened.store, { queue, limit: 5 }, 5_000)).taken.length, 0);
    assertEquals(await reopened.store.pauseQueue(name, undefined), true);
    assertEquals((await claim(reopened.store, { queue, limit: 5 }, 5_000)).taken.length, 2);
    assertEquals(await reopened.store.pauseQueue({ route: "none", target: "" }, undefined), false);
  },

  async "pauseSource: is remembered until it is taken back"(fixture) {
    const { store } = await openWithQueue(fixture);
    await store.pauseSource("shop", { at: 7, reason: "flood" });
    const again = await fixture.open();
    assertEquals((await again.sources()).map(({ name, paused }) => [name, paused]), [
      ["shop", { at: 7, reason: "flood" }],
    ]);
    await again.pauseSource("shop", undefined);
    assertEquals((await again.sources())[0]?.paused, undefined);
  },

  async "claim: a rate limit spends a bucket and refills it evenly"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 12);
    const credit = { queue, limit: 100, rateLimit: { count: 4, perMs: 1_000 } };
    const counts: number[] = [];
    for (const now of [5_000, 5_000, 5_249, 5_250, 5_600, 5_750, 9_000]) {
      counts.push((await claim(store, credit, now)).taken.length);
    }
    assertEquals(counts, [4, 0, 0, 1, 1, 1, 4]); // a long rest fills the bucket once, not more
  },

  async "claim: says when the rate limit lets the next one through, and is then as good as its word"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 40);
    for (const count of [3, 7, 9]) {
      const credit = { queue, limit: 100, rateLimit: { count, perMs: 1_000 } };
      let now = 1_700_000_000_000 + count * 100_000;
      await claim(store, credit, now);
      for (let i = 0; i < 3; i++) {
        const { taken, next } = await claim(store, credit, now);
        assertEquals([taken.length, next === undefined || next <= now], [0, false], `${count}/s at ${now}`);
        now = next!;
        assertEquals((await claim(store, credit, now)).taken.length, 1, `${count}/s at ${now}`);
      }
    }
  },

  async "claim: a rate limit counts what was claimed, not what was asked for"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const credit = { queue, limit: 100, rateLimit: { count: 2, perMs: 1_000 } };
    assertEquals((await claim(store, credit, 5_000)).taken.length, 0);
    await appendMany(store, queue, 1);
    assertEquals((await claim(store, credit, 5_000)).taken.length, 1);
    await appendMany(store, queue, 5);
    assertEquals((await claim(store, credit, 5_000)).taken.length, 1);
  },

  async "breaker: opens after failures in a row, probes one at a time, and closes on success"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 8);
    const credit = { queue, limit: 10, breaker };
    const end = async (delivery: ClaimedDelivery, state: "dead" | "succeeded", finishedAt: number): Promise<void> =>
      void await store.settle({ ...settlement(delivery, state, { finishedAt }), breaker });

    const { taken } = await claim(store, { ...credit, limit: 3 }, 5_000);
    for (const delivery of taken) await end(delivery, "dead", 6_000);
    const open = await claim(store, credit, 6_999);
    assertEquals([open.taken.length, open.next], [0, 7_000]);
    assertEquals((await store.queues())[0]?.breaker, { failures: 3, openUntil: 7_000 });

    const probe = await claim(store, credit, 7_000);
    assertEquals([probe.taken.length, (await claim(store, credit, 7_000)).taken.length], [1, 0]);
    await end(probe.taken[0]!, "dead", 7_000);
    assertEquals((await claim(store, credit, 8_999)).next, 9_000); // twice as long as the first time
    const second = await claim(store, credit, 9_000);
    await end(second.taken[0]!, "succeeded", 9_000);
    assertEquals((await store.queues())[0]?.breaker, { failures: 0, openUntil: undefined });
    assertEquals((await claim(store, credit, 9_000)).taken.length, 3);
  },

  async "breaker: stays open no longer than it may, and is remembered across starts"(fixture) {
    const opened = await openWithQueue(fixture);
    await appendMany(opened.store, opened.queue, 8);
    const fail = (delivery: ClaimedDelivery, at: number): Promise<boolean> =>
      opened.store.settle({ ...settlement(delivery, "ready", { finishedAt: at, dueAt: at }), breaker });
    // Eight were under way: the third opens it, and the five after that say nothing new.
    const { taken } = await claim(opened.store, { queue: opened.queue, limit: 8 }, 5_000);
    for (const delivery of taken) await fail(delivery, 6_000);
    const probes: [at: number, reopensAt: number][] = [[7_000, 9_000], [9_000, 13_000], [13_000, 17_000]];
    for (const [at, reopensAt] of probes) {
      const credit = { queue: opened.queue, limit: 8, breaker };
      assertEquals((await claim(opened.store, credit, at - 1)).next, at);
      for (const probe of (await claim(opened.store, credit, at)).taken) await fail(probe, at);
      assertEquals((await opened.store.queues())[0]?.breaker.openUntil, reopensAt);
    }
    const { store, queue } = await openWithQueue(fixture);
    assertEquals((await claim(store, { queue, limit: 8, breaker }, 16_999)).next, 17_000);
    assertEquals((await claim(store, { queue, limit: 8, breaker }, 17_000)).taken.length, 1);
  },

  async "breaker: an outcome under a lost lease does not count, an interruption neither"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 1);
    const [delivery] = (await claim(store, { queue, limit: 1 }, 5_000)).taken;
    await store.settle({ ...settlement({ ...delivery!, token: "stale" }, "dead"), breaker });
    const end = settlement(delivery!, "ready");
    await store.settle({ ...end, breaker, attempt: { ...end.attempt, outcome: "interrupted" } });
    assertEquals((await store.queues())[0]?.breaker.failures, 0);
  },

  async "claim: a clock that is set back empties the bucket and no more, whatever it was spent to"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 40);
    const credit = { queue, limit: 100, rateLimit: { count: 4, perMs: 1_000 } };
    const starts = async (now: number): Promise<number> => (await claim(store, credit, now)).taken.length;
    const late = 8_000_000;
    assertEquals(await starts(late), 4);
    // Less than clocks differ: another engine may be right, and this one waits for it.
    assertEquals([await starts(late - 60_000), await starts(late), await starts(late + 250)], [0, 0, 1]);
    const back = late - 3_600_000;
    const first = await claim(store, credit, back);
    assertEquals([first.taken.length, first.next], [0, back + 250], "late, and never more than the rate from now on");
    assertEquals([await starts(back + 249), await starts(back + 250), await starts(back + 1_000)], [0, 1, 3]);
    assertEquals(await starts(back + 100_000), 4);
  },

  async "breaker: an end further ahead than it can be set holds nothing, and a failed probe sets it anew"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 8);
    const credit = { queue, limit: 3, breaker };
    const late = 8_000_000;
    const fail = (delivery: ClaimedDelivery, finishedAt: number): Promise<boolean> =>
      store.settle({ ...settlement(delivery, "dead", { finishedAt }), breaker });
    for (const delivery of (await claim(store, credit, late)).taken) await fail(delivery, late);
    const within = await claim(store, credit, late - 60_000);
    assertEquals([within.taken.length, within.next], [0, late + 1_000]);
    const back = late - 3_600_000;
    const { taken: [probe], next } = await claim(store, credit, back);
    assertEquals([probe === undefined, next, (await claim(store, credit, back)).taken.length], [false, undefined, 0]);
    await fail(probe!, back);
    assertEquals((await store.queues())[0]?.breaker, { failures: 4, openUntil: back + 2_000 });
    assertEquals((await claim(store, credit, back + 1_999)).taken.length, 0);
    assertEquals((await claim(store, credit, back + 2_000)).taken.length, 1);
  },

  async "breaker: one that opens sooner since a reload counts the failures of its probes"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 4);
    const end = async (policy: typeof breaker, at: number): Promise<void> => {
      const { taken: [delivery] } = await claim(store, { queue, limit: 1, breaker: policy }, at);
      await store.settle({ ...settlement(delivery!, "dead", { finishedAt: at }), breaker: policy });
    };
    await end(breaker, 5_000);
    await end(breaker, 5_000);
    await end({ ...breaker, failures: 1 }, 6_000);
    assertEquals((await store.queues())[0]?.breaker, { failures: 3, openUntil: 10_000 });
  },

  async "settle: a parked head keeps its lane, and halt stops the whole queue with it"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(
      newRequest([{ queues: [queue], lane: "a" }, { queues: [queue], lane: "a" }, { queues: [queue] }]),
    );
    const [head] = (await claim(store, { queue, limit: 1 }, 5_000)).taken;
    const end = settlement(head!, "parked", { finishedAt: 6_000, reason: "rejected: no" });
    await store.settle({
      ...end,
      transition: { state: "parked", failures: 1, deaths: 0, reason: "rejected: no", halt: true },
    });
    assertEquals(await states(store), ["parked", "blocked", "ready"]);
    assertEquals((await store.queues())[0]?.paused, { at: 6_000, reason: `halted by ${head!.id}: rejected: no` });
    assertEquals((await claim(store, { queue, limit: 5 }, 7_000)).taken.length, 0);
  },

  async "settle: halt leaves a pause that somebody else made as it is"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 1);
    const [delivery] = (await claim(store, { queue, limit: 1 }, 5_000)).taken;
    await store.pauseQueue({ route: "orders", target: "" }, { at: 5_500, reason: "maintenance" });
    const end = settlement(delivery!, "parked", { finishedAt: 6_000 });
    await store.settle({
      ...end,
      transition: { state: "parked", failures: 1, deaths: 0, reason: "rejected: no", halt: true },
    });
    assertEquals(await states(store), ["parked"]);
    assertEquals((await store.queues())[0]?.paused, { at: 5_500, reason: "maintenance" });
  },

  async "redeliver: the write itself asks whether something repeats it already, where it is to be repeated once"(
    fixture,
  ) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 1);
    const [old] = (await claim(store, { queue, limit: 1 }, 5_000)).taken;
    await store.settle(settlement(old!, "dead"));
    const again = (id: string, unrepeated?: boolean) => store.redeliver(old!.id, { id, now: 30_000, unrepeated });
    assertEquals(await Promise.all([again("dlv_b", true), again("dlv_c", true), again("dlv_d")]), [true, false, true]);
    assertEquals(await states(store), ["dead", "ready", "ready"]);
  },

  async "resume: a parked delivery keeps its place and begins its attempts anew"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest([{ queues: [queue], lane: "a" }, { queues: [queue], lane: "a" }]));
    const [head] = (await claim(store, { queue, limit: 1 }, 5_000)).taken;
    await store.settle(settlement(head!, "parked"));
    assertEquals(await store.resume(head!.id, { now: 30_000 }), true);
    assertEquals(await store.resume(head!.id, { now: 30_000 }), false);
    const [again] = (await claim(store, { queue, limit: 5 }, 30_000)).taken;
    assertEquals([again!.id, again!.failures, again!.executions], [head!.id, 0, 2]);
  },

  async "skip: ends what waits or is parked, and its lane goes on"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest([1, 2, 3].map(() => ({ queues: [queue], lane: "a" }))));
    const ids = (await allDeliveries(store)).map(({ id }) => id);
    const [head] = (await claim(store, { queue, limit: 1 }, 5_000)).taken;
    assertEquals(await store.skip(ids[0]!, { now: 6_000, reason: "by hand" }), false); // it runs
    await store.settle(settlement(head!, "parked"));
    assertEquals(await store.skip(ids[1]!, { now: 6_000, reason: "by hand" }), true);
    assertEquals(await store.skip(ids[0]!, { now: 6_000, reason: "by hand" }), true);
    assertEquals(await states(store), ["skipped", "skipped", "ready"]);
    assertEquals((await store.delivery(ids[0]!))?.reason, "by hand");
  },
};
