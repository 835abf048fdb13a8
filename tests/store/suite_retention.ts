/**
 * Suite: what leaves the log by age or by a person's word, and above all what stays.
 */

import { assertEquals } from "@std/assert";
import { defaultRetention } from "../../core/domain/config.ts";
import type { Expired } from "../../core/store/erase.ts";
import { keyMarginMs } from "../../core/store/retention.ts";
import type { Purged, PurgeFilter, Store } from "../../core/store/store.ts";
import {
  claimAll,
  claimOne,
  newRequest,
  openWithQueue,
  settlement,
  states,
  type StoreTest,
  uniqueId,
} from "./fixture.ts";

const retention = { eventsMs: 30_000, attemptsMs: 14_000, deadMs: 90_000, idempotencyMs: 7_000 };

type Counts = Omit<Expired, "more" | "pages">;

/** Runs retention until there is nothing more to do at once. */
export async function expireAll(store: Store, now: number, terms = retention): Promise<Partial<Counts>> {
  const sum: Record<string, number> = {};
  for (let more = true; more;) {
    const { more: again, pages: _, ...counts } = await store.expire({ retention: terms, now });
    for (const [what, count] of Object.entries(counts)) if (count > 0) sum[what] = (sum[what] ?? 0) + count;
    more = again;
  }
  return sum;
}

/** Runs a purge to its end. */
async function purgeAll(store: Store, filter: PurgeFilter, dryRun?: boolean): Promise<Omit<Purged, "next">> {
  const sum = { events: 0, deliveries: 0, unfinished: 0, running: 0 };
  let after: number | undefined;
  do {
    const { next, ...counts }: Purged = await store.purge(filter, { now: 50_000, after, dryRun });
    for (const what of ["events", "deliveries", "unfinished", "running"] as const) sum[what] += counts[what];
    after = next;
  } while (after !== undefined);
  return sum;
}

/** Ids of all events, oldest first. */
async function eventIds(store: Store): Promise<string[]> {
  return (await store.events({ limit: 500 })).rows.map(({ id }) => id).reverse();
}

/** Claims the one that is due and ends it. */
async function finish(store: Store, queue: number, end: { state: "succeeded" | "dead" | "ready"; at: number }) {
  const claimed = await claimOne(store, queue, end.at);
  await store.settle(settlement(claimed, end.state, { finishedAt: end.at, dueAt: end.at + 1 }));
  return claimed;
}

export const retentionTests: Record<string, StoreTest> = {
  async "expire: attempts go first, then the delivery with its event and request"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ queues: [queue] });
    await store.append(request);
    await finish(store, queue, { state: "ready", at: 10_000 });
    const { id } = await finish(store, queue, { state: "succeeded", at: 20_000 });
    assertEquals(await expireAll(store, 20_000 + retention.attemptsMs - 1), {});
    assertEquals(await expireAll(store, 20_000 + retention.attemptsMs), { attempts: 2 });
    assertEquals((await store.delivery(id))?.attempts, []);
    assertEquals(await expireAll(store, 20_000 + retention.eventsMs - 1), {});
    assertEquals((await store.event(request.events[0]!.id))?.raw, request.raw);
    assertEquals(await expireAll(store, 20_000 + retention.eventsMs), { events: 1, deliveries: 1 });
    assertEquals(await store.event(request.events[0]!.id), undefined);
    assertEquals(await store.delivery(id), undefined);
  },

  async "expire: whatever is open stays, however old, with its event and its attempts"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const open = [
      newRequest({ queues: [queue], lane: "a" }),
      newRequest({ queues: [queue], lane: "a" }),
      newRequest({ queues: [queue], parkedReason: "look at me" }),
    ];
    for (const request of open) await store.append(request);
    await finish(store, queue, { state: "ready", at: 10_000 });
    assertEquals(await expireAll(store, 10_000_000), {});
    assertEquals(await states(store), ["ready", "blocked", "parked"]);
    const [running] = await claimAll(store, queue, 20_000_000);
    assertEquals(await expireAll(store, 30_000_000), {});
    assertEquals((await store.delivery(running!.id))?.attempts.length, 1);
    assertEquals(await store.settle(settlement(running!, "succeeded", { finishedAt: 30_000_000 })), true);
  },

  async "expire: an event lives as long as any of its deliveries"(fixture) {
    const store = await fixture.open();
    const queues = await store.registerQueues([{ route: "a", target: "" }, { route: "b", target: "" }]);
    const request = newRequest({ queues });
    await store.append(request);
    await finish(store, queues[0]!, { state: "succeeded", at: 10_000 });
    await finish(store, queues[1]!, { state: "dead", at: 10_000 });
    assertEquals(await expireAll(store, 10_000 + retention.eventsMs), { attempts: 2, deliveries: 1 });
    assertEquals(await states(store), ["dead"]);
    assertEquals((await store.event(request.events[0]!.id))?.raw, request.raw);
    assertEquals(await expireAll(store, 10_000 + retention.deadMs), { events: 1, deliveries: 1 });
    assertEquals(await eventIds(store), []);
  },

  async "expire: dead letters may go before their events do"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    await finish(store, queue, { state: "dead", at: 2_000 });
    const terms = { ...retention, deadMs: 5_000, attemptsMs: 5_000 };
    assertEquals(await expireAll(store, 7_000, terms), { attempts: 1, deliveries: 1 });
    assertEquals((await eventIds(store)).length, 1);
    assertEquals(await expireAll(store, 31_000, terms), { events: 1 });
  },

  async "expire: an event that no route wanted goes by its own age"(fixture) {
    const store = await fixture.open();
    await store.append(newRequest({}));
    await store.append(newRequest({}, { receivedAt: 2_000 }));
    assertEquals(await expireAll(store, 1_000 + retention.eventsMs - 1), {});
    assertEquals(await expireAll(store, 1_000 + retention.eventsMs), { events: 1 });
    assertEquals(await expireAll(store, 2_000 + retention.eventsMs), { events: 1 });
  },

  async "expire: a request stays for the last of its events, wherever in it that stands"(fixture) {
    for (const kept of [0, 1, 2]) {
      const { store, queue } = await openWithQueue(fixture);
      const neighbours = [newRequest({}), newRequest({})];
      const request = newRequest([0, 1, 2].map((i) => ({ queues: i === kept ? [queue] : [] })));
      await store.append(neighbours[0]!);
      await store.append(request);
      await store.append(neighbours[1]!);
      assertEquals(await expireAll(store, 40_000), { events: 4 });
      const last = request.events[kept]!;
      assertEquals((await store.event(last.id))?.raw, request.raw);
      await finish(store, queue, { state: "succeeded", at: 50_000 });
      assertEquals(await expireAll(store, 90_000), { events: 1, deliveries: 1, attempts: 1 });
      assertEquals(await store.purge({ ids: [last.id] }, { now: 0 }), {
        events: 0,
        deliveries: 0,
        unfinished: 0,
        running: 0,
        next: undefined,
      });
    }
  },

  async "expire: what repeats a dead letter stays beside it, so that nobody repeats it again"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue] }));
    const dead = await finish(store, queue, { state: "dead", at: 10_000 });
    await store.redeliver(dead.id, { id: uniqueId("dlv"), now: 10_001 });
    await finish(store, queue, { state: "succeeded", at: 11_000 });
    assertEquals(await expireAll(store, 60_000), { attempts: 2 });
    assertEquals((await store.deliveries({ state: "dead", unrepeated: true, limit: 9 })).rows, []);
    const daysLater = 10_000 + 2 * 86_400_000;
    await expireAll(store, daysLater);
    assertEquals(await expireAll(store, daysLater), { events: 1, deliveries: 1 });
    assertEquals(await eventIds(store), []);
  },

  async "expire: a key is forgotten after its window and a margin, and its event stays"(fixture) {
    const { store } = await openWithQueue(fixture, { idempotencyMs: 7_000 });
    const request = newRequest({ key: "k" });
    await store.append(request);
    const over = 1_000 + 7_000 + keyMarginMs;
    const terms = { ...retention, eventsMs: 10 * over };
    assertEquals(await expireAll(store, over - 1, terms), {});
    assertEquals((await store.append(newRequest({ key: "k" }, { receivedAt: 7_999 })))[0]!.status, "duplicate");
    assertEquals(await expireAll(store, over, terms), { keys: 1 });
    assertEquals((await eventIds(store)).length, 1);
    assertEquals((await store.append(newRequest({ key: "k" }, { receivedAt: over })))[0]!.status, "accepted");
  },

  async "expire: what a key has counted stays with its event, and goes with it"(fixture) {
    const { store } = await openWithQueue(fixture, { idempotencyMs: 7_000 });
    const request = newRequest({ key: "k" });
    await store.append(request);
    await store.append(newRequest({ key: "k" }, { receivedAt: 1_001 }));
    await store.append(newRequest({ key: "k", sha256: "1".repeat(64) }, { receivedAt: 1_002 }));
    await store.append(newRequest({ key: "alone" }));
    const over = 1_000 + 7_000 + keyMarginMs;
    const counts = async () =>
      (await store.events({ limit: 9 })).rows
        .map(({ duplicates, mismatches, lastDuplicateAt }) => [duplicates, mismatches, lastDuplicateAt]);
    const before = await counts();
    assertEquals(before, [[0, 0, undefined], [2, 1, 1_002]]);
    assertEquals(await expireAll(store, over, { ...retention, eventsMs: 10 * over }), { keys: 2 });
    assertEquals(await counts(), before);
    assertEquals((await store.event(request.events[0]!.id))?.duplicates, 2);
    assertEquals(await expireAll(store, over), { events: 2 });
  },

  async "expire: a key outlives the purge of its event, whatever it has counted"(fixture) {
    const { store } = await openWithQueue(fixture, { idempotencyMs: 7_000 });
    for (let i = 0; i < 2; i++) await store.append(newRequest({ key: "k" }));
    assertEquals(await purgeAll(store, {}), { events: 1, deliveries: 0, unfinished: 0, running: 0 });
    assertEquals(await expireAll(store, 1_000 + 7_000 + keyMarginMs), { keys: 1 });
    assertEquals(await eventIds(store), []);
  },

  async "expire: a mark is forgotten with its lane, not while something waits there"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    await store.append(newRequest({ queues: [queue], lane: "a", version: 5 }));
    await finish(store, queue, { state: "succeeded", at: 10_000 });
    await store.append(newRequest({ queues: [queue], lane: "a", version: 6, dueAt: 60_000 }, { receivedAt: 10_001 }));
    const { marks } = await expireAll(store, 50_000);
    assertEquals(marks, undefined);
    await finish(store, queue, { state: "succeeded", at: 60_000 });
    assertEquals((await expireAll(store, 60_000 + retention.eventsMs)).marks, 1);
  },

  async "expire: more than one batch's worth goes in several, each small"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    for (let i = 0; i < 5; i++) {
      await store.append(newRequest(Array.from({ length: 200 }, () => ({ queues: [queue], key: uniqueId("k") }))));
    }
    for (let left = 1_000; left > 0; left -= 100) {
      const claimed = await claimAll(store, queue);
      await Promise.all(claimed.map((delivery) => store.settle(settlement(delivery, "succeeded"))));
    }
    const sum = { events: 0, deliveries: 0, attempts: 0, keys: 0 };
    for (let more = true; more;) {
      const done = await store.expire({ retention: defaultRetention, now: 20_000 + defaultRetention.deadMs });
      const rows = done.events + done.deliveries + done.attempts + done.keys;
      assertEquals(rows <= 250, true, `${rows} rows in one batch`);
      for (const what of ["events", "deliveries", "attempts", "keys"] as const) sum[what] += done[what];
      more = done.more;
    }
    assertEquals(sum, { events: 1_000, deliveries: 1_000, attempts: 1_000, keys: 1_000 });
  },

  async "purge: erases events in every state but running, and lets their lanes go on"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const requests = Array.from({ length: 5 }, (_, i) => newRequest({ queues: [queue], lane: i < 3 ? "a" : "b" }));
    for (const request of requests) await store.append(request);
    const ids = requests.map((request) => request.events[0]!.id);
    const heads = await claimAll(store, queue);
    await store.settle(settlement(heads[0]!, "ready", { dueAt: 60_000 }));
    const filter = { ids: [ids[0]!, ids[1]!, ids[3]!] };
    assertEquals(await purgeAll(store, filter, true), { events: 2, deliveries: 2, unfinished: 2, running: 1 });
    assertEquals(await eventIds(store), ids);
    assertEquals(await purgeAll(store, filter), { events: 2, deliveries: 2, unfinished: 2, running: 1 });
    assertEquals(await eventIds(store), ids.slice(2));
    assertEquals(await states(store), ["ready", "running", "blocked"]);
    assertEquals(await store.settle(settlement(heads[1]!, "succeeded")), true);
    assertEquals((await claimAll(store, queue, 70_000)).map(({ event }) => event.id), [ids[2], ids[4]]);
  },

  async "purge: says how much of what goes had not come to its end"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const requests = Array.from({ length: 4 }, () => newRequest({ queues: [queue], lane: "a" }));
    for (const request of requests) await store.append(request);
    await finish(store, queue, { state: "dead", at: 10_000 });
    await finish(store, queue, { state: "succeeded", at: 10_001 });
    const counts = { events: 4, deliveries: 4, unfinished: 2, running: 0 };
    assertEquals(await purgeAll(store, {}, true), counts);
    assertEquals(await purgeAll(store, {}), counts);
  },

  async "purge: a key outlives its event, so that a repeat does not run"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ key: "k", queues: [queue] });
    await store.append(request);
    await finish(store, queue, { state: "succeeded", at: 10_000 });
    assertEquals(await purgeAll(store, { source: "shop" }), { events: 1, deliveries: 1, unfinished: 0, running: 0 });
    const eventId = request.events[0]!.id;
    assertEquals(await store.append(newRequest({ key: "k", queues: [queue] })), [{ status: "duplicate", eventId }]);
    assertEquals(await states(store), []);
  },

  async "purge: what replays erased content under another id is still refused"(fixture) {
    const { store } = await openWithQueue(fixture);
    const sha256 = "a".repeat(64);
    const request = newRequest({ key: "k1", sha256 }, { replays: "refuse" });
    await store.append(request);
    await purgeAll(store, { source: "shop" });
    const eventId = request.events[0]!.id;
    for (const key of ["k2", "k3", "k2"]) {
      const replay = newRequest({ key, sha256 }, { replays: "refuse", receivedAt: 2_000 });
      assertEquals(await store.append(replay), [{ status: "duplicate", eventId }]);
    }
  },

  async "purge: only what fits the whole filter"(fixture) {
    const store = await fixture.open();
    const requests = [
      newRequest({ type: "a" }),
      newRequest({ type: "b" }),
      newRequest({ type: "a" }, { source: "till" }),
      newRequest({ type: "a" }, { receivedAt: 5_000 }),
      newRequest({ type: "a" }, { receivedAt: 9_000 }),
    ];
    for (const request of requests) await store.append(request);
    const ids = requests.map((request) => request.events[0]!.id);
    const filter = { source: "shop", type: "a", since: 1_000, until: 9_000 };
    assertEquals(await purgeAll(store, { ...filter, ids: ids.slice(1) }, true), {
      events: 1,
      deliveries: 0,
      unfinished: 0,
      running: 0,
    });
    assertEquals(await purgeAll(store, filter), { events: 2, deliveries: 0, unfinished: 0, running: 0 });
    assertEquals(await eventIds(store), [ids[1], ids[2], ids[4]]);
  },

  async "purge: goes through more events than one batch, and only to where it got"(fixture) {
    const store = await fixture.open();
    for (let i = 0; i < 4; i++) {
      await store.append(newRequest(Array.from({ length: 600 }, () => ({ type: i === 3 ? "rare" : "common" }))));
    }
    assertEquals(await purgeAll(store, { type: "rare" }, true), {
      events: 600,
      deliveries: 0,
      unfinished: 0,
      running: 0,
    });
    assertEquals(await purgeAll(store, { type: "rare" }), { events: 600, deliveries: 0, unfinished: 0, running: 0 });
    assertEquals(await purgeAll(store, { until: 2_000 }), { events: 1_800, deliveries: 0, unfinished: 0, running: 0 });
  },
};
