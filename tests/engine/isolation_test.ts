/**
 * What may have taken an engine down has its process for itself, and neither hurts the others nor gets past what holds
 * its queue.
 */

import { assertEquals } from "@std/assert";
import type { Handler, RoutesFile } from "weir";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";
import { claimAndDie } from "./claim_and_die.ts";

const retry = { attempts: 10, schedule: ["1s"], jitter: 0 };
const grim = { from: "app", when: "event.type == 'grim'", retry } as const;
const other = { from: "app", when: "event.type == 'other'", retry } as const;

/** Handlers that end when the test says so, and what they began. */
function createWorkshop() {
  const began: string[] = [];
  const ends = new Map<string, (outcome: "succeeded" | "rejected") => void>();
  let isOver = false;
  const handler: Handler = async (event, { reject }) => {
    const name = `${event.type} ${event.body}`;
    began.push(name);
    if (isOver) return;
    const { promise, resolve } = Promise.withResolvers<"succeeded" | "rejected">();
    ends.set(name, resolve);
    if (await promise === "rejected") throw reject("no");
  };
  return {
    began,
    handler,
    async hasBegun(...names: string[]) {
      await until(`${names} began`, () => began.length >= names.length);
      assertEquals(began, names);
    },
    end(name: string, outcome: "succeeded" | "rejected" = "succeeded") {
      ends.get(name)!(outcome);
    },
    endAll() {
      isOver = true;
      for (const end of ends.values()) end("succeeded");
    },
  };
}

interface Rig extends AsyncDisposable {
  readonly engine: TestEngine;
  readonly workshop: ReturnType<typeof createWorkshop>;
}

/** An engine on a log in which `count` events of each of some routes were running when the engine before it died. */
async function startWithSuspects(
  count: number,
  routes: Record<string, NonNullable<RoutesFile["routes"]>[string]>,
  fatal: readonly string[] = ["grim"],
): Promise<Rig> {
  const workshop = createWorkshop();
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const inline = Object.keys(routes).filter((name) => routes[name]!.send === undefined);
  const handlers = Object.fromEntries(inline.map((name) => [name, workshop.handler]));
  const later = Object.fromEntries(
    Object.entries(routes).map(([name, { rate_limit: _, ...unlimited }]) => [name, { ...unlimited, delay: "1h" }]),
  );
  const first = await startEngine({ folder, routes: later, handlers });
  for (let n = 1; n <= count; n++) {
    for (const type of fatal) await first.weir.publish({ source: "app", type, body: n });
  }
  await first.weir.stop();
  await claimAndDie(folder, fatal, first.clock.now() + 7_200_000);
  const engine = await startEngine({ folder, routes, handlers });
  return {
    engine,
    workshop,
    async [Symbol.asyncDispose]() {
      workshop.endAll(); // or a test that fails would wait for them
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** When the suspects have waited as their schedule says. */
const dueMs = 1_001;

/** Nothing more happens without the test: every claim that was asked for has been answered. */
async function settles({ weir, clock }: TestEngine): Promise<void> {
  for (let n = 0; n < 3; n++) {
    clock.advance(1);
    await weir.publish({ source: "app", type: "nobody's", body: n }); // its answer comes behind theirs
  }
}

Deno.test("isolation: a suspect runs alone, and others have their turn before the next", async () => {
  await using rig = await startWithSuspects(3, { grim, other });
  const { engine, workshop } = rig;
  engine.clock.advance(dueMs);
  await workshop.hasBegun("grim 1");
  await engine.weir.publish({ source: "app", type: "other", body: 1 });
  await settles(engine);
  assertEquals(workshop.began, ["grim 1"]);

  workshop.end("grim 1");
  await workshop.hasBegun("grim 1", "other 1");
  await engine.weir.publish({ source: "app", type: "other", body: 2 }); // held back now: two suspects wait
  await settles(engine);
  workshop.end("other 1");
  await workshop.hasBegun("grim 1", "other 1", "grim 2");
  workshop.end("grim 2");
  await workshop.hasBegun("grim 1", "other 1", "grim 2", "other 2");
  workshop.end("other 2");
  await workshop.hasBegun("grim 1", "other 1", "grim 2", "other 2", "grim 3");
});

Deno.test("isolation: handlers that overlap without end are not begun any more once a suspect waits", async () => {
  await using rig = await startWithSuspects(1, { grim, other: { ...other, concurrency: 2 } });
  const { engine, workshop } = rig;
  for (let n = 1; n <= 6; n++) await engine.weir.publish({ source: "app", type: "other", body: n });
  await workshop.hasBegun("other 1", "other 2");
  workshop.end("other 1");
  await workshop.hasBegun("other 1", "other 2", "other 3");
  engine.clock.advance(dueMs);
  await settles(engine);
  workshop.end("other 2");
  await engine.seen("delivery.attempted", undefined, 2);
  await settles(engine);
  assertEquals(workshop.began.length, 3);
  workshop.end("other 3");
  await workshop.hasBegun("other 1", "other 2", "other 3", "grim 1");
  workshop.end("grim 1");
  await workshop.hasBegun("other 1", "other 2", "other 3", "grim 1", "other 4", "other 5");
});

Deno.test("isolation: a suspect whose queue has one place finds it free, however much waits there", async () => {
  await using rig = await startWithSuspects(2, { grim: { ...grim, concurrency: 1 } });
  const { engine, workshop } = rig;
  for (let n = 3; n <= 6; n++) await engine.weir.publish({ source: "app", type: "grim", body: n });
  await workshop.hasBegun("grim 3");
  engine.clock.advance(dueMs);
  await settles(engine);
  for (const name of ["grim 3", "grim 4", "grim 1", "grim 5", "grim 2", "grim 6"]) {
    await until(`${name} began`, () => workshop.began.at(-1) === name);
    workshop.end(name);
  }
});

Deno.test("isolation: while a suspect waits or runs, scripts and targets go on", async () => {
  const send = [{ name: "sink", url: "http://127.0.0.1:9/" }];
  await using rig = await startWithSuspects(1, {
    grim,
    other,
    mirror: { from: "app", when: "event.type == 'sent'", send },
  });
  const { engine, workshop } = rig;
  await engine.weir.publish({ source: "app", type: "other", body: 1 });
  await workshop.hasBegun("other 1");
  engine.clock.advance(dueMs);
  await settles(engine);
  await engine.weir.publish({ source: "app", type: "sent", body: 1 });
  await engine.seen("delivery.attempted", ({ queue }) => queue.startsWith("mirror"));
  workshop.end("other 1");
  await workshop.hasBegun("other 1", "grim 1");
  await engine.weir.publish({ source: "app", type: "sent", body: 2 });
  await engine.seen("delivery.attempted", ({ queue }) => queue.startsWith("mirror"), 2);
});

Deno.test("isolation: a suspect that halts its queue keeps the ones behind it from beginning", async () => {
  await using rig = await startWithSuspects(3, { grim: { ...grim, on_exhausted: "halt" } });
  const { engine, workshop } = rig;
  engine.clock.advance(dueMs);
  await workshop.hasBegun("grim 1");
  workshop.end("grim 1", "rejected");
  await engine.seen("delivery.attempted", ({ state }) => state === "parked");
  await settles(engine);
  assertEquals(workshop.began, ["grim 1"]);
});

Deno.test("isolation: suspects start no faster than their rate limit", async () => {
  const routes = { grim: { ...grim, rate_limit: "1/m" }, other: { ...other, timeout: "1h" } };
  await using rig = await startWithSuspects(3, routes);
  const { engine, workshop } = rig;
  await engine.weir.publish({ source: "app", type: "other", body: 1 });
  await workshop.hasBegun("other 1");
  engine.clock.advance(dueMs + 600_000);
  await settles(engine);
  workshop.end("other 1");
  await workshop.hasBegun("other 1", "grim 1");
  workshop.end("grim 1");
  await engine.seen("delivery.attempted", ({ queue }) => queue === "grim");
  await settles(engine);
  assertEquals(workshop.began, ["other 1", "grim 1"]);
  engine.clock.advance(60_000);
  await workshop.hasBegun("other 1", "grim 1", "grim 2");
});

Deno.test("isolation: of a queue with a rate limit the suspect has the next start, however many wait beside it", async () => {
  await using rig = await startWithSuspects(1, { grim: { ...grim, rate_limit: "1/m" } });
  const { engine, workshop } = rig;
  engine.clock.advance(900); // the suspect is not due yet
  for (let n = 2; n <= 4; n++) await engine.weir.publish({ source: "app", type: "grim", body: n });
  await workshop.hasBegun("grim 2");
  workshop.end("grim 2");
  engine.clock.advance(60_000);
  await workshop.hasBegun("grim 2", "grim 1");
  workshop.end("grim 1");
  await engine.seen("delivery.attempted", undefined, 2);
  engine.clock.advance(60_000);
  await workshop.hasBegun("grim 2", "grim 1", "grim 3");
});

Deno.test("isolation: suspects of different queues take turns", async () => {
  const routes = { grim, other };
  await using rig = await startWithSuspects(3, routes, ["grim", "other"]);
  const { engine, workshop } = rig;
  engine.clock.advance(dueMs);
  for (let n = 1; n <= 6; n++) {
    await until("the next began", () => workshop.began.length === n);
    workshop.end(workshop.began.at(-1)!);
  }
  const turns = workshop.began.map((name) => name.split(" ")[0]);
  assertEquals(turns.slice(0, 2).sort(), ["grim", "other"]);
  assertEquals(turns, [...turns.slice(0, 2), ...turns.slice(0, 2), ...turns.slice(0, 2)]);
});

Deno.test("isolation: a stop begins no suspect", async () => {
  await using rig = await startWithSuspects(2, { grim, other });
  const { engine, workshop } = rig;
  engine.clock.advance(dueMs);
  await workshop.hasBegun("grim 1");
  const stopping = engine.weir.stop({ graceMs: 0 });
  await until("it has told it", () => {
    engine.clock.advance(1);
    return engine.observed.some(({ kind }) => kind === "delivery.attempted");
  });
  await stopping;
  assertEquals(workshop.began, ["grim 1"]);
  assertEquals(engine.clock.waiting, 0, "nothing keeps the program from ending");
});
