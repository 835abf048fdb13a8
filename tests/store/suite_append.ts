/**
 * Suite: what an append promises. All or nothing per request, once per idempotency key, and a duplicate leaves no trace
 * but its count.
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import { allDeliveries, claimAll, newRequest, openWithQueue, states, type StoreTest } from "./fixture.ts";

export const appendTests: Record<string, StoreTest> = {
  async "append: an event is accepted and can be read back"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ key: "k1", queues: [queue], type: "order.paid", time: 900 }, {
      query: "a=1",
      headers: { "x-id": "7" },
    });
    const { id } = request.events[0]!;
    assertEquals(await store.append(request), [{ status: "accepted", eventId: id }]);
    const { raw, deliveryRows, ...event } = (await store.event(id))!;
    assertEquals(event, {
      seq: 1,
      id,
      source: "shop",
      type: "order.paid",
      idempotencyKey: "k1",
      time: 900,
      receivedAt: 1_000,
      duplicates: 0,
      mismatches: 0,
      lastDuplicateAt: undefined,
      replayOf: undefined,
      deliveries: { ready: 1 },
      query: "a=1",
      headers: { "x-id": "7" },
      item: undefined,
    });
    assertEquals(raw, request.raw);
    assertEquals(deliveryRows.map(({ id }) => id), [request.events[0]!.deliveries[0]!.id]);
  },

  async "append: an event that no route matched is kept"(fixture) {
    const { store } = await openWithQueue(fixture);
    const request = newRequest({ key: "k1" });
    await store.append(request);
    assertEquals((await store.event(request.events[0]!.id))?.deliveries, {});
  },

  async "append: a key repeated in one group is a duplicate of the first"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const requests = [1, 2, 3].map(() => newRequest({ key: "same", queues: [queue] }));
    const first = requests[0]!.events[0]!.id;
    const answers = await Promise.all(requests.map((request) => store.append(request)));
    assertEquals(answers.flat(), [
      { status: "accepted", eventId: first },
      { status: "duplicate", eventId: first },
      { status: "duplicate", eventId: first },
    ]);
    assertEquals(await states(store), ["ready"]);
  },

  async "append: a key repeated within one request is a duplicate of the first"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest([{ key: "same", queues: [queue] }, { key: "same", queues: [queue] }, { key: "other" }]);
    const [first, , third] = request.events;
    assertEquals(await store.append(request), [
      { status: "accepted", eventId: first!.id },
      { status: "duplicate", eventId: first!.id },
      { status: "accepted", eventId: third!.id },
    ]);
    assertEquals((await store.events({ limit: 10 })).rows.map(({ id }) => id), [third!.id, first!.id]);
  },

  async "append: a key repeated later is a duplicate, whatever its body, and across starts"(fixture) {
    const opened = await openWithQueue(fixture);
    const first = newRequest({ key: "k", queues: [opened.queue] });
    await opened.store.append(first);
    const { store, queue } = await openWithQueue(fixture);
    const second = newRequest({ key: "k", queues: [queue], sha256: "1".repeat(64) }, { raw: new Uint8Array([1, 2]) });
    assertEquals(await store.append(second), [{ status: "duplicate", eventId: first.events[0]!.id }]);
    assertEquals(await store.event(second.events[0]!.id), undefined);
    assertEquals((await store.event(first.events[0]!.id))?.raw, first.raw);
  },

  async "append: a duplicate is counted on the first event and its deliveries never appear"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const first = newRequest({ key: "k", queues: [queue], lane: "a" });
    await store.append(first);
    for (let i = 0; i < 3; i++) await store.append(newRequest({ key: "k", queues: [queue], lane: "a" }));
    assertEquals((await store.events({ limit: 10 })).rows.map(({ duplicates }) => duplicates), [3]);
    assertEquals((await allDeliveries(store)).map(({ id }) => id), [first.events[0]!.deliveries[0]!.id]);
  },

  async "append: a request that is duplicate in part keeps its new events"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const first = newRequest({ key: "k1", queues: [queue] });
    await store.append(first);
    const raw = new TextEncoder().encode(`[{"n":1},{"n":2}]`);
    const mixed = newRequest([{ key: "k1", item: `{"n":1}`, queues: [queue] }, {
      key: "k2",
      item: `{"n":2}`,
      queues: [queue],
    }], { raw });
    const kept = mixed.events[1]!.id;
    assertEquals(await store.append(mixed), [
      { status: "duplicate", eventId: first.events[0]!.id },
      { status: "accepted", eventId: kept },
    ]);
    const detail = await store.event(kept);
    assertEquals([detail?.item, detail?.raw], [`{"n":2}`, raw]);
    assertEquals(await states(store), ["ready", "ready"]);
  },

  async "append: the same key of two sources is two events"(fixture) {
    const { store } = await openWithQueue(fixture);
    const [a, b] = await Promise.all([
      store.append(newRequest({ key: "k" }, { source: "one" })),
      store.append(newRequest({ key: "k" }, { source: "two" })),
    ]);
    assertEquals([a[0]!.status, b[0]!.status], ["accepted", "accepted"]);
  },

  async "append: events without a key are never duplicates"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await Promise.all([1, 2].map(() => store.append(newRequest({ queues: [queue] }))));
    assertEquals(await states(store), ["ready", "ready"]);
  },

  async "append: an expired key is taken over by the next event, and only by that one"(fixture) {
    const { store, queue } = await openWithQueue(fixture, { idempotencyMs: 500 });
    const at = (receivedAt: number) => store.append(newRequest({ key: "k", queues: [queue] }, { receivedAt }));
    const [[first], [inside], [after], [again]] = [await at(1_000), await at(1_499), await at(1_500), await at(1_999)];
    assertEquals(inside, { status: "duplicate", eventId: first!.eventId });
    assertEquals(after!.status, "accepted");
    assertNotEquals(after!.eventId, first!.eventId);
    assertEquals(again, { status: "duplicate", eventId: after!.eventId });
    assertEquals(await states(store), ["ready", "ready"]);
  },

  async "append: what a key has counted stays with its event when the next one takes it over"(fixture) {
    const { store } = await openWithQueue(fixture, { idempotencyMs: 500 });
    const other = { sha256: "1".repeat(64) };
    for (const receivedAt of [1_000, 1_200, 1_600]) {
      await store.append(newRequest({ key: "k" }, { receivedAt }));
      await store.append(newRequest({ key: "k", ...other }, { receivedAt: receivedAt + 100 }));
    }
    const rows = (await store.events({ limit: 10 })).rows;
    assertEquals(rows.map(({ duplicates, mismatches, lastDuplicateAt }) => [duplicates, mismatches, lastDuplicateAt]), [
      [1, 1, 1_700],
      [3, 2, 1_300],
    ]);
  },

  async "append: a refused replay counts for the event that it repeats, and prolongs nothing"(fixture) {
    const { store } = await openWithQueue(fixture, { idempotencyMs: 500 });
    const answers: string[] = [];
    const append = async (key: string, receivedAt: number, sha256 = "0".repeat(64)): Promise<void> => {
      const [answer] = await store.append(newRequest({ key, sha256 }, { receivedAt, replays: "refuse" }));
      answers.push(answer!.status);
    };
    const counted = async (): Promise<unknown> => {
      const { rows } = await store.events({ limit: 10 });
      return rows.map(({ idempotencyKey, duplicates, mismatches, lastDuplicateAt }) => [
        idempotencyKey,
        duplicates,
        mismatches,
        lastDuplicateAt,
      ]);
    };
    await append("k1", 1_000);
    await append("k1", 1_100);
    await append("k2", 1_400); // a replay
    await append("k2", 1_450, "1".repeat(64));
    await append("k3", 1_600); // the window of k1 is over, and that of the replay is none
    await append("k2", 1_650);
    assertEquals(answers.splice(0), ["accepted", "duplicate", "duplicate", "duplicate", "accepted", "duplicate"]);
    assertEquals(await counted(), [["k3", 0, 0, undefined], ["k1", 4, 1, 1_650]]);
    await append("k2", 2_000); // taken over, and a replay of the other one now
    await append("k2", 2_050);
    assertEquals(answers, ["duplicate", "duplicate"]);
    assertEquals(await counted(), [["k3", 2, 0, 2_050], ["k1", 4, 1, 1_650]]);
  },

  async "append: the key of a cron tick outlives every other"(fixture) {
    const { store } = await openWithQueue(fixture, { idempotencyMs: 500 });
    const tick = async (receivedAt: number): Promise<string> => {
      const request = newRequest({ key: "2025-01-31T03:00:00.000Z" }, { receivedAt, cronAt: 1_000 });
      return (await store.append(request))[0]!.status;
    };
    const day = 86_400_000;
    assertEquals([await tick(1_000), await tick(6 * day), await tick(8 * day)], ["accepted", "duplicate", "accepted"]);
  },

  async "append: a key can be any text, and two keys stay two"(fixture) {
    const { store } = await openWithQueue(fixture);
    const keys = [
      "ключ",
      "鍵",
      "🗝️",
      "e\u0301",
      "é",
      "a b",
      "'; --",
      "42",
      " 42",
      "4\u00002",
      "4\\u2",
      "\ud83d",
      "x".repeat(9_000),
    ];
    for (const key of keys) {
      const request = newRequest({ key });
      assertEquals(await store.append(request), [{ status: "accepted", eventId: request.events[0]!.id }], key);
      assertEquals((await store.append(newRequest({ key })))[0], {
        status: "duplicate",
        eventId: request.events[0]!.id,
      }, key);
    }
    assertEquals((await store.events({ limit: 100 })).rows.length, keys.length);
  },

  async "append: a key of digits stays text"(fixture) {
    const { store } = await openWithQueue(fixture);
    const [text, number] = [newRequest({ key: "42" }), newRequest({ key: 43 as unknown as string })];
    await store.append(text);
    await store.append(number);
    assertEquals((await store.event(text.events[0]!.id))?.idempotencyKey, "42");
    assertEquals((await store.event(number.events[0]!.id))?.idempotencyKey, "43");
    assertEquals((await store.append(newRequest({ key: "43" })))[0]?.status, "duplicate");
  },

  async "append: one bad request among good ones fails alone"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const good = [1, 2, 3, 4].map(() => newRequest({ queues: [queue], lane: "a" }));
    const bad = newRequest({ queues: [queue + 77] });
    const answers = await Promise.allSettled([good[0]!, good[1]!, bad, good[2]!, good[3]!].map((r) => store.append(r)));
    assertEquals(answers.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
    assertEquals(await store.event(bad.events[0]!.id), undefined);
    assertEquals((await allDeliveries(store)).map(({ id }) => id), good.map((r) => r.events[0]!.deliveries[0]!.id));
    assertEquals(await states(store), ["ready", "blocked", "blocked", "blocked"]);
  },

  async "append: a request's events are in the log together with their keys, or not at all (trap: dedupe outside the event's transaction)"(
    fixture,
  ) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest([{ key: "a", queues: [queue] }, { key: "b", queues: [queue] }, {
      key: "c",
      queues: [queue + 77],
    }]);
    await store.append(request).then(() => Promise.reject(new Error("accepted")), () => {});
    assertEquals((await store.events({ limit: 10 })).rows, []);
    const [again] = await store.append(newRequest({ key: "a" }));
    assertEquals(again!.status, "accepted"); // no key of it was remembered either
  },

  async "append: a hundred events of one request keep their order"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest(Array.from({ length: 100 }, (_, i) => ({ type: `t${i}`, queues: [queue] })));
    await store.append(request);
    const claimed = await claimAll(store, queue);
    assertEquals(claimed.map(({ event }) => event.type), request.events.map(({ type }) => type));
  },

  async "append: a time that no number holds is left out, a fraction is cut"(fixture) {
    const { store } = await openWithQueue(fixture);
    const times = [1_700_000_000_000_000_000, NaN, Infinity, 12.75, -1, undefined];
    const request = newRequest(times.map((time) => ({ time })));
    await store.append(request);
    const rows = (await store.events({ limit: 10 })).rows;
    assertEquals(rows.map(({ time }) => time).reverse(), [undefined, undefined, undefined, 12, -1, undefined]);
  },

  async "append: the last millisecond that a Date can hold"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const receivedAt = 8_640_000_000_000_000;
    const request = newRequest({ key: "k", queues: [queue] }, { receivedAt });
    await store.append(request);
    assertEquals((await claimAll(store, queue, receivedAt - 1)).length, 0);
    assertEquals((await store.claim([{ queue, limit: 1 }], { token: "t", now: 0 })).nextDueAt, receivedAt);
    const [delivery] = await claimAll(store, queue, receivedAt);
    assertEquals(delivery?.event.receivedAt, receivedAt);
  },
};
