/**
 * The scheduler on a real log and a fake clock: order, retries, concurrency, stop and reload.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { reasonLengthMax } from "../../core/domain/outcome.ts";
import { startEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";

const ordered = { from: "app", order_by: "body.key", retry: { attempts: 3, schedule: ["10s"], jitter: 0 } };

Deno.test("scheduler: a lane keeps its order while its head is retried, and other lanes go on", async () => {
  const ran: string[] = [];
  await using engine = await startEngine({
    routes: { work: ordered },
    handlers: {
      work: (event, ctx) => {
        ran.push(`${event.body.key}${event.body.n}#${ctx.attempt}`);
        if (event.body.key === "a" && event.body.n === 1 && ctx.attempt < 3) throw new Error("not yet");
      },
    },
  });
  const publish = (key: string, n: number) => engine.weir.publish({ source: "app", type: "t", body: { key, n } });
  await publish("a", 1);
  await publish("a", 2);
  await publish("b", 1);
  await engine.seen("delivery.attempted", (o) => o.lane === "b");
  await engine.seen("delivery.attempted", (o) => o.lane === "a");
  assertEquals(ran, ["a1#1", "b1#1"]);

  engine.clock.advance(9_999);
  await publish("b", 2);
  await engine.seen("delivery.attempted", (o) => o.lane === "b", 2);
  assertEquals(ran, ["a1#1", "b1#1", "b2#1"], "not due yet");

  engine.clock.advance(1);
  await engine.seen("delivery.attempted", (o) => o.lane === "a", 2);
  engine.clock.advance(10_000);
  await engine.seen("delivery.attempted", (o) => o.lane === "a", 4);
  assertEquals(ran.slice(3), ["a1#2", "a1#3", "a2#1"]);
});

Deno.test("scheduler: a dead head lets its lane go on and stays visible", async () => {
  await using engine = await startEngine({
    routes: { work: { ...ordered, retry: { attempts: 1 } } },
    handlers: {
      work: (event) => {
        if (event.body.n === 1) throw new Error("never");
      },
    },
  });
  await engine.weir.publish({ source: "app", type: "t", body: { key: "a", n: 1 } });
  await engine.weir.publish({ source: "app", type: "t", body: { key: "a", n: 2 } });
  await engine.seen("delivery.attempted", undefined, 2);
  assertEquals(
    engine.observed.flatMap((o) => o.kind === "delivery.attempted" ? [[o.state, o.reason]] : []),
    [["dead", "failed 1 of 1 attempts; never"], ["succeeded", undefined]],
  );
});

Deno.test("scheduler: a queue never runs more than its concurrency", async () => {
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  await using engine = await startEngine({
    routes: { work: { from: "app", concurrency: 3 } },
    handlers: {
      work: async () => {
        most = Math.max(most, ++running);
        await gate.promise;
        running--;
      },
    },
  });
  for (let n = 0; n < 10; n++) await engine.weir.publish({ source: "app", type: "t", body: n });
  await until("three run", () => running === 3);
  gate.resolve();
  await engine.seen("delivery.attempted", undefined, 10);
  assertEquals(most, 3);
});

Deno.test("scheduler: what a stop interrupts does not count and is done by the next engine", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const attempts: number[] = [];
  const routes = { work: { from: "app", retry: { attempts: 1 } } };
  const first = await startEngine({
    folder,
    routes,
    handlers: { work: (_event, ctx) => (attempts.push(ctx.attempt), new Promise(() => {})) },
  });
  await first.weir.publish({ source: "app", type: "t", body: 1 });
  await until("it runs", () => attempts.length === 1);
  const timers = first.clock.waiting;
  const stopped = first.weir.stop({ graceMs: 3_000 });
  await until("the grace runs", () => first.clock.waiting > timers);
  first.clock.advance(3_000);
  await stopped;
  assertEquals(first.observed.flatMap((o) => o.kind === "delivery.attempted" ? [[o.outcome, o.state]] : []), [
    ["interrupted", "ready"],
  ]);

  await using second = await startEngine({
    folder,
    routes,
    handlers: { work: (_event, ctx) => void attempts.push(ctx.attempt) },
  });
  await until("it looks again in three seconds", () => second.clock.isDueIn(3_000));
  second.clock.advance(3_000); // its clock begins where the first one's began
  assertEquals((await second.seen("delivery.attempted")).state, "succeeded");
  assertEquals(attempts, [1, 1]);
});

Deno.test("scheduler: a handler past its timeout fails with the reason and its signal aborts", async () => {
  let aborted = false;
  await using engine = await startEngine({
    routes: { work: { from: "app", timeout: "7s" } },
    handlers: {
      work: (_event, ctx) => {
        ctx.signal.addEventListener("abort", () => aborted = true);
        return new Promise(() => {});
      },
    },
  });
  await engine.weir.publish({ source: "app", type: "t", body: 1 });
  await until("its timer is set", () => engine.clock.isDueIn(7_000));
  engine.clock.advance(7_000);
  const attempt = await engine.seen("delivery.attempted");
  assertEquals([attempt.outcome, attempt.reason, aborted], ["failed", "timed out after 7s", true]);
});

Deno.test("scheduler: reject is final, retryAfter waits that long", async () => {
  await using engine = await startEngine({
    routes: { work: { from: "app", retry: { attempts: 5, schedule: ["1s"], jitter: 0 } } },
    handlers: {
      work: (event, ctx) => {
        throw event.body === "reject" ? ctx.reject("no such order") : ctx.retryAfter("1h");
      },
    },
  });
  await engine.weir.publish({ source: "app", type: "t", body: "reject" });
  const rejected = await engine.seen("delivery.attempted");
  assertEquals([rejected.state, rejected.reason], ["dead", "rejected: no such order"]);
  await engine.weir.publish({ source: "app", type: "t", body: "later" });
  const later = await engine.seen("delivery.attempted", undefined, 2);
  assertEquals(later.dueAt! - later.at, 3_600_000);
});

Deno.test("weir: the same log cannot be opened twice, and can be again after a stop", async () => {
  const engine = await startEngine({});
  const error = await assertRejects(() => startEngine({ folder: engine.folder }));
  assertEquals((error as Error).message.includes("is in use by another engine"), true);
  await engine.weir.stop();
  await using again = await startEngine({ folder: engine.folder });
  assertEquals(again.weir.config.routes.length, 0);
});

Deno.test("weir: a reload that comes while it stops is refused, and what runs is let finish", async () => {
  const gate = Promise.withResolvers<void>();
  let running = false;
  await using engine = await startEngine({
    routes: { work: { from: "app" } },
    handlers: { work: () => (running = true, gate.promise) },
  });
  await engine.weir.publish({ source: "app", type: "t", body: 1 });
  await until("it runs", () => running);
  const stopping = engine.weir.stop();
  const reloaded = await engine.weir.reload();
  assertEquals(reloaded, { ok: false, issues: [{ path: "", message: "the engine is shutting down" }] });
  gate.resolve();
  await stopping;
  assertEquals((await engine.seen("delivery.attempted")).state, "succeeded");
});

Deno.test("scheduler: a reason of any length is kept to where a log and a person can bear it", async () => {
  await using engine = await startEngine({
    routes: { work: { from: "app", on: "throw" }, ask: { from: "app", on: "reject" } },
    handlers: {
      work: () => {
        throw new Error("x".repeat(1_000_000));
      },
      ask: (_event, { reject }) => {
        throw reject("y".repeat(1_000_000));
      },
    },
  });
  for (const type of ["throw", "reject"]) await engine.weir.publish({ source: "app", type, body: 1 });
  const lengths: number[] = [];
  for (const count of [1, 2]) {
    const { reason } = await engine.seen("delivery.attempted", () => true, count);
    lengths.push(reason!.length);
  }
  assertEquals(lengths.map((length) => length >= reasonLengthMax && length < reasonLengthMax + 100), [true, true]);
});
