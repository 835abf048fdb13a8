/** What a person can do through the admin API, on a whole engine: every action, what follows from it, and when it may not be. */

import { assert, assertEquals } from "@std/assert";
import type { z } from "@hono/zod-openapi";
import type { Handler, RoutesFile } from "weir";
import * as actions from "../../core/http/admin_action_schema.ts";
import * as schemas from "../../core/http/admin_schema.ts";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";
import { from } from "./http_fixture.ts";

const adminToken = "a-token-of-the-tests-0123456789";

/** An engine whose handler `work` does what `fails` says, and a way to ask its admin API. */
async function setUp(
  options: { routes?: RoutesFile["routes"]; sources?: RoutesFile["sources"]; folder?: string } = {},
) {
  const ran: string[] = [];
  const control = { fails: (_id: string): boolean => false, gate: undefined as Promise<void> | undefined };
  const work: Handler = (event) => {
    ran.push(event.body.id);
    if (control.fails(event.body.id)) throw new Error("told to fail");
    return control.gate;
  };
  const routes = options.routes ?? { work: { from: "app", order_by: "body.key", retry: { attempts: 1 } } };
  const handlers = Object.fromEntries(Object.keys(routes).map((name) => [name, work]));
  const engine = await startEngine({ ...options, routes, handlers, adminToken });
  return { ...asked(engine), engine, ran, control };
}

function asked({ weir }: TestEngine) {
  async function call(path: string, body?: unknown): Promise<Response> {
    const headers = {
      host: "127.0.0.1:8081",
      authorization: `Bearer ${adminToken}`,
      "content-type": "application/json",
    };
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const init = body === undefined ? { headers } : { method: "POST", headers, body: text };
    return await weir.admin(new Request(`http://127.0.0.1:8081/api/v1${path}`, init), from("127.0.0.1"));
  }
  return {
    call,
    /** Asks, and holds the answer against the schema; with a body it is a POST. */
    async ask<T>(path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
      const response = await call(path, body);
      const answer = await response.json();
      assertEquals(response.status, 200, JSON.stringify(answer));
      return schema.parse(answer);
    },
    async refusal(path: string, body?: unknown): Promise<[number, string]> {
      const response = await call(path, body);
      const { status, detail } = schemas.problemSchema.parse(await response.json());
      assertEquals(response.status, status);
      return [status, detail];
    },
    publish: (id: string, key?: string) =>
      weir.publish({ source: "app", type: "t", body: { id, key }, idempotencyKey: id }),
  };
}

const attempted = async (engine: TestEngine, count: number) => {
  await engine.seen("delivery.attempted", () => true, count);
};

const parking: RoutesFile["routes"] = {
  work: { from: "app", order_by: "body.key", retry: { attempts: 1 }, on_exhausted: "park" },
};

Deno.test("lanes: a parked head is seen, resumed with fresh attempts, skipped, and its lane goes on in order", async () => {
  const { engine, ask, refusal, publish, control, ran } = await setUp({ routes: parking });
  await using _ = engine;
  control.fails = (id) => id === "a";
  for (const id of ["a", "b", "c", "d"]) await publish(id, "k");
  await attempted(engine, 1);

  const { rows: [lane] } = await ask("/lanes?state=parked", actions.laneListSchema);
  assertEquals([lane!.lane, lane!.depth, lane!.waiting?.kind], ["k", 4, "parked"]);
  const shown = await ask("/lanes/show?route=work&lane=k&limit=2", actions.laneDetailSchema);
  assertEquals([shown.headDelivery.state, shown.behind.map(({ state }) => state)], ["parked", ["blocked", "blocked"]]);
  assertEquals(shown.behind.map(({ waiting }) => waiting?.head), [shown.head, shown.head]);
  const rest = await ask(`/lanes/show?route=work&lane=k&limit=2&after=${shown.nextAfter}`, actions.laneDetailSchema);
  assertEquals([rest.behind.length, rest.nextAfter], [1, undefined]);

  await ask("/lanes/resume", schemas.movedSchema, { route: "work", lane: "k" });
  await attempted(engine, 2);
  assertEquals(ran, ["a", "a"]);
  assertEquals((await ask("/lanes/skip", schemas.movedSchema, { route: "work", lane: "k" })).id, shown.head);
  await attempted(engine, 5);
  assertEquals(ran, ["a", "a", "b", "c", "d"]);
  assertEquals((await refusal("/lanes/skip", { route: "work", lane: "k" }))[0], 404);
  assertEquals((await refusal("/lanes/show?route=work&lane=k"))[0], 404);
});

Deno.test("deliveries, lanes: what runs is shown with its attempt, since when, and for how long at most", async () => {
  const retry = { attempts: 3, schedule: ["1s"], jitter: 0 };
  const routes: RoutesFile["routes"] = { work: { from: "app", order_by: "body.key", retry, timeout: "60s" } };
  const { engine, ask, publish, control, ran } = await setUp({ routes });
  await using _ = engine;
  control.fails = () => true;
  await publish("a", "k");
  await attempted(engine, 1);
  const gate = Promise.withResolvers<void>();
  using _released = { [Symbol.dispose]: gate.resolve }; // an engine does not stop before its handlers do
  Object.assign(control, { fails: () => false, gate: gate.promise });
  engine.clock.advance(1_000);
  await until("the second attempt runs", () => ran.length === 2);
  const claimedAt = engine.clock.now();
  engine.clock.advance(41_000);

  const { rows: [row] } = await ask("/deliveries?state=running", schemas.deliveryPageSchema);
  const run = { claimedAt, executions: 2, timeoutMs: 60_000, waiting: undefined };
  const shown = await ask(`/deliveries/${row!.id}`, schemas.deliverySchema);
  for (const { claimedAt, executions, timeoutMs, waiting } of [row!, shown]) {
    assertEquals({ claimedAt, executions, timeoutMs, waiting }, run);
  }
  const { rows: [lane] } = await ask("/lanes", actions.laneListSchema);
  assertEquals([lane!.headClaimedAt, lane!.headExecutions, lane!.timeoutMs], [claimedAt, 2, 60_000]);
  gate.resolve();
  await attempted(engine, 2);
  const done = await ask(`/deliveries/${row!.id}`, schemas.deliverySchema);
  assertEquals([done.state, done.claimedAt, done.timeoutMs], ["succeeded", undefined, undefined]);
});

Deno.test("deliveries: skip and resume go only from the states that allow it", async () => {
  const { engine, ask, refusal, publish, control } = await setUp({ routes: parking });
  await using _ = engine;
  control.fails = () => true;
  await publish("a", "k");
  await attempted(engine, 1);
  const { rows: [row] } = await ask("/deliveries?state=parked", schemas.deliveryPageSchema);
  assertEquals((await ask(`/deliveries/${row!.id}/resume`, schemas.movedSchema, {})).state, "ready");
  await attempted(engine, 2);
  assertEquals((await ask(`/deliveries/${row!.id}/skip`, schemas.movedSchema, {})).state, "skipped");
  assertEquals(await refusal(`/deliveries/${row!.id}/resume`, {}), [
    409,
    `delivery ${row!.id} is skipped; only a parked one can be resumed`,
  ]);
  assertEquals((await refusal(`/deliveries/${row!.id}/skip`, {}))[0], 409);
  assertEquals((await refusal("/deliveries/dlv_0/skip", {}))[0], 404);
});

Deno.test("queues: a paused route takes in and runs nothing, says why, and goes on where it was", async () => {
  const { engine, ask, refusal, publish, ran } = await setUp();
  await using _ = engine;
  const paused = await ask("/queues/pause", actions.pausedQueuesSchema, { route: "work", reason: "ledger is down" });
  assertEquals(paused.queues.map(({ route, paused }) => [route, paused?.reason]), [["work", "ledger is down"]]);
  await publish("a", "k");
  const { rows: [row] } = await ask("/deliveries", schemas.deliveryPageSchema);
  assertEquals([row!.waiting?.kind, row!.waiting?.reason], ["paused", "work is paused: ledger is down"]);
  assertEquals((await ask("/status", schemas.statusSchema)).queues[0]!.paused?.reason, "ledger is down");
  assertEquals(ran, []);
  await ask("/queues/resume", actions.pausedQueuesSchema, { route: "work", target: "" });
  await attempted(engine, 1);
  assertEquals((await refusal("/queues/pause", { route: "nowhere" }))[0], 404);
  assertEquals((await refusal("/queues/resume", { route: "work", target: "ci" }))[0], 404);
});

Deno.test("sources: a paused one answers 503 with Retry-After until it goes on, across a restart too", async () => {
  const sources: RoutesFile["sources"] = { door: { provider: "none" } };
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const knock = async ({ weir }: TestEngine) => {
    const init = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
    const answer = await weir.fetch(new Request("http://127.0.0.1:8080/hooks/door", init));
    await answer.body?.cancel();
    return [answer.status, answer.headers.get("retry-after")];
  };
  const first = await setUp({ sources, folder });
  await first.ask("/sources/pause", actions.sourcePauseSchema, { name: "door" });
  assertEquals(await knock(first.engine), [503, "60"]);
  const shown = await first.ask("/sources", schemas.sourceListSchema);
  assertEquals(shown.find(({ name }) => name === "door")?.paused?.reason, "paused by a person");
  assertEquals((await first.refusal("/sources/pause", { name: "app" }))[0], 409);
  assertEquals((await first.refusal("/sources/pause", { name: "none" }))[0], 404);
  await first.engine.weir.stop({ graceMs: 0 });

  const second = await setUp({ sources, folder });
  await using _ = second.engine;
  assertEquals(await knock(second.engine), [503, "60"]);
  assertEquals((await second.ask("/status", schemas.statusSchema)).pausedSources.map(({ name }) => name), ["door"]);
  await second.ask("/sources/resume", actions.sourcePauseSchema, { name: "door" });
  assertEquals(await knock(second.engine), [202, null]);
});

Deno.test("redeliver by filter: counts first, then repeats each lineage once, in the order of the log", async () => {
  const { engine, ask, refusal, publish, control, ran } = await setUp();
  await using _ = engine;
  control.fails = () => true;
  for (const id of ["a", "b", "c"]) await publish(id);
  await attempted(engine, 3);
  control.fails = (id) => id === "b";
  engine.clock.advance(1);
  const order = [...ran];
  const filter = { route: "work", state: "dead", source: "app", since: "1h" };

  const dry = await ask("/deliveries/redeliver", actions.bulkSchema, { filter, dryRun: true });
  assertEquals([dry.matched, dry.done], [3, 0]);
  assertEquals(ran, order);
  let piece = await ask("/deliveries/redeliver", actions.bulkSchema, { filter, limit: 2 });
  assertEquals([piece.matched, piece.done], [3, 2]);
  piece = await ask("/deliveries/redeliver", actions.bulkSchema, {
    filter,
    after: piece.nextAfter,
    before: piece.before,
    limit: 2,
  });
  assertEquals([piece.matched, piece.done, piece.nextAfter], [undefined, 1, undefined]);
  await attempted(engine, 6);
  const { rows } = await ask("/deliveries", schemas.deliveryPageSchema);
  const [made, old] = [rows.slice(0, 3).reverse(), rows.slice(3).reverse()];
  assertEquals(made.map(({ redeliveryOf }) => redeliveryOf), old.map(({ id }) => id));
  assertEquals(new Set(made.map(({ origin }) => origin)), new Set(["redelivery"]));

  engine.clock.advance(1);
  const again = await ask("/deliveries/redeliver", actions.bulkSchema, { filter, dryRun: true });
  assertEquals(again.matched, 1, "only the one that failed again, and not what it was made from");
  const { rows: [dead], repeated } = await ask("/dead?unrepeated=true", schemas.deadPageSchema);
  assertEquals([dead!.redeliveryOf, repeated], [old[1]!.id, 3]);
  assertEquals((await ask("/dead?unrepeated=true&route=work&since=0s", schemas.deadPageSchema)).repeated, 0);
  const all = await ask("/dead", schemas.deadPageSchema);
  assertEquals([all.rows.length, all.repeated], [4, undefined]);
  const shown = await ask(`/deliveries/${old[0]!.id}`, schemas.deliverySchema);
  assertEquals(shown.redeliveredAs, { id: made[0]!.id, state: "succeeded" });
  assertEquals((await refusal("/deliveries/redeliver", { filter: { state: "ready" } }))[0], 409);
  assertEquals((await refusal("/deliveries/redeliver", { filter: { rote: "work" } }))[0], 400);
  assertEquals((await refusal("/deliveries/redeliver", { filter: { since: "yesterday" } }))[0], 400);
});

Deno.test("cancel by filter: takes what waits, blocked and ready alike, and nothing else", async () => {
  const { engine, ask, refusal, publish, ran } = await setUp();
  await using _ = engine;
  await publish("done");
  await attempted(engine, 1);
  await ask("/queues/pause", actions.pausedQueuesSchema, { route: "work" });
  for (const [id, key] of [["a", "k"], ["b", "k"], ["c", undefined]] as const) await publish(id, key);
  engine.clock.advance(1);
  assertEquals(
    (await ask("/deliveries/cancel", actions.bulkSchema, { filter: { lane: "k" }, dryRun: true })).matched,
    2,
  );
  const all = await ask("/deliveries/cancel", actions.bulkSchema, { filter: {} });
  assertEquals([all.matched, all.done], [3, 3]);
  const { rows } = await ask("/deliveries", schemas.deliveryPageSchema);
  assertEquals(rows.map(({ state }) => state), ["cancelled", "cancelled", "cancelled", "succeeded"]);
  assertEquals(ran, ["done"]);
  assertEquals((await refusal("/deliveries/cancel", { filter: { state: "succeeded" } }))[0], 409);
});

Deno.test("replay: takes the routes of now, starts new lineages, and no idempotency key stops it", async () => {
  const routes: RoutesFile["routes"] = { one: { from: "app" }, two: { from: "app", when: 'body.id == "b"' } };
  const { engine, ask, refusal, publish, ran } = await setUp({ routes });
  await using _ = engine;
  for (const id of ["a", "b"]) await publish(id);
  await attempted(engine, 3);
  engine.clock.advance(1);
  const filter = { source: "app" };
  const dry = await ask("/events/replay", actions.replayedSchema, { filter, dryRun: true });
  assertEquals([dry.events, dry.unrouted, dry.routes], [2, 0, { one: 2, two: 1 }]);
  assertEquals(ran.length, 3);
  const two = await ask("/events/replay", actions.replayedSchema, { filter, routes: ["two"], limit: 1 });
  assertEquals([two.events, two.unrouted, two.routes], [1, 1, {}]);
  const done = await ask("/events/replay", actions.replayedSchema, { filter, limit: 500 });
  assertEquals(done.routes, { one: 2, two: 1 });
  await attempted(engine, 6);
  const { rows } = await ask("/deliveries?limit=3", schemas.deliveryPageSchema);
  assert(rows.every(({ id, origin, lineage, redeliveryOf }) => origin === "replay" && lineage === id && !redeliveryOf));

  const { rows: [event] } = await ask("/events?limit=1", schemas.eventPageSchema);
  const named = await ask("/events/replay", actions.replayedSchema, { ids: [event!.id, "evt_gone"] });
  assertEquals([named.events, named.missing], [1, ["evt_gone"]]);
  assertEquals((await refusal("/events/replay", { filter, routes: ["three"] }))[0], 404);
  assertEquals((await refusal("/events/replay", {}))[0], 400);
  assertEquals((await refusal("/events/replay", { ids: ["evt_1"], filter }))[0], 400);
  await attempted(engine, 8);
});

Deno.test("explain: every route with its reason, the key's repetitions, and what each delivery waits for", async () => {
  const routes: RoutesFile["routes"] = {
    work: { from: "app", order_by: "body.key", retry: { attempts: 2, schedule: ["1h"] } },
    other: { from: "app", on: "u" },
    odd: { from: "app", when: "body.id > 1" },
  };
  const { engine, ask, refusal, publish, control } = await setUp({ routes });
  await using _ = engine;
  control.fails = () => true;
  const { id } = await publish("a", "k");
  const second = await publish("b", "k");
  await publish("a", "k");
  await attempted(engine, 1);

  const view = await ask(`/events/${id}/explain`, actions.explanationSchema);
  assertEquals(view.routes.map(({ route, decision, lane }) => [route, decision, lane]), [
    ["work", "matched", "k"],
    ["other", "unmatched", undefined],
    ["odd", "parked", undefined],
  ]);
  assertEquals(view.routes[1]!.reason, "on: is u, the event's type is t");
  assertEquals([view.idempotencyKey, view.duplicates, view.mismatches], ["a", 1, 0]);
  const waits = (deliveries: readonly { route: string; waiting?: { kind: string } }[]) =>
    Object.fromEntries(deliveries.map(({ route, waiting }) => [route, waiting?.kind]));
  assertEquals(waits(view.deliveries), { work: "due", odd: "parked" });
  const behind = await ask(`/events/${second.id}/explain`, actions.explanationSchema);
  assertEquals(waits(behind.deliveries), { work: "behind", odd: "parked" });
  const head = view.deliveries.find(({ route }) => route === "work")!;
  assertEquals(behind.deliveries.find(({ route }) => route === "work")?.waiting, {
    kind: "behind",
    reason: `behind ${head.id}, ready: tried again later: told to fail`,
    head: head.id,
  });
  assertEquals((await refusal("/events/evt_0/explain"))[0], 404);
});

Deno.test("orphans: what a new configuration leaves behind waits, is counted, and says so", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const before = await setUp({ folder, routes: { gone: { from: "app" }, stays: { from: "app" } } });
  for (const route of ["gone", "stays"]) await before.ask("/queues/pause", actions.pausedQueuesSchema, { route });
  await before.publish("a");
  await before.engine.weir.stop({ graceMs: 0 });
  const after = await setUp({ folder, routes: { stays: { from: "app" } } });
  await using _ = after.engine;
  const status = await after.ask("/status", schemas.statusSchema);
  assertEquals(status.orphaned, 1);
  assertEquals(status.queues.map(({ route, orphaned }) => [route, orphaned]), [["gone", true], ["stays", false]]);
  const { rows } = await after.ask("/deliveries?route=gone", schemas.deliveryPageSchema);
  assertEquals(rows[0]?.waiting, { kind: "orphaned", reason: "gone is not in the configuration" });

  after.engine.clock.advance(1);
  const filter = { route: "gone", source: "app" };
  assertEquals((await after.ask("/deliveries/cancel", actions.bulkSchema, { filter })).done, 1);
  assertEquals(await after.refusal("/deliveries/cancel", { filter: { route: "gon" } }), [
    404,
    'there is no route gon; expected one of gone, stays; did you mean "gone"?',
  ]);
});

Deno.test("names: a source that only the log still knows can be erased, and then it is known no more", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const old = { old: { publish: true as const } };
  const before = await setUp({ folder, sources: old });
  await before.engine.weir.publish({ source: "old", type: "t", body: {} });
  await before.engine.weir.stop({ graceMs: 0 });
  const { engine, ask, refusal } = await setUp({ folder });
  await using _ = engine;
  engine.clock.advance(1);
  const filter = { source: "old" };
  assertEquals((await ask("/events/replay", actions.replayedSchema, { filter, dryRun: true })).events, 1);
  assertEquals((await ask("/events/purge", actions.purgedSchema, { filter })).events, 1);
  const unknown = [404, "there is no source old; expected one of app"];
  assertEquals(await refusal("/events?source=old"), unknown);
  assertEquals(await refusal("/events/purge", { filter }), unknown);
  assertEquals(await refusal("/events/replay", { filter }), unknown);
  assertEquals((await ask("/events/purge", actions.purgedSchema, { filter, after: 1 })).events, 0);
});

Deno.test("names: a listing tells one that is mistyped from one with nothing in it, and lists what is gone", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const sources = { old: { publish: true as const } };
  const routes: RoutesFile["routes"] = { gone: { from: "old" }, stays: { from: "app" } };
  const before = await setUp({ folder, routes, sources });
  await before.engine.weir.publish({ source: "old", type: "t", body: {} });
  await before.engine.weir.stop({ graceMs: 0 });
  const { engine, ask, refusal } = await setUp({ folder, routes: { stays: { from: "app" } } });
  await using _ = engine;

  const noRoute = [404, 'there is no route gon; expected one of gone, stays; did you mean "gone"?'];
  for (const listing of ["/lanes", "/deliveries", "/dead"]) {
    assertEquals(await refusal(`${listing}?route=gon`), noRoute, listing);
  }
  assertEquals(await refusal("/deliveries?route=stays&target=ci"), [
    404,
    "there is no target of stays named ci; there are none",
  ]);
  const noSource = [404, "there is no source ol; expected one of app"];
  for (const listing of ["/events", "/deliveries", "/dead"]) {
    assertEquals(await refusal(`${listing}?source=ol`), noSource, listing);
  }
  const rows = async (path: string) => (await ask(path, schemas.deliveryPageSchema)).rows.length;
  assertEquals(await rows("/deliveries?route=gone&source=old"), 1);
  assertEquals([await rows("/dead?route=gone&source=old"), await rows("/deliveries?route=stays&source=app")], [0, 0]);
  assertEquals((await ask("/lanes?route=gone", actions.laneListSchema)).rows, []);
});

Deno.test("actions: a body that is not JSON is the caller's mistake, and nothing the engine has to say", async () => {
  const { engine, refusal, call } = await setUp();
  await using _ = engine;
  for (const path of ["/queues/pause", "/lanes/skip", "/deliveries/redeliver", "/events/replay"]) {
    assertEquals(await refusal(path, '{"route": '), [400, "the body is not valid JSON"], path);
  }
  assertEquals((await call("/queues/pause", { route: "work" })).status, 200);
  assertEquals(engine.observed.filter(({ kind }) => kind === "engine"), []);
});
