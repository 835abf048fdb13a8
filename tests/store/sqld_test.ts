/**
 * The Store suite on a real libSQL server, and what only a server can do to us: lose a reply, go away, and be shared by
 * several engines.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { takeoverMs } from "../../core/store/engines.ts";
import { openStore } from "../../core/store/open.ts";
import { type Credit, type Store, StoreUnavailable } from "../../core/store/store.ts";
import { findSqld, type Sqld, startSqld } from "../support/sqld.ts";
import { until } from "../support/until.ts";
import {
  allDeliveries,
  claimAll,
  claimOne,
  newRequest,
  type OpenOptions,
  openWithQueue,
  settlement,
  states,
  type StoreFixture,
  uniqueId,
  watch,
} from "./fixture.ts";
import { testStore } from "./suite.ts";

const binary = await findSqld();

/** A server with an empty log, and the engines that joined it. */
interface ServerFixture extends StoreFixture {
  readonly server: Sqld;
  /** Through another address, a proxy's say. */
  openAt(url: string, options?: OpenOptions): Promise<Store>;
}

async function makeServerFixture(): Promise<ServerFixture> {
  if ("missing" in binary) throw new Error(binary.missing);
  const server = await startSqld(binary.path);
  const opened: Store[] = [];
  async function openAt(url: string, options: OpenOptions = {}): Promise<Store> {
    const { boot = uniqueId("boot"), now = 1_000, idempotencyMs = 60_000 } = options;
    const store = await openStore({ url, boot, now, idempotencyMs: () => idempotencyMs });
    opened.push(store);
    return store;
  }
  return {
    server,
    openAt,
    open: (options) => openAt(server.url, options),
    async [Symbol.asyncDispose]() {
      for (const store of opened) await store.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

testStore({
  storage: "sqld",
  make: makeServerFixture,
  missing: "missing" in binary ? binary.missing : undefined,
});

function testServer(name: string, test: (fixture: ServerFixture) => Promise<void>): void {
  Deno.test({
    name: `${name} [sqld]`,
    ignore: "missing" in binary,
    async fn() {
      await using fixture = await makeServerFixture();
      await test(fixture);
    },
  });
}

/** A proxy that passes requests on and, when told to, throws the reply away. */
function startProxy(
  target: string,
): AsyncDisposable & { url: string; loseReplies: boolean; hold?: Promise<void>; requests: number } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    proxy.requests++;
    const { pathname } = new URL(request.url);
    const body = request.body === null ? undefined : await request.arrayBuffer();
    const response = await fetch(target + pathname, { method: request.method, headers: request.headers, body });
    const reply = await response.arrayBuffer();
    if (proxy.loseReplies) return new Response("lost", { status: 502 });
    await proxy.hold;
    return new Response(reply, { status: response.status, headers: { "content-type": "application/json" } });
  });
  const proxy: ReturnType<typeof startProxy> = {
    url: `http://127.0.0.1:${server.addr.port}`,
    loseReplies: false,
    requests: 0,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return proxy;
}

testServer(
  "append: when the reply is lost nothing is acknowledged, and the sender's next try is a duplicate",
  async (fixture) => {
    await using proxy = startProxy(fixture.server.url);
    const store = await fixture.openAt(proxy.url);
    const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
    const first = newRequest({ key: "k", queues: [queue!] });
    proxy.loseReplies = true;
    await assertRejects(() => store.append(first), StoreUnavailable);
    proxy.loseReplies = false;
    const again = await store.append(newRequest({ key: "k", queues: [queue!] }));
    assertEquals(again, [{ status: "duplicate", eventId: first.events[0]!.id }]);
    assertEquals((await allDeliveries(store)).map(({ id }) => id), [first.events[0]!.deliveries[0]!.id]);
  },
);

testServer("claim: when the reply is lost the next beat gives the work back", async (fixture) => {
  await using proxy = startProxy(fixture.server.url);
  const store = await fixture.openAt(proxy.url);
  const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
  await store.append(newRequest({ queues: [queue!], lane: "a" }));
  proxy.loseReplies = true;
  await assertRejects(() => claimAll(store, queue!), StoreUnavailable);
  proxy.loseReplies = false;
  assertEquals(await states(store), ["running"]);
  assertEquals(await store.beat({ now: 11_000, monotonic: 0 }), 1);
  const delivery = await claimOne(store, queue!, 11_000);
  assertEquals([delivery.executions, delivery.failures], [2, 0]);
  assertEquals(await store.beat({ now: 12_000, monotonic: 5_000 }), 0); // the new claim is known and stays
  assertEquals(await store.settle(settlement(delivery, "succeeded")), true);
});

testServer("beat: however many claims an outage has left in doubt, they hold up no beat", async (fixture) => {
  await using proxy = startProxy(fixture.server.url);
  const store = await fixture.openAt(proxy.url);
  const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
  const lanes = Array.from({ length: 40 }, (_, n) => `l${n}`);
  await store.append(newRequest(lanes.map((lane) => ({ queues: [queue!], lane }))));
  proxy.loseReplies = true;
  for (const lane of lanes) {
    await assertRejects(
      () => store.claim([{ queue: queue!, limit: 1 }], { token: lane, now: 9_000 }),
      StoreUnavailable,
    );
  }
  proxy.loseReplies = false;
  proxy.requests = 0;
  assertEquals(await store.beat({ now: 11_000, monotonic: 0 }), lanes.length);
  assertEquals(proxy.requests, 2);
  assertEquals((await claimAll(store, queue!, 11_000)).length, lanes.length);
});

testServer(
  "store: what is too large for the server is refused alone, not with what waits beside it",
  async (fixture) => {
    const { store, queue } = await openWithQueue(fixture);
    const request = newRequest({ queues: [queue] });
    await store.append(request);
    const results = await Promise.allSettled([
      store.append(newRequest({ queues: [queue] })),
      store.cancel(request.events[0]!.deliveries[0]!.id, { now: 1, reason: "x".repeat(6_291_456) }),
      store.append(newRequest({ queues: [queue] })),
    ]);
    assertEquals(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  },
);

testServer("claim: an engine that stood still until its work was taken over does not begin it", async (fixture) => {
  await using proxy = startProxy(fixture.server.url);
  const still = await fixture.openAt(proxy.url);
  const { store: other, queue } = await openWithQueue(fixture);
  await other.append(newRequest({ queues: [queue], lane: "a" }));
  let monotonic = 0;
  await still.beat({ now: 10_000, monotonic });
  const held = Promise.withResolvers<void>();
  proxy.hold = held.promise;
  const claiming = still.claim([{ queue, limit: 1 }], { token: "t-1", now: 10_000, monotonic: () => monotonic });
  await until("the claim is in the log", async () => (await states(other))[0] === "running");
  assertEquals(await watch(other, { now: 10_000, from: 0, to: takeoverMs }), 1);
  assertEquals(await other.settle(settlement(await claimOne(other, queue, 50_000), "succeeded")), true);
  monotonic = takeoverMs + 1;
  proxy.hold = undefined;
  held.resolve();
  await assertRejects(() => claiming, StoreUnavailable, "may have been taken over");
  assertEquals(await still.beat({ now: 60_000, monotonic }), 0);
  await other.append(newRequest({ queues: [queue], lane: "a" }));
  const again = { token: "t-2", now: 60_000, monotonic: () => monotonic };
  assertEquals((await still.claim([{ queue, limit: 1 }], again)).deliveries.length, 1);
});

testServer("settle: when the reply is lost the end is kept, once", async (fixture) => {
  await using proxy = startProxy(fixture.server.url);
  const store = await fixture.openAt(proxy.url);
  const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
  await store.append(newRequest({ queues: [queue!], lane: "a" }));
  const end = settlement(await claimOne(store, queue!), "succeeded");
  proxy.loseReplies = true;
  await assertRejects(() => store.settle(end), StoreUnavailable);
  proxy.loseReplies = false;
  assertEquals(await store.settle(end), true);
  const detail = await store.delivery(end.delivery.id);
  assertEquals([detail?.state, detail?.attempts.length], ["succeeded", 1]);
});

testServer("store: a server that is away makes it unavailable, one that is back makes it work", async (fixture) => {
  const { store, queue } = await openWithQueue(fixture);
  await store.append(newRequest({ key: "before", queues: [queue] }));
  await fixture.server.kill();
  const tries = [1, 2, 3].map(() => store.append(newRequest({ key: "during", queues: [queue] })));
  for (const result of await Promise.allSettled([...tries, store.ping(), store.queues(), claimAll(store, queue)])) {
    assertEquals(result.status === "rejected" && result.reason.name, "StoreUnavailable");
  }
  await fixture.server.restart();
  await store.ping();
  assertEquals((await store.append(newRequest({ key: "during", queues: [queue] })))[0]?.status, "accepted");
  assertEquals((await claimAll(store, queue)).length, 2);
});

testServer("openStore: a server that is not there is unavailable", async (fixture) => {
  await fixture.server.kill();
  await assertRejects(() => fixture.open(), StoreUnavailable, "server cannot be used");
  await fixture.server.restart();
});

testServer("openStore: engines that start at the same moment make the schema once", async (fixture) => {
  const stores = await Promise.all([1, 2, 3, 4].map(() => fixture.open()));
  const ids = await Promise.all(stores.map((store) => store.registerQueues([{ route: "orders", target: "" }])));
  assertEquals(ids, [[1], [1], [1], [1]]);
});

testServer(
  "beat: a silent engine's work is taken over, and its late end refused (trap: a lock with no expiry)",
  async (fixture) => {
    const { store: silent, queue } = await openWithQueue(fixture);
    const { store: other } = await openWithQueue(fixture);
    await other.append(newRequest({ queues: [queue], lane: "a" }));
    const taken = await claimOne(silent, queue);
    assertEquals(await watch(other, { now: 10_000, from: 0, to: takeoverMs - 1 }), 0);
    assertEquals(await other.beat({ now: 10_000, monotonic: takeoverMs }), 1);
    assertEquals(await silent.settle(settlement(taken, "succeeded")), false);
    const again = await claimOne(other, queue, 90_000);
    assertEquals([again.id, again.executions, again.failures], [taken.id, 2, 0]);
    const attempts = (await other.delivery(again.id))!.attempts;
    assertEquals(attempts.map(({ n, outcome, reason }) => [n, outcome, reason]), [
      [1, "interrupted", "the engine that ran it is gone"],
    ]);
  },
);

testServer("beat: an engine that beats keeps its work, whatever the clocks say", async (fixture) => {
  const { store: alive, queue } = await openWithQueue(fixture);
  const { store: other } = await openWithQueue(fixture);
  await other.append(newRequest({ queues: [queue] }));
  const taken = await claimOne(alive, queue);
  for (let step = 0; step < 80; step++) {
    if (step % 5 === 0) await alive.beat({ now: 0, monotonic: 0 });
    assertEquals(await other.beat({ now: step * 1e9, monotonic: step * 5_000 }), 0);
  }
  assertEquals(await alive.settle(settlement(taken, "succeeded")), true);
});

testServer("beat: while the log is out of reach no engine's silence is counted", async (fixture) => {
  await using proxy = startProxy(fixture.server.url);
  const { store: alive, queue } = await openWithQueue(fixture);
  const other = await fixture.openAt(proxy.url);
  await alive.append(newRequest({ queues: [queue] }));
  const taken = await claimOne(alive, queue);
  assertEquals(await other.beat({ now: 0, monotonic: 0 }), 0);
  proxy.loseReplies = true;
  await assertRejects(() => other.beat({ now: 0, monotonic: 5_000 }), StoreUnavailable);
  await assertRejects(() => other.beat({ now: 0, monotonic: 2 * takeoverMs }), StoreUnavailable);
  proxy.loseReplies = false;
  const back = 3 * takeoverMs; // and the other engine has not beaten yet
  assertEquals(await other.beat({ now: 0, monotonic: back }), 0);
  assertEquals(await alive.settle(settlement(taken, "succeeded")), true);
  await alive.append(newRequest({ queues: [queue] }));
  await claimOne(alive, queue);
  assertEquals(await watch(other, { now: 0, from: back, to: back + takeoverMs - 1 }), 0);
  assertEquals(await other.beat({ now: 0, monotonic: back + takeoverMs }), 1); // silence that was watched
});

testServer("beat: work that a closed engine left running is taken over too", async (fixture) => {
  const { store: leaver, queue } = await openWithQueue(fixture);
  const { store: other } = await openWithQueue(fixture);
  await other.append(newRequest({ queues: [queue] }));
  await claimOne(leaver, queue);
  await leaver.close();
  assertEquals(await watch(other, { now: 10_000, from: 0, to: takeoverMs }), 1);
  assertEquals(await states(other), ["ready"]);
});

testServer(
  "beat: an engine that was fenced takes nothing until it joins again, and keeps what it takes then",
  async (fixture) => {
    const { store: slow, queue } = await openWithQueue(fixture);
    const { store: other } = await openWithQueue(fixture);
    await watch(other, { now: 0, from: 0, to: takeoverMs }); // fenced
    await other.append(newRequest({ queues: [queue] }));
    assertEquals(await claimAll(slow, queue), []);
    await slow.beat({ now: 0, monotonic: 0 });
    const taken = await claimOne(slow, queue);
    assertEquals(await watch(other, { now: 0, from: takeoverMs, to: 2 * takeoverMs - 1 }), 0);
    assertEquals(await slow.settle(settlement(taken, "succeeded")), true);
  },
);

testServer("claim: what a fenced engine sends late, by a time long past, gives no bucket back", async (fixture) => {
  const { store: slow, queue } = await openWithQueue(fixture);
  const { store: other } = await openWithQueue(fixture);
  const claim = (store: Store, now: number) =>
    store.claim([{ queue, limit: 9, rateLimit: { count: 1, perMs: 300_000 } }], { token: uniqueId("tok"), now });
  await other.append(newRequest([{ queues: [queue] }, { queues: [queue] }, { queues: [queue] }]));
  await watch(other, { now: 0, from: 0, to: takeoverMs }); // fenced
  assertEquals((await claim(other, 1_000_000)).deliveries.length, 1);
  assertEquals((await claim(slow, 100_000)).deliveries.length, 0);
  await slow.beat({ now: 0, monotonic: takeoverMs });
  assertEquals((await claim(slow, 1_000_001)).deliveries.length, 0);
});

testServer(
  "claim: what arrives late, by a time long past, neither gives a bucket back nor closes a breaker",
  async (fixture) => {
    const { store: slow, queue } = await openWithQueue(fixture);
    const { store: other } = await openWithQueue(fixture);
    const breaker = { failures: 1, openMs: 30_000, openMsMax: 30_000 };
    const claim = async (store: Store, now: number, credit: Partial<Credit>) =>
      (await store.claim([{ queue, limit: 9, ...credit }], { token: uniqueId("tok"), now })).deliveries;
    const limited = { rateLimit: { count: 1, perMs: 300_000 } };
    await other.append(newRequest([{ queues: [queue] }, { queues: [queue] }, { queues: [queue] }]));
    await other.beat({ now: 1_000_000, monotonic: 0 });
    const [taken, ...more] = await claim(other, 1_000_000, limited);
    assertEquals([more.length, await claim(slow, 100_000, limited)], [0, []]);
    await other.settle({ ...settlement(taken!, "dead", { finishedAt: 1_000_000 }), breaker });
    assertEquals(await claim(slow, 100_000, { breaker }), []);
    assertEquals((await claim(slow, 100_000, {})).length, 2); // it is neither closed nor fenced
  },
);

testServer("claim: two engines never hold one delivery", async (fixture) => {
  const engines = await Promise.all([openWithQueue(fixture), openWithQueue(fixture), openWithQueue(fixture)]);
  const { store, queue } = engines[0]!;
  await store.append(newRequest(Array.from({ length: 60 }, (_, i) => ({ queues: [queue], lane: `l${i % 20}` }))));
  const ended: string[] = [];
  await Promise.all(engines.map(async (engine) => {
    for (;;) {
      const claim = await engine.store.claim([{ queue, limit: 3 }], { token: uniqueId("tok"), now: 9_000 });
      if (claim.deliveries.length === 0) return;
      for (const delivery of claim.deliveries) {
        assertEquals(await engine.store.settle(settlement(delivery, "succeeded", { finishedAt: 9_000 })), true);
        ended.push(delivery.id);
      }
    }
  }));
  // An engine may find nothing while the heads are with the others; whoever held them goes on.
  assertEquals([ended.length, new Set(ended).size], [60, 60]);
});
