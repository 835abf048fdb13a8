/**
 * Suite: what was appended comes back byte for byte, and text that a database cannot hold does no harm.
 */

import { assertEquals } from "@std/assert";
import { claimAll, claimOne, newRequest, openWithQueue, settlement, type StoreTest } from "./fixture.ts";

const bodies: Record<string, Uint8Array> = {
  "an empty body": new Uint8Array(),
  "every byte value": Uint8Array.from({ length: 256 }, (_, i) => i),
  "bytes that are no text": new Uint8Array([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x00]),
  "1 MiB": Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 31 + (i >> 8)) & 0xff),
};

const bodyCases = Object.fromEntries(
  Object.entries(bodies).map(([name, raw]): [string, StoreTest] => [
    `append: ${name} comes back as it was, read or claimed`,
    async (fixture) => {
      const { store, queue } = await openWithQueue(fixture);
      const request = newRequest({ queues: [queue] }, { raw });
      await store.append(request);
      assertEquals((await store.event(request.events[0]!.id))?.raw, raw);
      assertEquals((await claimOne(store, queue)).event.raw, raw);
    },
  ]),
);

/** Output of handlers, ids of senders: text that SQLite would cut or replace, and what is kept of it. */
const awkward: readonly [given: string, kept: string][] = [
  ["a\0b", "a\\u0000b"],
  ["\ud83d", "\\ud83d"],
  ["\udc00\ud800", "\\udc00\\ud800"],
  ["🙂 ok", "🙂 ok"],
  ["", ""],
];

export const bodyTests: Record<string, StoreTest> = {
  ...bodyCases,

  async "claim: bodies that are larger than one answer may be come all the same"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const raws = Array.from({ length: 6 }, (_, i) => new Uint8Array(2_097_152).fill(i + 1));
    for (const raw of raws) await store.append(newRequest({ queues: [queue] }, { raw }));
    const claimed = await claimAll(store, queue);
    assertEquals(claimed.map(({ event }) => [event.raw.length, event.raw[0]]), raws.map((raw) => [raw.length, raw[0]]));
  },

  async "claim: headers that are larger than one answer may be come all the same"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const filled = (n: number) => ({ headers: { "x-n": `${n}`, "x-trace": "h".repeat(60_000) }, query: `n=${n}` });
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => store.append(newRequest({ queues: [queue] }, filled(n)))),
    );
    const claimed = (await store.claim([{ queue, limit: 400 }], { token: "t", now: 9_000 })).deliveries;
    assertEquals(claimed.length, 200);
    for (const { event } of claimed) assertEquals(event, { ...event, ...filled(Number(event.headers["x-n"])) });
  },

  async "claim: large items of one large request come with it"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    const items = [1, 2, 3].map((n) => JSON.stringify({ n, text: "x".repeat(900_000) }));
    const raw = new TextEncoder().encode(`[${items.join(",")}]`);
    await store.append(newRequest([...items.map((item) => ({ item, queues: [queue] })), { queues: [queue] }], { raw }));
    const claimed = await claimAll(store, queue);
    assertEquals(claimed.map(({ event }) => event.item), [...items, undefined]);
    assertEquals(claimed.every(({ event }) => event.raw.length === raw.length), true);
  },

  async "settle: text that cannot be stored is escaped, in output, reason and result"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    for (const [given, kept] of awkward) {
      await store.append(newRequest({ queues: [queue] }));
      const first = await claimOne(store, queue);
      await store.settle(settlement(first, "ready", { reason: given, output: given }));
      await store.settle(settlement(await claimOne(store, queue, 30_000), "succeeded", { result: given }));
      const detail = await store.delivery(first.id);
      assertEquals([detail?.attempts[0]?.reason, detail?.attempts[0]?.output, detail?.result], [kept, kept, kept]);
    }
  },

  async "append: text that cannot be stored is escaped, in type, lane, query and item"(fixture) {
    const { store, queue } = await openWithQueue(fixture);
    for (const [given, kept] of awkward.filter(([given]) => given !== "")) {
      const request = newRequest({ queues: [queue], lane: given, type: given, item: given }, { query: given });
      await store.append(request);
      const claimed = await claimOne(store, queue);
      assertEquals([claimed.lane, claimed.event.type, claimed.event.query, claimed.event.item], [
        kept,
        kept,
        kept,
        kept,
      ]);
      assertEquals((await store.deliveries({ lane: given, limit: 10 })).rows.map(({ id }) => id), [claimed.id]);
      assertEquals((await store.events({ type: given, limit: 10 })).rows.map(({ id }) => id), [request.events[0]!.id]);
    }
  },

  async "append: headers of any text come back"(fixture) {
    const { store } = await openWithQueue(fixture);
    const headers = { "x-a": "\u0000\ud800", "x-b": `"quoted"\\`, "x-ü": "Ünïcode 🙂" };
    const request = newRequest({}, { headers });
    await store.append(request);
    assertEquals((await store.event(request.events[0]!.id))?.headers, headers);
  },
};
