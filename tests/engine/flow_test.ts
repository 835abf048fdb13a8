/**
 * Flow control on a whole engine and a fake clock: rates, keys, priorities and versions hold, and no more than they say.
 */

import { assert, assertEquals } from "@std/assert";
import type { HandlerEvent, RoutesFile } from "weir";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";
import { adminToken, askEngine } from "./admin_fixture.ts";

const publish = (engine: TestEngine, body: unknown) => engine.weir.publish({ source: "app", type: "t", body });

const runningMax = 512;

Deno.test("flow: a rate limit starts a bucket at once, then one in each spacing, over many periods and a restart", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const options = {
    folder,
    routes: { work: { from: "app", rate_limit: "5/m" } } satisfies RoutesFile["routes"],
    handlers: { work: () => void starts.push(setBackMs + engine.clock.now()) },
  };
  let setBackMs = 0;
  const starts: number[] = [];
  let engine = await startEngine(options);
  const begin = engine.clock.now();
  for (let n = 0; n < 40; n++) await publish(engine, n);
  const expectStarts = async (count: number) => {
    await until(`${count} have started`, () => starts.length >= count);
    assertEquals(starts.length, count);
  };
  await expectStarts(5);
  for (let n = 6; n <= 25; n++) {
    engine.clock.advance(11_999);
    await publish(engine, "look again");
    await until("it waits", () => engine.clock.waiting > 1);
    assertEquals(starts.length, n - 1, "a millisecond early");
    engine.clock.advance(1);
    await expectStarts(n);
  }
  await engine.weir.stop();

  setBackMs = 240_000;
  engine = await startEngine(options); // its clock begins where the first one's began: four minutes earlier
  await using _ = engine;
  await until("it waits", () => engine.clock.waiting > 1);
  engine.clock.advance(11_999);
  await publish(engine, "look again");
  await until("it waits", () => engine.clock.waiting > 1);
  assertEquals(starts.length, 25, "the bucket is as empty as it was, and the four minutes hold nothing up");
  engine.clock.advance(1);
  await expectStarts(26);
  engine.clock.advance(600_000); // nobody looked for ten minutes: one bucket has gathered, not ten
  await expectStarts(31);
  for (let minutes = 0; minutes < starts.length; minutes++) {
    const within = starts.filter((at) => at < begin + minutes * 60_000).length;
    assert(within <= 5 + 5 * minutes, `${within} starts in ${minutes} minutes`);
  }
});

Deno.test("flow: a rate limit holds one queue and no other", async () => {
  const ran: string[] = [];
  const run = (event: HandlerEvent) => void ran.push(event.body);
  await using engine = await startEngine({
    routes: {
      slow: { from: "app", when: 'body == "slow"', rate_limit: "1/h" },
      free: { from: "app", when: 'body == "free"' },
    },
    handlers: { slow: run, free: run },
  });
  for (let n = 0; n < 10; n++) await publish(engine, "slow");
  for (let n = 0; n < 10; n++) await publish(engine, "free");
  await engine.seen("delivery.attempted", undefined, 11);
  assertEquals(ran.filter((route) => route === "slow").length, 1);
});

Deno.test("flow: of one key no more run than its limit, and other keys go on", async () => {
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  const ended: string[] = [];
  const gate = Promise.withResolvers<void>();
  await using engine = await startEngine({
    routes: { work: { from: "app", concurrency: { limit: 2, key: "body.key", total: 50 } } },
    handlers: {
      work: async (event) => {
        const key: string = event.body.key ?? "none";
        running.set(key, (running.get(key) ?? 0) + 1);
        most.set(key, Math.max(most.get(key) ?? 0, running.get(key)!));
        if (key === "held") await gate.promise;
        running.set(key, running.get(key)! - 1);
        ended.push(key);
      },
    },
  });
  for (let n = 0; n < 40; n++) await publish(engine, { key: "held" });
  for (let n = 0; n < 20; n++) await publish(engine, { key: `k${n % 4}` });
  for (let n = 0; n < 5; n++) await publish(engine, {});
  await until("every other key has ended", () => ended.length === 25);
  assertEquals([running.get("held"), ended.includes("held")], [2, false]);
  gate.resolve();
  await until("all have ended", () => ended.length === 65);
  for (const [key, count] of most) assert(key === "none" || count <= 2, `${count} of ${key} at once`);
});

Deno.test("flow: when not all can run, higher priority goes first", async () => {
  const started: string[] = [];
  const release: (() => void)[] = [];
  const hold = (event: HandlerEvent) => {
    started.push(event.body);
    return new Promise<void>((resolve) => release.push(resolve));
  };
  await using engine = await startEngine({
    routes: {
      low: { from: "app", when: 'body != "high" && body != "mid"', concurrency: 1_000, priority: -5 },
      mid: { from: "app", when: 'body == "mid"' },
      high: { from: "app", when: 'body == "high"', priority: 100 },
    },
    handlers: { low: hold, mid: hold, high: hold },
  });
  for (let n = 0; n < runningMax; n++) await publish(engine, "fill");
  await until("the engine is full", () => started.length === runningMax);
  for (const body of ["low", "low", "mid", "high", "mid", "high"]) await publish(engine, body);
  for (let n = 1; n <= 6; n++) {
    release.shift()!();
    await until("the next has started", () => started.length === runningMax + n);
  }
  assertEquals(started.slice(runningMax), ["high", "high", "mid", "mid", "low", "low"]);
  for (const free of release) free();
});

Deno.test("flow: queues that together fill the engine do not keep another one out", async () => {
  const started: string[] = [];
  const release: (() => void)[] = [];
  let isOver = false;
  const hold = (event: HandlerEvent) => {
    started.push(event.body);
    return isOver ? undefined : new Promise<void>((resolve) => release.push(resolve));
  };
  const route = (name: string) => ({ from: "app", when: `body == "${name}"`, concurrency: runningMax / 2 });
  await using engine = await startEngine({
    routes: { hot: route("hot"), hotter: route("hotter"), late: route("late") },
    handlers: { hot: hold, hotter: hold, late: hold },
  });
  for (let n = 0; n < runningMax / 2 + 20; n++) await Promise.all([publish(engine, "hot"), publish(engine, "hotter")]);
  await until("the engine is full", () => started.length === runningMax);
  for (let n = 0; n < 5; n++) await publish(engine, "late");
  for (let n = 1; n <= 10; n++) {
    release.shift()!();
    await until("the next has started", () => started.length === runningMax + n);
  }
  const next = started.slice(runningMax);
  isOver = true;
  for (const free of release) free();
  await until("all have started", () => started.length === runningMax + 45);
  assertEquals(next.filter((body) => body === "late").length, 5, next.join());
});

Deno.test("flow: an event older than the last one finished in its lane is skipped, with the reason in sight", async () => {
  const ran: string[] = [];
  const gate = Promise.withResolvers<void>();
  await using engine = await startEngine({
    adminToken,
    routes: { work: { from: "app", order_by: "body.key", skip_older: "body.v", retry: { attempts: 1 } } },
    handlers: {
      work: async (event) => {
        ran.push(event.body.name);
        if (event.body.name === "head") await gate.promise;
        if (event.body.name === "dead") throw new Error("never");
      },
    },
  });
  const { ask } = askEngine(engine);
  const send = (name: string, v: unknown, key = "k") => publish(engine, { key, v, name });
  await send("head", 5);
  for (const [name, v] of [["older", 3], ["equal", 5], ["unversioned", null], ["newer", 7], ["between", 6]] as const) {
    await send(name, v);
  }
  await send("elsewhere", 1, "other");
  await engine.seen("delivery.attempted", (o) => o.lane === "other");
  assertEquals(ran, ["head", "elsewhere"]);
  gate.resolve();
  await until("the lane is through", () => ran.length === 5);
  await send("late", 6);
  await send("dead", 9);
  await send("last", 9);
  await until("the last has run", () => ran.at(-1) === "last");
  assertEquals(ran, ["head", "elsewhere", "equal", "unversioned", "newer", "dead", "last"]);
  const { rows: skipped } = await ask("/deliveries?state=skipped");
  assertEquals(skipped.length, 3);
  assertEquals(
    new Set(skipped.map(({ reason }: { reason: string }) => reason)),
    new Set([
      "older than the last one that finished in its lane",
    ]),
  );
  const { rows: [dead] } = await ask("/deliveries?state=dead");
  await ask(`/deliveries/${dead.id}/redeliver`, {});
  await until("the dead one has run again", () => ran.length === 8);
  assertEquals(ran.at(-1), "dead");
});

Deno.test("flow: a parked head holds its lane alone, over a restart, until a person resumes or skips it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const ran: string[] = [];
  let broken = true;
  const options = {
    folder,
    adminToken,
    routes: {
      work: {
        from: "app",
        order_by: "body.key",
        on_exhausted: "park",
        retry: { attempts: 2, schedule: ["1s"], jitter: 0 },
      },
    } satisfies RoutesFile["routes"],
    handlers: {
      work: (event: HandlerEvent, ctx: { attempt: number }) => {
        ran.push(`${event.body.key}${event.body.n}#${ctx.attempt}`);
        if (broken && event.body.key === "a") throw new Error("broken");
      },
    },
  };
  const first = await startEngine(options);
  for (const [key, n] of [["a", 1], ["a", 2], ["a", 3], ["b", 1]] as const) await publish(first, { key, n });
  await first.seen("delivery.attempted", undefined, 2);
  first.clock.advance(1_000);
  const parked = await first.seen("delivery.attempted", (o) => o.state === "parked");
  assertEquals(parked.reason, "failed 2 of 2 attempts; broken");
  await first.weir.stop();

  await using engine = await startEngine(options);
  engine.clock.advance(86_400_000);
  await publish(engine, { key: "b", n: 2 });
  await engine.seen("delivery.attempted", (o) => o.lane === "b");
  assertEquals(ran.toSorted(), ["a1#1", "a1#2", "b1#1", "b2#1"], "the lane waits, the other does not");

  const { ask } = askEngine(engine);
  await ask(`/deliveries/${parked.deliveryId}/resume`, {});
  await engine.seen("delivery.attempted", (o) => o.lane === "a");
  engine.clock.advance(1_000);
  await engine.seen("delivery.attempted", (o) => o.state === "parked");
  assertEquals(ran.slice(4), ["a1#1", "a1#2"], "fresh attempts, the same place");
  broken = false;
  await ask(`/deliveries/${parked.deliveryId}/skip`, {});
  await engine.seen("delivery.attempted", (o) => o.state === "succeeded" && o.lane === "a", 2);
  assertEquals(ran.slice(6), ["a2#1", "a3#1"]);
});

Deno.test("flow: halt stops the whole queue and no other, until a person lets it go on", async () => {
  const ran: string[] = [];
  const run = (event: HandlerEvent) => {
    ran.push(`${event.body.key}${event.body.n}`);
    if (event.body.key === "bad" && ran.filter((each) => each === "bad1").length === 1) throw new Error("broken");
  };
  await using engine = await startEngine({
    adminToken,
    routes: {
      work: { from: "app", order_by: "body.key", on_exhausted: "halt", retry: { attempts: 1 } },
      other: { from: "app" },
    },
    handlers: { work: run, other: () => {} },
  });
  const send = (key: string, n: number) => publish(engine, { key, n });
  await send("bad", 1);
  const halted = await engine.seen("delivery.attempted", (o) => o.state === "parked");
  await send("good", 1);
  await send("bad", 2);
  await engine.seen("delivery.attempted", (o) => o.queue === "other", 3);
  assertEquals(ran, ["bad1"]);
  const { ask } = askEngine(engine);
  const { queues } = await ask("/status");
  const work = queues.find(({ route }: { route: string }) => route === "work");
  assertEquals(work.paused.reason, `halted by ${halted.deliveryId}: failed 1 of 1 attempts; broken`);
  await ask("/queues/resume", { route: "work" });
  await until("the other lane has run", () => ran.includes("good1"));
  assertEquals(ran, ["bad1", "good1"], "its own lane still waits");
  await ask(`/deliveries/${halted.deliveryId}/resume`, {});
  await until("the lane goes on", () => ran.includes("bad2"));
  assertEquals(ran, ["bad1", "good1", "bad1", "bad2"]);
});

Deno.test("flow: a queue that has nothing to do keeps nothing from one that has", async () => {
  let running = 0;
  const gate = Promise.withResolvers<void>();
  const idle = Array.from({ length: 60 }, (_, n) => [`idle-${n}`, { from: "app", when: "false", priority: n % 2 }]);
  const routes: RoutesFile["routes"] = { ...Object.fromEntries(idle), busy: { from: "app", concurrency: 500 } };
  const busy = () => (running++, gate.promise);
  await using engine = await startEngine({
    routes,
    handlers: { ...Object.fromEntries(idle.map(([name]) => [name, () => {}])), busy },
  });
  await Promise.all(Array.from({ length: 600 }, (_, n) => publish(engine, n)));
  await until("it runs as many as it may", () => running === 500);
  gate.resolve();
  await until("all have run", () => running === 600);
});
