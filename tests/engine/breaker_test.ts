/**
 * The breaker of a target, with a real one that fails on a loopback port: it opens, burns nothing while it is open, lets
 * one probe at a time through, and closes; all of it in the log, so that a restart changes nothing.
 */

import { assertEquals } from "@std/assert";
import type { RoutesFile } from "weir";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";
import { adminToken, askEngine } from "./admin_fixture.ts";

/** A target that answers as it is told, when it is told. */
interface Target extends AsyncDisposable {
  readonly url: string;
  status: number;
  /** Requests so far. */
  hits: number;
  /** Most requests at once so far. */
  most: number;
  /** While set, requests wait for it. */
  gate: Promise<void> | undefined;
}

function startTarget(): Target {
  let open = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async () => {
    target.hits++;
    target.most = Math.max(target.most, ++open);
    await target.gate;
    open--;
    return new Response(null, { status: target.status });
  });
  const target: Target = {
    url: `http://127.0.0.1:${server.addr.port}/`,
    status: 500,
    hits: 0,
    most: 0,
    gate: undefined,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return target;
}

function routesTo(target: Target): RoutesFile["routes"] {
  return {
    mirror: {
      from: "app",
      retry: { attempts: 20, schedule: ["1s"], jitter: 0 },
      send: [{ url: target.url, breaker: { failures: 3, open: "1m", open_max: "3m" } }],
    },
    // A handler beside it that fails as often: it has no breaker.
    plain: { from: "app", retry: { attempts: 20, schedule: ["1s"], jitter: 0 } },
  };
}

const publish = (engine: TestEngine, n: number) => engine.weir.publish({ source: "app", type: "t", body: n });

const mirrored = (engine: TestEngine) =>
  engine.observed.flatMap((o) => o.kind === "delivery.attempted" && o.queue === "mirror/default" ? [o] : []);

/** Lets time pass in steps of a second; the plain handler's attempts show that the engine has looked in each. */
async function pass(engine: TestEngine, seconds: number, plain: { calls: number }): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    const { calls } = plain;
    engine.clock.advance(1_000);
    await publish(engine, -1);
    await until("the engine has looked", () => plain.calls > calls);
  }
}

Deno.test("breaker: opens after so many failures in a row, burns nothing, probes one by one, closes; over a restart", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  await using target = startTarget();
  const plain = { calls: 0 };
  const routes = routesTo(target);
  routes!.mirror!.when = "body >= 0";
  routes!.plain!.when = "body < 0";
  const options = { folder, adminToken, routes, handlers: { plain: () => void plain.calls++ } };

  const first = await startEngine(options);
  for (let n = 0; n < 3; n++) await publish(first, n);
  await until("three have failed", () => mirrored(first).length === 3);
  for (let n = 3; n < 10; n++) await publish(first, n);
  await pass(first, 58, plain);
  assertEquals(target.hits, 3, "open: nothing is sent");
  const { rows } = await askEngine(first).ask("/deliveries?route=mirror&state=ready");
  assertEquals(rows.length, 10);
  assertEquals(rows.reduce((sum: number, row: { failures: number }) => sum + row.failures, 0), 3, "nothing is burnt");
  assertEquals(rows[0].waiting.kind, "breaker");
  await first.weir.stop();

  const second = await startEngine(options);
  await pass(second, 57, plain); // its clock began anew: two seconds before the end of the first time
  assertEquals(target.hits, 3, "open over the restart");
  const gate = Promise.withResolvers<void>();
  target.gate = gate.promise;
  await pass(second, 4, plain);
  await until("a probe is under way", () => target.hits === 4);
  await pass(second, 5, plain);
  assertEquals([target.hits, second.weir.config.routes[0]!.destinations[0]!.concurrency], [4, 10], "one at a time");
  gate.resolve();
  target.gate = undefined;
  await until("the probe has failed", () => mirrored(second).length === 1);
  await pass(second, 118, plain);
  assertEquals(target.hits, 4, "twice as long");
  await second.weir.stop();

  await using third = await startEngine(options);
  target.status = 204;
  target.most = 0;
  const open = Promise.withResolvers<void>();
  target.gate = open.promise;
  third.clock.advance(200_000);
  await until("a probe is under way", () => target.hits === 5);
  await pass(third, 2, plain);
  assertEquals(target.most, 1, "one at a time");
  open.resolve();
  await until("all have arrived", () => mirrored(third).filter(({ state }) => state === "succeeded").length === 10);
  assertEquals(target.hits, 14);
  const { queues } = await askEngine(third).ask("/status");
  const mirror = queues.find(({ route }: { route: string }) => route === "mirror");
  assertEquals([mirror.phase, mirror.breaker.failures], ["closed", 0]);
});

Deno.test("breaker: a success in between begins the count anew, and a handler has none", async () => {
  await using target = startTarget();
  let failures = 0;
  await using engine = await startEngine({
    routes: routesTo(target),
    handlers: {
      plain: () => {
        failures++;
        throw new Error("always");
      },
    },
  });
  for (const [n, status] of [500, 500, 204, 503, 429, 200, 500, 500].entries()) {
    target.status = status;
    await publish(engine, n);
    await until("it has been sent", () => mirrored(engine).length === n + 1);
  }
  assertEquals(target.hits, 8, "never three in a row");
  await until("the handler has failed as often", () => failures === 8);
  target.status = 500;
  await publish(engine, 9);
  await until("the third in a row", () => mirrored(engine).length === 9);
  await publish(engine, 10);
  await until("the handler goes on", () => failures === 10);
  assertEquals(target.hits, 9);
});
