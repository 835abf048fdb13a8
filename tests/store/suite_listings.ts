/**
 * Suite: what people see. Pages neither skip nor repeat a row, filters combine, and nothing waits without a reason that
 * can be shown.
 */

import { assertEquals } from "@std/assert";
import { attemptsShownMax } from "../../core/store/listings.ts";
import type { Page, Store } from "../../core/store/store.ts";
import { claimAll, claimOne, newRequest, openWithQueue, settlement, type StoreTest } from "./fixture.ts";

/** Walks a listing page by page, doing `between` after each page. */
async function walk<Row extends { id: string }>(
  read: (before?: number) => Promise<Page<Row>>,
  between: () => Promise<unknown>,
): Promise<string[]> {
  const ids: string[] = [];
  let page = await read();
  for (;;) {
    ids.push(...page.rows.map(({ id }) => id));
    if (page.nextBefore === undefined) return ids;
    await between();
    page = await read(page.nextBefore);
  }
}

async function appendMany(
  store: Store,
  queue: number,
  count: number,
): Promise<{ events: string[]; deliveries: string[] }> {
  const request = newRequest(Array.from({ length: count }, () => ({ queues: [queue] })));
  await store.append(request);
  return {
    events: request.events.map(({ id }) => id).reverse(),
    deliveries: request.events.map(({ deliveries }) => deliveries[0]!.id).reverse(),
  };
}

export const listingTests: Record<string, StoreTest> = {
  async "events: pages are newest first, whole, and unmoved by arrivals"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const { events } = await appendMany(store, queue, 23);
    const seen = await walk((before) => store.events({ before, limit: 5 }), () => appendMany(store, queue, 3));
    assertEquals(seen, events);
  },

  async "deliveries: pages are newest first, whole, and unmoved by arrivals and ends"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const { deliveries } = await appendMany(store, queue, 23);
    const seen = await walk((before) => store.deliveries({ before, limit: 5 }), async () => {
      await appendMany(store, queue, 2);
      const claim = await store.claim([{ queue, limit: 2 }], { token: crypto.randomUUID(), now: 5_000 });
      for (const delivery of claim.deliveries) await store.settle(settlement(delivery, "dead"));
    });
    assertEquals(seen, deliveries);
  },

  async "deliveries: a page of one state is whole too"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const { deliveries } = await appendMany(store, queue, 9);
    for (const delivery of await claimAll(store, queue)) await store.settle(settlement(delivery, "dead"));
    const seen = await walk(
      (before) => store.deliveries({ state: "dead", before, limit: 4 }),
      () => appendMany(store, queue, 1),
    );
    assertEquals(seen, deliveries);
  },

  async "events: a limit is kept between one and the most"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await appendMany(store, queue, 505);
    assertEquals((await store.events({ limit: 0 })).rows.length, 1);
    assertEquals((await store.events({ limit: 10_000 })).rows.length, 500);
    assertEquals((await store.deliveries({ limit: 10_000 })).rows.length, 500);
  },

  async "events: filters by source and type"(fixture) {
    const { store } = await openWithQueue(fixture);
    for (const [source, type] of [["a", "x"], ["a", "y"], ["b", "x"]]) {
      await store.append(newRequest({ type }, { source }));
    }
    const list = async (filter: { source?: string; type?: string }): Promise<string[]> =>
      (await store.events({ ...filter, limit: 10 })).rows.map(({ source, type }) => source + type);
    assertEquals(await list({ source: "a" }), ["ay", "ax"]);
    assertEquals(await list({ type: "x" }), ["bx", "ax"]);
    assertEquals(await list({ source: "a", type: "x" }), ["ax"]);
    assertEquals(await list({ source: "c" }), []);
  },

  async "deliveries: filters by route, target, lane, state and event"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [ci, qa] = await store.registerQueues([{ route: "mirror", target: "ci" }, { route: "mirror", target: "qa" }]);
    const first = newRequest({ queues: [queue, ci!, qa!], lane: "a" });
    const second = newRequest({ queues: [queue, ci!], lane: "b" });
    await store.append(first);
    await store.append(second);
    await store.settle(settlement((await claimAll(store, ci!))[0]!, "dead"));
    const [toQueue, toCi, toQa] = first.events[0]!.deliveries.map(({ id }) => id);
    const [toQueue2, toCi2] = second.events[0]!.deliveries.map(({ id }) => id);
    const list = async (filter: object): Promise<string[]> =>
      (await store.deliveries({ ...filter, limit: 10 })).rows.map(({ id }) => id);
    assertEquals(await list({ route: "mirror" }), [toCi2, toQa, toCi]);
    assertEquals(await list({ route: "mirror", target: "ci" }), [toCi2, toCi]);
    assertEquals(await list({ target: "" }), [toQueue2, toQueue]);
    assertEquals(await list({ lane: "a" }), [toQa, toCi, toQueue]);
    assertEquals(await list({ state: "dead" }), [toCi]);
    assertEquals(await list({ state: "running" }), [toCi2]);
    assertEquals(await list({ state: "ready", lane: "a" }), [toQa, toQueue]);
    assertEquals(await list({ eventId: second.events[0]!.id }), [toCi2, toQueue2]);
    assertEquals(await list({ eventId: "evt_none" }), []);
    assertEquals(await list({ route: "none" }), []);
    assertEquals(await list({ route: "mirror", state: "succeeded" }), []);
  },

  async "delivery: a blocked one names the head that it waits behind"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest([1, 2, 3].map(() => ({ queues: [queue], lane: "a" })));
    await store.append(request);
    const [first, second, third] = request.events.map(({ deliveries }) => deliveries[0]!.id);
    assertEquals((await store.delivery(third!))?.behind, first);
    assertEquals((await store.delivery(first!))?.behind, undefined);
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    assertEquals((await store.delivery(third!))?.behind, second);
    assertEquals(await store.delivery("dlv_none"), undefined);
  },

  async "delivery: names the latest that was made from it, and none that was made from another"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ queues: [queue] });
    await store.append(request);
    const first = request.events[0]!.deliveries[0]!.id;
    const successor = async (id: string) => (await store.delivery(id))?.redeliveredAs;
    const die = async () => await store.settle(settlement(await claimOne(store, queue), "dead"));
    await die();
    assertEquals(await successor(first), undefined);
    await store.redeliver(first, { id: "dlv_a", now: 3_000 });
    assertEquals(await successor(first), { id: "dlv_a", state: "ready" });
    await die();
    await store.redeliver("dlv_a", { id: "dlv_b", now: 4_000 });
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    assertEquals(await successor(first), { id: "dlv_b", state: "succeeded" });
    await store.redeliver(first, { id: "dlv_c", now: 5_000 });
    assertEquals((await successor(first))?.id, "dlv_c");
    assertEquals((await successor("dlv_a"))?.id, "dlv_b");
    assertEquals(await successor("dlv_c"), undefined);
  },

  async "delivery: shows the latest attempts of very many, in order"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const many = attemptsShownMax + 5;
    for (let n = 1; n <= many; n++) await store.settle(settlement(await claimOne(store, queue, 30_000), "ready"));
    const [row] = (await store.deliveries({ limit: 1 })).rows;
    const numbers = (await store.delivery(row!.id))!.attempts.map(({ n }) => n);
    assertEquals([numbers.length, numbers[0], numbers.at(-1)], [attemptsShownMax, 6, many]);
  },

  async "event: counts its deliveries by state, here and in the list"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [other] = await store.registerQueues([{ route: "mirror", target: "ci" }]);
    const request = newRequest({ queues: [queue, other!] });
    await store.append(request);
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    const expected = { succeeded: 1, ready: 1 };
    assertEquals((await store.event(request.events[0]!.id))?.deliveries, expected);
    assertEquals((await store.events({ limit: 1 })).rows[0]?.deliveries, expected);
    assertEquals(await store.event("evt_none"), undefined);
  },

  async "queues: counts what is open and what is dead, by queue"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const [other] = await store.registerQueues([{ route: "mirror", target: "ci" }]);
    const append = (spec: object, receivedAt: number): Promise<unknown> =>
      store.append(newRequest({ queues: [queue], ...spec }, { receivedAt }));
    await append({}, 1_000); // will be dead
    await append({}, 1_001); // will have succeeded
    await append({}, 1_002); // will run
    const [dead, done] = await claimAll(store, queue);
    await store.settle(settlement(dead!, "dead"));
    await store.settle(settlement(done!, "succeeded"));
    for (const lane of ["a", "a", "a", "b", undefined]) await append({ lane }, 1_003);
    await append({ parkedReason: "looked odd" }, 1_004);
    const open = { paused: undefined, breaker: { failures: 0, openUntil: undefined }, rateAt: 0 };
    const noLanes = { lanes: 0, laneDepthMax: 0, laneHeadAt: undefined };
    const lanes = { lanes: 2, laneDepthMax: 3, laneHeadAt: 1_003 };
    assertEquals(await store.queues(), [
      {
        route: "mirror",
        target: "ci",
        ready: 0,
        blocked: 0,
        running: 0,
        parked: 0,
        dead: 0,
        oldestAt: undefined,
        ...open,
        ...noLanes,
      },
      {
        route: "orders",
        target: "",
        ready: 3,
        blocked: 2,
        running: 1,
        parked: 1,
        dead: 1,
        oldestAt: 1_002,
        ...open,
        ...lanes,
      },
    ]);
    assertEquals(
      (await store.gates()).map(({ route, running }) => [route, running]),
      [["mirror", 0], ["orders", 1]],
    );
    assertEquals(other !== queue, true);
  },
};
