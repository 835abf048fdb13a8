/** The admin API on a real log: what it shows, what it changes, and that its answers are what its schemas say. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { z } from "@hono/zod-openapi";
import type { Destination, Route } from "../../core/domain/config.ts";
import type { Expression } from "../../core/domain/expression.ts";
import { defaultRetry } from "../../core/domain/retry.ts";
import { createAdmin, type EngineStatus } from "../../core/http/admin.ts";
import * as schemas from "../../core/http/admin_schema.ts";
import { createSourcePauses } from "../../core/engine/source_pauses.ts";
import { createMetrics } from "../../core/http/metrics.ts";
import { openStore } from "../../core/store/open.ts";
import { DiskFull, StoreUnavailable } from "../../core/store/store.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { createRecorder, from, httpSource, makeConfig } from "./http_fixture.ts";

const token = "a-token-of-the-tests-0123456789";

const expression = (text: string): Expression => ({ text, evaluate: () => ({ kind: "missing", reason: "unused" }) });

const script: Destination = {
  kind: "script",
  file: "/srv/plugins/a.ts",
  permissions: { net: ["api.example.com"], env: ["API_KEY"], read: [] },
  timeoutMs: 60_000,
  concurrency: 10,
};
const target: Destination = {
  kind: "target",
  name: "ci",
  url: "https://user:s3cr3t-in-url@ci.example.com:8443/s3cr3t-in-path?token=s3cr3t-in-query",
  secrets: ["s3cr3t-of-target"],
  headers: { authorization: "s3cr3t-in-header" },
  timeoutMs: 15_000,
  concurrency: 5,
};
const route: Route = {
  name: "r",
  from: ["a"],
  on: ["*"],
  when: expression("body.n > 1"),
  orderBy: expression("body.id"),
  onExhausted: "dead",
  retry: defaultRetry,
  destinations: [script, target],
};

async function setUp() {
  const directory = await Deno.makeTempDir();
  const clock = createFakeClock();
  const store = await openStore({
    url: `file:${directory}/weir.db`,
    boot: "boot-1",
    now: clock.now(),
    idempotencyMs: () => 1_000,
  });
  const { seen, observe } = createRecorder();
  const woken: number[] = [];
  const config = makeConfig([httpSource({ id: expression("body.id") }), { kind: "publish", name: "app" }], {
    config: { routes: [route] },
  });
  const status: EngineStatus = {
    version: "1.2.3",
    startedAt: clock.now(),
    ready: true,
    storage: "file",
    configHash: "hash-1",
    running: 0,
  };
  let ids = 0;
  let reloaded: Awaited<ReturnType<Parameters<typeof createAdmin>[0]["reload"]>> = {
    ok: true,
    orphaned: 0,
    reorderedLanes: 0,
  };
  const options = {
    store,
    config: () => config,
    wake: () => void woken.push(clock.now()),
    reload: () => Promise.resolve(reloaded),
    status: () => status,
    metrics: createMetrics(),
    observe,
    token,
    makeDeliveryId: () => `dlv_made_${++ids}`,
    replay: () => Promise.reject(new RangeError("unused")),
    pauses: createSourcePauses(store),
    backup: () => Promise.resolve({ ok: false as const, reason: "unused" }),
    clock,
  };
  const admin = createAdmin(options);
  const call = (path: string, method = "GET") =>
    admin.fetch(
      new Request(`http://127.0.0.1:8081${path}`, {
        method,
        headers: { host: "127.0.0.1:8081", authorization: `Bearer ${token}` },
      }),
      from("127.0.0.1"),
    );
  return {
    store,
    clock,
    seen,
    woken,
    options,
    call,
    /** Asks, and holds the answer against the schema. */
    async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
      const response = await call(path);
      const body = await response.json();
      assertEquals(response.status, 200, JSON.stringify(body));
      return schema.parse(body);
    },
    reloadWith: (result: typeof reloaded) => void (reloaded = result),
    async [Symbol.asyncDispose]() {
      await store.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** Two events in one lane of one queue: the second one waits behind the first. */
async function append({ store, clock }: Awaited<ReturnType<typeof setUp>>): Promise<void> {
  const [queue] = await store.registerQueues([{ route: "r", target: "ci" }]);
  for (const n of [1, 2]) {
    await store.append({
      id: `req_${n}`,
      source: "a",
      query: "x=1",
      headers: { "content-type": "application/json" },
      raw: new TextEncoder().encode(`{"n": ${n}, "big": 9007199254740993}`),
      receivedAt: clock.now(),
      configHash: "hash-1",
      events: [{
        id: `evt_${n}`,
        type: "order.paid",
        idempotencyKey: `key-${n}`,
        sha256: "0".repeat(64),
        deliveries: [{ id: `dlv_${n}`, queue: queue!, lane: "lane-1" }],
      }],
    });
  }
}

async function problemOf(response: Response): Promise<[number, string]> {
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  const document = schemas.problemSchema.parse(await response.json());
  assertEquals(document.status, response.status);
  return [document.status, document.detail];
}

Deno.test("createAdmin: status, events and deliveries are what the log holds", async () => {
  await using engine = await setUp();
  await append(engine);
  const status = await engine.get("/api/v1/status", schemas.statusSchema);
  assertEquals([
    status.version,
    status.queues.map(({ route, target, ready, blocked }) => [route, target, ready, blocked]),
  ], [
    "1.2.3",
    [["r", "ci", 1, 1]],
  ]);
  const first = await engine.get("/api/v1/events?limit=1&source=a", schemas.eventPageSchema);
  assertEquals(first.rows.map(({ id }) => id), ["evt_2"]);
  const second = await engine.get(`/api/v1/events?limit=1&before=${first.nextBefore}`, schemas.eventPageSchema);
  assertEquals(second.rows.map(({ id }) => id), ["evt_1"]);
  const event = await engine.get("/api/v1/events/evt_1", schemas.eventSchema);
  assertEquals(event.body, { n: 1, big: "9007199254740993" });
  assertEquals(atob(event.rawBase64), '{"n": 1, "big": 9007199254740993}');
  assertEquals(event.deliveryRows.map(({ id }) => id), ["dlv_1"]);
  const blocked = await engine.get("/api/v1/deliveries?state=blocked&lane=lane-1", schemas.deliveryPageSchema);
  assertEquals(blocked.rows.map(({ id }) => id), ["dlv_2"]);
  const delivery = await engine.get("/api/v1/deliveries/dlv_2", schemas.deliverySchema);
  assertEquals([delivery.state, delivery.behind], ["blocked", "dlv_1"]);
});

Deno.test("createAdmin: cancel, then redeliver, each waking the scheduler and each only where it may", async () => {
  await using engine = await setUp();
  await append(engine);
  assertEquals((await problemOf(await engine.call("/api/v1/deliveries/dlv_1/redeliver", "POST")))[0], 409);
  const cancelled = await engine.call("/api/v1/deliveries/dlv_1/cancel", "POST");
  assertEquals([cancelled.status, await cancelled.json()], [200, { id: "dlv_1", state: "cancelled" }]);
  assertEquals(engine.woken.length, 1);
  assertEquals((await engine.store.delivery("dlv_2"))?.state, "ready");
  assertEquals(await problemOf(await engine.call("/api/v1/deliveries/dlv_1/cancel", "POST")), [
    409,
    "delivery dlv_1 is cancelled; only one that waits can be cancelled",
  ]);
  const redelivered = await engine.call("/api/v1/deliveries/dlv_1/redeliver", "POST");
  assertEquals([redelivered.status, await redelivered.json()], [201, { id: "dlv_made_2" }]);
  assertEquals(engine.woken.length, 2);
  assertEquals((await engine.store.delivery("dlv_made_2"))?.redeliveryOf, "dlv_1");
});

Deno.test("createAdmin: dead letters are listed, by route too", async () => {
  await using engine = await setUp();
  await append(engine);
  const [queue] = await engine.store.registerQueues([{ route: "r", target: "ci" }]);
  const now = engine.clock.now();
  const { deliveries: [claimed] } = await engine.store.claim([{ queue: queue!, limit: 1 }], { token: "t", now });
  await engine.store.settle({
    delivery: claimed!,
    transition: { state: "dead", failures: 1, deaths: 0, reason: "rejected: no" },
    attempt: { n: 1, startedAt: now, finishedAt: now + 5, outcome: "rejected", reason: "no", output: "printed" },
  });
  const dead = await engine.get("/api/v1/dead?route=r", schemas.deliveryPageSchema);
  assertEquals(dead.rows.map(({ id, reason }) => [id, reason]), [["dlv_1", "rejected: no"]]);
  assertEquals((await engine.get("/api/v1/dead?target=", schemas.deliveryPageSchema)).rows, []);
  const { attempts } = await engine.get("/api/v1/deliveries/dlv_1", schemas.deliverySchema);
  assertEquals(attempts.map(({ outcome, output }) => [outcome, output]), [["rejected", "printed"]]);
});

Deno.test("createAdmin: what is not there is a 404, what is asked wrongly a 400 that says where", async () => {
  await using engine = await setUp();
  const table: [string, string, number][] = [
    ["GET", "/api/v1/events/evt_0", 404],
    ["GET", "/api/v1/deliveries/dlv_0", 404],
    ["POST", "/api/v1/deliveries/dlv_0/redeliver", 404],
    ["POST", "/api/v1/deliveries/dlv_0/cancel", 404],
    ["GET", "/api/v2/events", 404],
    ["DELETE", "/api/v1/events", 404],
    ["GET", "/api/v1/events?limit=0", 400],
    ["GET", "/api/v1/events?limit=501", 400],
    ["GET", "/api/v1/events?before=x", 400],
    ["GET", "/api/v1/events?sauce=a", 400],
    ["GET", "/api/v1/deliveries?state=ded", 400],
  ];
  for (const [method, path, status] of table) {
    assertEquals((await problemOf(await engine.call(path, method)))[0], status, path);
  }
  const wrong = schemas.issuesProblemSchema.parse(await (await engine.call("/api/v1/events?limit=0")).json());
  assertEquals(wrong.issues.map(({ path }) => path), ["limit"]);
});

Deno.test("createAdmin: routes and sources are shown without anything secret", async () => {
  await using engine = await setUp();
  const routes = await engine.get("/api/v1/routes", schemas.routeListSchema);
  const sources = await engine.get("/api/v1/sources", schemas.sourceListSchema);
  assertEquals(routes[0]!.destinations.map(({ target, file, origin }) => [target, file, origin]), [
    ["", "/srv/plugins/a.ts", undefined],
    ["ci", undefined, "https://ci.example.com:8443"],
  ]);
  assertEquals([routes[0]!.when, routes[0]!.orderBy], ["body.n > 1", "body.id"]);
  assertEquals(sources.map(({ name, kind, path, id }) => [name, kind, path, id]), [
    ["a", "http", "/hooks/a", "body.id"],
    ["app", "publish", undefined, undefined],
  ]);
  assert(!JSON.stringify([routes, sources]).includes("s3cr3t"));
});

Deno.test("createAdmin: a reload answers with the new hash, or with every mistake", async () => {
  await using engine = await setUp();
  const fine = await engine.call("/api/v1/config/reload", "POST");
  assertEquals([fine.status, await fine.json()], [200, { configHash: "hash-1", orphaned: 0, reorderedLanes: 0 }]);
  const issues = [{ file: "routes.yaml", line: 3, column: 5, path: "routes.r.on", message: "must be a list" }];
  engine.reloadWith({ ok: false, issues });
  const wrong = await engine.call("/api/v1/config/reload", "POST");
  assertEquals([wrong.status, wrong.headers.get("content-type")], [422, "application/problem+json"]);
  assertEquals(schemas.issuesProblemSchema.parse(await wrong.json()).issues, issues);
});

Deno.test("createAdmin: a log that cannot be reached is a 503, anything unexpected a 500 that tells nothing", async () => {
  await using engine = await setUp();
  const failing = (error: Error) =>
    createAdmin({ ...engine.options, store: { ...engine.store, events: () => Promise.reject(error) } });
  const request = () =>
    new Request("http://localhost/api/v1/events", { headers: { host: "localhost", authorization: `Bearer ${token}` } });
  const gone = await failing(new StoreUnavailable("s3cr3t")).fetch(request());
  assertEquals([gone.headers.get("retry-after"), ...await problemOf(gone)], ["5", 503, "the log cannot be reached"]);
  const full = await failing(new DiskFull("the disk is full (0 bytes free)")).fetch(request());
  assertEquals(await problemOf(full), [503, "the disk is full (0 bytes free)"]);
  assertEquals(engine.seen, []);
  const broken = await failing(new Error("s3cr3t")).fetch(request());
  assertEquals(await problemOf(broken), [500, "the request could not be handled"]);
  assertEquals(engine.seen.map((one) => one.kind === "engine" && one.message), ["admin: s3cr3t"]);
});

Deno.test("createAdmin: metrics are text, probes need no token, nothing is cached", async () => {
  await using engine = await setUp();
  const metrics = await engine.call("/metrics");
  assert(metrics.headers.get("content-type")!.startsWith("text/plain"));
  assert((await metrics.text()).includes("weir_log_readable 1"));
  assertEquals(metrics.headers.get("cache-control"), "no-store");
  const admin = createAdmin({ ...engine.options, status: () => ({ ...engine.options.status(), ready: false }) });
  const probe = async (path: string) => {
    const response = await admin.fetch(new Request(`http://localhost${path}`, { headers: { host: "localhost" } }));
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await probe("/healthz"), await probe("/readyz")], [200, 503]);
});

Deno.test("createAdmin: a token too short to be one is refused at once", async () => {
  await using engine = await setUp();
  for (const short of ["", "fifteen-bytes-1"]) {
    await assertRejects(() => Promise.try(() => createAdmin({ ...engine.options, token: short })), RangeError);
  }
});
