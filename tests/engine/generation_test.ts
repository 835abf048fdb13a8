/** What a reload keeps: a runner, with its warm processes and connections, lives on while nothing that it was told changes. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createGeneration, type Generation, retiredRunners } from "../../core/engine/generation.ts";
import { systemClock } from "../../core/engine/system_clock.ts";
import { type Config, defaultRetention, type Destination, type Route } from "../../core/domain/config.ts";
import type { Runner } from "../../core/domain/handler.ts";
import { defaultRetry } from "../../core/domain/retry.ts";

const none: Runner = { run: () => Promise.reject(new Error("nothing runs here")), close: () => Promise.resolve() };
const address = { hostname: "127.0.0.1", port: 0 };

const script: Extract<Destination, { kind: "script" }> = {
  kind: "script",
  file: "/project/plugins/a.ts",
  permissions: { net: ["example.com"], env: ["A"], read: ["/data"] },
  timeoutMs: 1_000,
  concurrency: 10,
};
const target: Extract<Destination, { kind: "target" }> = {
  kind: "target",
  name: "ci",
  url: "https://example.com/",
  secrets: ["whsec_1"],
  headers: { "x-a": "1" },
  timeoutMs: 1_000,
  concurrency: 10,
};

function config(
  destination: Destination,
  over: { route?: Partial<Route>; environment?: Record<string, string> },
): Config {
  const { environment = { A: "1" } } = over;
  const route: Route = {
    name: "a",
    from: ["app"],
    on: ["*"],
    onExhausted: "dead",
    retry: defaultRetry,
    destinations: [destination],
    ...over.route,
  };
  return {
    server: { listen: address, admin: address, trustedProxies: [] },
    storage: { url: "file:/weir.db" },
    retention: defaultRetention,
    sources: new Map(),
    routes: [route],
    environment,
    variables: new Map(),
    files: [],
    hash: "",
  };
}

function generationOf(of: Config, previous?: Generation): Promise<Generation> {
  return createGeneration(of, {
    store: { registerQueues: (queues) => Promise.resolve(queues.map((_, at) => at)) },
    runners: { script: () => ({ ...none }), target: () => ({ ...none }) },
    handlers: { a: () => {} },
    host: { clock: systemClock },
    previous,
  });
}

async function isKept(before: Config, now: Config): Promise<boolean> {
  const first = await generationOf(before);
  return retiredRunners(first, await generationOf(now, first)).length === 0;
}

Deno.test("createGeneration: limits, rates, breakers and rules change without a new runner", async () => {
  const flow = fc.record({
    concurrency: fc.integer({ min: 1, max: 100 }),
    rateLimit: fc.option(fc.record({ count: fc.nat(), perMs: fc.nat() }), { nil: undefined }),
    breaker: fc.option(fc.record({ failures: fc.nat(), openMs: fc.nat(), openMsMax: fc.nat() }), { nil: undefined }),
  });
  const route = fc.record({ on: fc.array(fc.string()), priority: fc.integer(), delayMs: fc.nat() });
  const inline: Destination = { kind: "inline", timeoutMs: 1_000, concurrency: 1 };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(script, target, inline), flow, route, async (destination, flow, route) => {
      const now = config({ ...destination, ...flow }, { route, environment: { A: "1", B: "not granted" } });
      assertEquals(await isKept(config(destination, {}), now), true);
    }),
    { numRuns: 50 },
  );
});

Deno.test("createGeneration: whatever a runner was told makes a new one when it changes", async () => {
  const rows: [before: Destination, now: Destination, environment?: Record<string, string>][] = [
    [script, { ...script, file: "/project/plugins/b.ts" }],
    [script, { ...script, permissions: { ...script.permissions, net: [] } }],
    [script, { ...script, timeoutMs: 2_000 }],
    [script, script, { A: "2" }],
    [script, script, {}],
    [target, { ...target, url: "https://example.com/b" }],
    [target, { ...target, secrets: ["whsec_2"] }],
    [target, { ...target, headers: {} }],
    [target, { ...target, timeoutMs: 2_000 }],
    [{ ...target, name: "" }, script],
    [{ kind: "inline", timeoutMs: 1, concurrency: 1 }, { kind: "inline", timeoutMs: 2, concurrency: 1 }],
  ];
  for (const [before, now, environment] of rows) {
    assertEquals(await isKept(config(before, {}), config(now, { environment })), false, JSON.stringify(now));
  }
});

Deno.test("Generation.routesFrom: the routes that name the source, in their order and each once", async () => {
  const named = config(script, { route: { name: "a", from: ["app", "cron", "app"] } });
  const [first] = named.routes;
  const second: Route = { ...first!, name: "b", from: ["app"] };
  const generation = await generationOf({ ...named, routes: [first!, second] });
  assertEquals(generation.routesFrom("app").map(({ name }) => name), ["a", "b"]);
  assertEquals(generation.routesFrom("cron").map(({ name }) => name), ["a"]);
  assertEquals(generation.routesFrom("other"), []);
});
