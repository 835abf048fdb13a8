/**
 * What an engine does with the work of one that died: the log of the dead one is made by opening it below the engine.
 */

import { assertEquals } from "@std/assert";
import type { RoutesFile } from "weir";
import { isSuspect } from "../../core/domain/delivery.ts";
import { openStore } from "../../core/store/open.ts";
import { startEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";

/** Claims everything of a route that is due, begins it, and goes away without a word, as a killed engine does. */
async function claimAndDie(folder: string, route: string, now: number): Promise<void> {
  const store = await openStore({ url: `file:${folder}/weir.db`, boot: "dead", now: 1, idempotencyMs: () => 1 });
  const [queue] = await store.registerQueues([{ route, target: "" }]);
  const { deliveries } = await store.claim([{ queue: queue!, limit: 10 }], { token: crypto.randomUUID(), now });
  for (const delivery of deliveries.filter(isSuspect)) {
    const { failures, deaths } = delivery;
    const death = { failures: failures + 1, deaths: deaths + 1, delayMs: 0 };
    assertEquals(await store.begin(delivery, { death, monotonic: () => 0 }), true);
  }
  await store.close();
}

Deno.test("createWeir: an inline handler that takes its engine down three times is poison, and its lane goes on", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const ran: number[] = [];
  const routes = { work: { from: "app", order_by: "body.key", retry: { attempts: 10, schedule: ["1s"], jitter: 0 } } };
  const handlers = { work: (event: { body: { n: number } }) => void ran.push(event.body.n) };
  // A source of which nothing is handled yet: the route comes later, so that nothing runs before the deaths.
  const first = await startEngine({ folder, routes: { work: { ...routes.work, delay: "1h" } }, handlers });
  await first.weir.publish({ source: "app", type: "t", body: { key: "a", n: 1 } });
  await first.weir.publish({ source: "app", type: "t", body: { key: "a", n: 2 } });
  await first.weir.stop();

  const reasons: string[] = [];
  for (let death = 1; death <= 3; death++) {
    await claimAndDie(folder, "work", first.clock.now() + 7_200_000 + death);
    const engine = await startEngine({
      folder,
      routes: { work: { ...routes.work } },
      handlers: { work: () => new Promise(() => {}) },
    });
    const started = engine.observed.find((o) => o.kind === "engine" && o.message.includes("took back"));
    reasons.push(started?.kind === "engine" ? started.message : "");
    await engine.weir.stop({ graceMs: 0 });
  }
  assertEquals(reasons, Array(3).fill("took back 1 deliveries of an engine that is gone"));

  await using last = await startEngine({ folder, routes, handlers });
  last.clock.advance(7_200_000 + 10);
  await last.seen("delivery.attempted", (o) => o.state === "succeeded");
  assertEquals(ran, [2]);
});

Deno.test("createWeir: inline suspects run one after the other, waiting is no part of their timeout, and a stop begins none", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const routes = {
    work: { from: "app", timeout: "30s", retry: { attempts: 10, schedule: ["1s"], jitter: 0 } },
  } satisfies RoutesFile["routes"];
  const first = await startEngine({
    folder,
    routes: { work: { ...routes.work, delay: "1h" } },
    handlers: { work() {} },
  });
  for (let n = 1; n <= 3; n++) await first.weir.publish({ source: "app", type: "t", body: n });
  await first.weir.stop();
  await claimAndDie(folder, "work", first.clock.now() + 7_200_000);

  const ran: number[] = [];
  const ends: (() => void)[] = [];
  let isOver = false;
  const work = (event: { body: number }) => {
    ran.push(event.body);
    return isOver ? undefined : new Promise<void>((resolve) => ends.push(resolve));
  };
  await using engine = await startEngine({ folder, routes, handlers: { work } });
  using _letGo = { // or a test that fails would wait for them
    [Symbol.dispose]() {
      isOver = true;
      for (const end of ends) end();
    },
  };
  engine.clock.advance(7_200_001);
  await until("one runs", () => ran.length === 1);
  engine.clock.advance(20_000);
  await engine.weir.publish({ source: "app", type: "t", body: 4 });
  assertEquals(ran, [1]);
  ends.shift()!();
  await until("the next runs", () => ran.length === 2);
  engine.clock.advance(20_000);
  assertEquals(ran, [1, 2]);
  const stopping = engine.weir.stop({ graceMs: 0 });
  await until("it has told them", () => {
    engine.clock.advance(1);
    return engine.observed.filter(({ kind }) => kind === "delivery.attempted").length === 4;
  });
  await stopping;
  assertEquals(ran, [1, 2]);
  const ended = engine.observed.flatMap((each) => each.kind === "delivery.attempted" ? [each.outcome] : []);
  assertEquals(ended, ["succeeded", "interrupted", "interrupted", "interrupted"]);
});

Deno.test("createWeir: what waited behind an inline suspect does not start in a heap where its route has a rate limit", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const retry = { attempts: 10, schedule: ["1s"], jitter: 0 };
  const routes = {
    grim: { from: "app", when: "event.type == 'grim'", retry },
    steady: { from: "app", when: "event.type == 'steady'", rate_limit: "1/m", retry },
  } satisfies RoutesFile["routes"];
  const first = await startEngine({
    folder,
    routes: { ...routes, grim: { ...routes.grim, delay: "1h" } },
    handlers: { grim() {}, steady() {} },
  });
  await first.weir.publish({ source: "app", type: "grim", body: 0 });
  await first.weir.stop();
  await claimAndDie(folder, "grim", first.clock.now() + 7_200_000);

  const ran: number[] = [];
  const end = Promise.withResolvers<void>();
  const handlers = { grim: () => end.promise, steady: (event: { body: number }) => void ran.push(event.body) };
  await using engine = await startEngine({ folder, routes, handlers });
  engine.clock.advance(7_200_001);
  await engine.weir.publish({ source: "app", type: "steady", body: 1 });
  engine.clock.advance(60_000);
  await engine.weir.publish({ source: "app", type: "steady", body: 2 });
  end.resolve();
  await engine.seen("delivery.attempted", (o) => o.outcome === "interrupted", 2);
  assertEquals(ran, []);
  for (let n = 1; n <= 2; n++) {
    engine.clock.advance(60_000);
    await engine.seen("delivery.attempted", (o) => o.queue === "steady" && o.state === "succeeded", n);
    assertEquals(ran.length, n);
  }
});
