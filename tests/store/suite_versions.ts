/**
 * Suite: what came twice or too late: `skip_older`, replays of old events, and the same content under another id.
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

export const versionTests: Record<string, StoreTest> = {
  async "skip_older: followers older than what finished are skipped, newer ones run in order"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const versions = [5, 3, 7, 4, undefined, 6];
    await store.append(newRequest(versions.map((version) => ({ queues: [queue], lane: "a", version }))));
    const ran: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) {
      const [head] = await claimAll(store, queue, 20_000 + i);
      if (head === undefined) break;
      ran.push(head.version);
      await store.settle(settlement(head, "succeeded", { finishedAt: 20_000 + i }));
    }
    assertEquals(ran, [5, 7, undefined]);
    const rows = await allDeliveries(store);
    assertEquals(rows.map(({ state }) => state), [
      "succeeded",
      "skipped",
      "succeeded",
      "skipped",
      "succeeded",
      "skipped",
    ]);
    assertEquals([rows[1]?.finishedAt, rows[1]?.reason], [
      20_000,
      "older than the last one that finished in its lane",
    ]);
  },

  async "skip_older: what arrives too old in a lane that is empty is skipped at once"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue], lane: "a", version: 5 }));
    await store.settle(settlement(await claimOne(store, queue), "dead"));
    const append = (version: number, lane: string): Promise<unknown> =>
      store.append(newRequest({ queues: [queue], lane, version }, { receivedAt: 30_000 }));
    await append(4, "a");
    await append(5, "a");
    await append(1, "b");
    assertEquals(await states(store), ["dead", "skipped", "ready", "ready"]);
  },

  async "skip_older: the mark never goes back, and lives across starts"(fixture) {
    const opened = await openWithQueue(fixture);
    for (const version of [9, 2]) {
      await opened.store.append(newRequest({ queues: [opened.queue], lane: "a", version }));
      const [head] = await claimAll(opened.store, opened.queue);
      if (head !== undefined) await opened.store.settle(settlement(head, "succeeded"));
    }
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue], lane: "a", version: 8 }));
    assertEquals(await states(store), ["succeeded", "skipped", "skipped"]);
  },

  async "append: a delivery that is delayed is due later, and holds its lane"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue], lane: "a", dueAt: 9_000 }));
    await store.append(newRequest({ queues: [queue], lane: "a" }));
    assertEquals(await claimAll(store, queue, 8_999), []);
    assertEquals((await claimOne(store, queue, 9_000)).seq, 1);
  },

  async "replay: makes new lineages of an old event, whatever its key"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ key: "k", queues: [queue], lane: "a" });
    await store.append(request);
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    const { id } = request.events[0]!;
    assertEquals(
      await store.replay(id, [{ id: "dlv_r1", queue, lane: "a" }, { id: "dlv_r2", queue }], { now: 5 }),
      true,
    );
    const replayed = await claimAll(store, queue);
    assertEquals(replayed.map(({ id, lineage, event }) => [id, lineage, event.id]), [
      ["dlv_r1", "dlv_r1", id],
      ["dlv_r2", "dlv_r2", id],
    ]);
    assertEquals((await allDeliveries(store)).map(({ origin }) => origin), ["event", "replay", "replay"]);
    assertEquals(await store.replay("evt_none", [{ id: "dlv_r3", queue }], { now: 5 }), false);
    assertEquals(await store.delivery("dlv_r3"), undefined);
  },

  async "skip_older: what was reckoned by another rule is held against nothing"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const append = (version: number, versionRule: number): Promise<unknown> =>
      store.append(newRequest({ queues: [queue], lane: "a", version, versionRule }));
    await append(1_700_000_000_000, 1);
    await append(1_800_000_000_000, 1);
    await append(7, 2); // `skip_older` is another expression now
    await append(6, 2);
    const ran: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const [head] = await claimAll(store, queue);
      if (head === undefined) break;
      ran.push(head.version);
      await store.settle(settlement(head, "succeeded"));
    }
    assertEquals(ran, [1_700_000_000_000, 1_800_000_000_000, 7]);
    await append(1_750_000_000_000, 1); // an engine that has not reloaded yet
    await append(8, 2);
    assertEquals(await states(store), ["succeeded", "succeeded", "succeeded", "skipped", "skipped", "ready"]);
  },

  async "replay: what is older than the mark of its lane is skipped, whether the lane is empty or busy"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const old = newRequest({ queues: [queue], lane: "a", version: 1 });
    await store.append(old);
    const { id } = old.events[0]!;
    const replay = (made: string, version: number) =>
      store.replay(id, [{ id: made, queue, lane: "a", version: { value: version, rule: 1 } }], { now: 30_000 });
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));
    await store.append(newRequest({ queues: [queue], lane: "a", version: 5 }));
    await store.settle(settlement(await claimOne(store, queue), "succeeded"));

    await replay("dlv_empty", 1);
    await store.append(newRequest({ queues: [queue], lane: "a", version: 4 })); // the mark has not gone back
    await store.append(newRequest({ queues: [queue], lane: "a", version: 6 }));
    await replay("dlv_busy", 1);
    await replay("dlv_newest", 5);
    assertEquals(await states(store), [
      "succeeded",
      "succeeded",
      "skipped",
      "skipped",
      "ready",
      "skipped",
      "blocked",
    ]);
    for (const made of ["dlv_empty", "dlv_busy"]) {
      const row = await store.delivery(made);
      assertEquals([row?.finishedAt, row?.reason], [30_000, "older than the last one that finished in its lane"]);
    }
  },

  async "replay: what its route delays is due when the route says"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({});
    await store.append(request);
    await store.replay(request.events[0]!.id, [{ id: "dlv_r1", queue, dueAt: 9_000 }], { now: 5_000 });
    assertEquals((await store.delivery("dlv_r1"))?.dueAt, 9_000);
    assertEquals(await claimAll(store, queue, 8_999), []);
    assertEquals((await claimOne(store, queue, 9_000)).id, "dlv_r1");
  },

  async "replay: a lane of any text is promoted"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({});
    await store.append(request);
    await store.replay(request.events[0]!.id, [{ id: "dlv_r1", queue, lane: "a\0\ud800" }], { now: 5 });
    assertEquals((await claimOne(store, queue)).id, "dlv_r1");
  },

  async "append: other content under a known key is a duplicate and is counted as a mismatch"(fixture) {
    const { store } = await openWithQueue(fixture);
    const first = newRequest({ key: "k" });
    await store.append(first);
    await store.append(newRequest({ key: "k" }, { receivedAt: 1_001 }));
    await store.append(newRequest({ key: "k", sha256: "1".repeat(64) }, { receivedAt: 1_002 }));
    const event = await store.event(first.events[0]!.id);
    assertEquals([event?.duplicates, event?.mismatches, event?.lastDuplicateAt], [2, 1, 1_002]);
  },

  async "append: the same content under another id is flagged where nobody signs the id, and runs"(fixture) {
    const { store, queue } = await openWithQueue(fixture, { idempotencyMs: 500 });
    const append = async (key: string, receivedAt: number): Promise<string> => {
      const [answer] = await store.append(newRequest({ key, queues: [queue] }, { replays: "flag", receivedAt }));
      assertEquals(answer!.status, "accepted");
      return answer!.eventId;
    };
    const [first, second, late] = [await append("k1", 1_000), await append("k2", 1_100), await append("k3", 9_000)];
    const flags = (await store.events({ limit: 10 })).rows.map(({ replayOf }) => replayOf).reverse();
    assertEquals(flags, [undefined, first, undefined]);
    assertEquals([second === first, late === first], [false, false]);
    assertEquals(await states(store), ["ready", "ready", "ready"]);
  },

  async "append: the same content under another id is refused where the source says so"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const append = (key: string) => store.append(newRequest({ key, queues: [queue] }, { replays: "refuse" }));
    const [first] = await append("k1");
    for (let i = 0; i < 2; i++) assertEquals(await append("k2"), [{ status: "duplicate", eventId: first!.eventId }]);
    assertEquals(await states(store), ["ready"]);
  },

  async "append: the same content twice in one group, one runs"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const requests = ["k1", "k2", "k3"].map((key) => newRequest({ key, queues: [queue] }, { replays: "refuse" }));
    const answers = (await Promise.all(requests.map((request) => store.append(request)))).flat();
    assertEquals(answers.map(({ status }) => status), ["accepted", "duplicate", "duplicate"]);
    assertEquals(new Set(answers.map(({ eventId }) => eventId)).size, 1);
    assertEquals(await states(store), ["ready"]);
  },

  async "append: nobody looks for the same content where the id is signed"(fixture) {
    const { store } = await openWithQueue(fixture);
    await store.append(newRequest({ key: "k1" }));
    await store.append(newRequest({ key: "k2" }));
    await store.append(newRequest({ key: "k3" }, { source: "other", replays: "refuse" }));
    assertEquals((await store.events({ limit: 10 })).rows.map(({ replayOf }) => replayOf), [
      undefined,
      undefined,
      undefined,
    ]);
  },

  async "append: a tick of a clock is remembered with its event, and never goes back"(fixture) {
    const { store } = await openWithQueue(fixture);
    for (const cronAt of [7_000, 5_000]) await store.append(newRequest({}, { source: "nightly", cronAt }));
    assertEquals((await store.sources()).map(({ name, cronAt }) => [name, cronAt]), [["nightly", 7_000]]);
  },

  async "lanes: the longest first, with what they wait for"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest(["a", "b", "b", undefined].map((lane) => ({ queues: [queue], lane }))));
    const lanes = await store.lanes({ limit: 10 });
    assertEquals(lanes.map(({ lane, depth, headState }) => [lane, depth, headState]), [["b", 2, "ready"], [
      "a",
      1,
      "ready",
    ]]);
    assertEquals((await store.lanes({ limit: 10, lane: "a" })).map(({ head }) => head), [
      (await allDeliveries(store))[0]!.id,
    ]);
    assertEquals(await store.lanes({ limit: 10, headState: "parked" }), []);
  },
};
