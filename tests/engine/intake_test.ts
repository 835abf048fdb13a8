/**
 * The intake on a real log: what of a request becomes events, what is refused, and where it goes.
 */

import { DatabaseSync } from "node:sqlite";
import { assertEquals, assertRejects } from "@std/assert";
import { standard } from "weir/plugins";
import { typeLengthMax } from "../../core/domain/identity.ts";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { adminToken, askEngine } from "./admin_fixture.ts";

const none = { provider: "none" };

async function post(
  engine: TestEngine,
  path: string,
  request: { body: string; type?: string; headers?: Record<string, string> },
): Promise<{ status: number; answer: unknown }> {
  const response = await engine.weir.fetch(
    new Request(`http://localhost${path}`, {
      method: "POST",
      body: request.body,
      headers: { "content-type": request.type ?? "application/json", ...request.headers },
    }),
  );
  return { status: response.status, answer: await response.json() };
}

Deno.test("intake: one request carries many events, committed together, each with its own key and lane", async () => {
  const ran: unknown[] = [];
  await using engine = await startEngine({
    sources: { items: { ...none, split: "body.items", id: "body.id", type: "body.kind" } },
    routes: { work: { from: "items", on: ["a.*"], order_by: "body.id" } },
    handlers: { work: (event) => void ran.push([event.type, event.orderingKey, event.body]) },
  });
  const body = JSON.stringify({ items: [{ id: 1, kind: "a.x" }, { id: 2, kind: "b.y" }, { id: 1, kind: "a.z" }] });
  const { status, answer } = await post(engine, "/hooks/items", { body });
  assertEquals(status, 202);
  const { events } = answer as { events: { id: string; status: string }[] };
  assertEquals(events.map((event) => event.status), ["accepted", "accepted", "duplicate"]);
  assertEquals(events[2]!.id, events[0]!.id);
  await engine.seen("delivery.attempted");
  assertEquals(ran, [["a.x", "1", { id: 1, kind: "a.x" }]]);
  const received = engine.observed.flatMap((o) => o.kind === "event.received" ? [[o.status, o.queues]] : []);
  assertEquals(received, [["accepted", ["work"]], ["accepted", []], ["duplicate", []]]);
});

Deno.test("intake: a repeat is answered with the first one's id and never runs", async () => {
  let ran = 0;
  await using engine = await startEngine({
    sources: { one: { ...none, id: 'headers["x-id"]' } },
    routes: { work: { from: "one" } },
    handlers: { work: () => void ran++ },
  });
  const headers = { "x-id": "k1" };
  const first = await post(engine, "/hooks/one", { body: "{}", headers });
  const again = await post(engine, "/hooks/one", { body: `{"other":true}`, headers });
  assertEquals([first.status, again.status], [202, 202]);
  assertEquals(again.answer, { id: (first.answer as { id: string }).id, status: "duplicate" });
  await engine.seen("delivery.attempted");
  assertEquals(ran, 1);
});

Deno.test("intake: what cannot be parsed is 400, what does not fit is 422, and nothing is logged", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  await Deno.writeTextFile(`${folder}/s.json`, JSON.stringify({ type: "object", required: ["id"] }));
  await using engine = await startEngine({
    folder,
    sources: {
      strict: { ...none, schema: `${folder}/s.json` },
      items: { ...none, split: "body.items" },
    },
  });
  assertEquals((await post(engine, "/hooks/strict", { body: "{" })).status, 400);
  assertEquals((await post(engine, "/hooks/strict", { body: "{}" })).status, 422);
  assertEquals((await post(engine, "/hooks/items", { body: `{"items":{}}` })).status, 422);
  assertEquals((await post(engine, "/hooks/items", { body: `{}` })).status, 422);
  assertEquals(engine.observed.some((o) => o.kind === "event.received"), false);
});

Deno.test("intake: a question without proof is answered only where the provider says so, and nothing is logged", async () => {
  await using engine = await startEngine({
    sources: { slack: { provider: "slack", secret: "a-secret-of-sufficient-length" } },
    routes: { work: { from: "slack" } },
    handlers: { work: () => {} },
  });
  const ask = (body: string): Promise<Response> => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return engine.weir.fetch(new Request("http://localhost/hooks/slack", { method: "POST", headers, body }));
  };
  const answers = [await ask("token=x&ssl_check=1"), await ask("command=%2Fdeploy")];
  assertEquals(answers.map(({ status }) => status), [200, 401]);
  assertEquals(await answers[0]!.text(), "");
  await answers[1]!.body?.cancel();
  assertEquals(engine.observed.flatMap(({ kind }) => kind === "event.received" ? [kind] : []), []);
});

Deno.test("intake: an expression that fails parks the delivery, a missing field does not match", async () => {
  await using engine = await startEngine({
    sources: { one: none },
    routes: {
      broken: { from: "one", when: "body.n > 1" },
      missing: { from: "one", when: "body.nope == 1" },
    },
    handlers: { broken: () => {}, missing: () => {} },
  });
  await post(engine, "/hooks/one", { body: `{"n":"text"}` });
  const { queues, fault } = await engine.seen("event.received");
  assertEquals([queues, fault?.startsWith("when: body.n > 1: ")], [["broken"], true]);
  assertEquals(engine.observed.some((o) => o.kind === "delivery.attempted"), false);
});

Deno.test("intake: an id or a type that fails parks the delivery in its lane, and what comes after it waits", async () => {
  const ran: unknown[] = [];
  await using engine = await startEngine({
    adminToken,
    sources: { one: { provider: "none", id: "body.id + 0", type: "body.type + body.of" } },
    routes: { work: { from: "one", order_by: "body.key" } },
    handlers: { work: (event) => void ran.push(event.body.n) },
  });
  const { ask } = askEngine(engine);
  const send = (body: unknown) => post(engine, "/hooks/one", { body: JSON.stringify(body) });
  await send({ id: "text", type: "a", of: "b", key: "k", n: 1 });
  await send({ id: 2, type: "a", of: 5, key: "k", n: 2 });
  await send({ id: 3, type: "a", of: "b", key: "k", n: 3 });
  await send({ id: 4, type: "a", of: "b", key: "other", n: 4 });
  await engine.seen("delivery.attempted");
  const parked = async () => (await ask("/deliveries?state=parked")).rows;
  assertEquals(ran, [4]);
  const [first, ...others] = await parked();
  assertEquals([first.lane, first.reason.startsWith("id: "), others.length], ["k", true, 0]);
  await ask(`/deliveries/${first.id}/resume`, {});
  await engine.seen("delivery.attempted", undefined, 2);
  const [second] = await parked();
  assertEquals([second.lane, second.reason.startsWith("type: ")], ["k", true]);
  await ask(`/deliveries/${second.id}/resume`, {});
  await engine.seen("delivery.attempted", undefined, 4);
  assertEquals(ran, [4, 1, 2, 3]);
});

for (const failing of [{ when: "body.v > 0" }, { skip_older: "body.v" }]) {
  const [name] = Object.keys(failing);
  Deno.test(`intake: ${name} that fails parks the delivery in its lane, and what comes after it waits`, async () => {
    const ran: unknown[] = [];
    await using engine = await startEngine({
      adminToken,
      sources: { one: none },
      routes: { work: { from: "one", order_by: "body.key", ...failing } },
      handlers: { work: (event) => void ran.push(event.body.n) },
    });
    const { ask } = askEngine(engine);
    const send = (body: unknown) => post(engine, "/hooks/one", { body: JSON.stringify(body) });
    await send({ v: "text", key: "k", n: 1 });
    await send({ v: 2, key: "k", n: 2 });
    await send({ v: 3, key: "other", n: 3 });
    await engine.seen("delivery.attempted");
    assertEquals(ran, [3]);
    const [parked, ...others] = (await ask("/deliveries?state=parked")).rows;
    assertEquals([parked.lane, parked.reason.startsWith(`${name}: `), others.length], ["k", true, 0]);
    const { routes } = await ask(`/events/${parked.eventId}/explain`);
    assertEquals([routes[0].decision, routes[0].lane, routes[0].reason], ["parked", "k", parked.reason]);
    await ask(`/deliveries/${parked.id}/resume`, {});
    await engine.seen("delivery.attempted", undefined, 3);
    assertEquals(ran, [3, 1, 2]);
  });
}

Deno.test("intake: an id or a type that fails is told with its event where no route takes it, and explained", async () => {
  await using engine = await startEngine({
    adminToken,
    sources: { one: { provider: "none", id: "body.id", type: "body.type" } },
    routes: { work: { from: "one", on: "order.*" } },
    handlers: { work: () => {} },
  });
  const { ask } = askEngine(engine);
  const fault = "type: a key must be text, a number or a boolean, got object";
  await post(engine, "/hooks/one", { body: `{"type":{"a":1}}` });
  const received = await engine.seen("event.received");
  assertEquals([received.type, received.queues, received.fault], ["unknown", [], fault]);
  assertEquals((await ask(`/events/${received.eventId}/explain`)).fault, fault);
  await post(engine, "/hooks/one", { body: `{"id":[1],"type":"order.paid"}` });
  const parked = await engine.seen("event.received", ({ queues }) => queues.length > 0);
  assertEquals(parked.fault, "id: a key must be text, a number or a boolean, got a list");
  await post(engine, "/hooks/one", { body: `{"type":"a"}` });
  const fine = await engine.seen("event.received", ({ type }) => type === "a");
  assertEquals([fine.fault, (await ask(`/events/${fine.eventId}/explain`)).fault], [undefined, undefined]);
});

Deno.test("intake: a type of any length is cut, and only that of a key is refused", async () => {
  await using engine = await startEngine({
    sources: { one: { provider: "none", id: "body.id", type: "body.type" } },
    routes: { work: { from: "one", on: "a*" } },
    handlers: { work: () => {} },
  });
  for (const type of ["a".repeat(300), "a".repeat(513), `a\0${"a".repeat(9_000)}`, `a${"😀".repeat(400)}`]) {
    await post(engine, "/hooks/one", { body: JSON.stringify({ type }) });
  }
  await engine.seen("event.received", undefined, 4);
  const cut = engine.observed.flatMap((one) => one.kind === "event.received" ? [[one.type, one.fault]] : []);
  assertEquals(cut, [
    ["a".repeat(typeLengthMax), undefined],
    ["a".repeat(typeLengthMax), undefined],
    [`a\uFFFD${"a".repeat(typeLengthMax - 2)}`, undefined],
    [`a${"😀".repeat(127)}\uFFFD`, undefined],
  ]);
  await post(engine, "/hooks/one", { body: JSON.stringify({ id: "a".repeat(513), type: "a" }) });
  const { fault } = await engine.seen("event.received", ({ type }) => type === "a");
  assertEquals(fault, "id: a key has at most 512 characters, got 513");
});

Deno.test("intake: integers beyond 2^53 reach the handler as the text they were", async () => {
  const ran: unknown[] = [];
  await using engine = await startEngine({
    sources: { one: none },
    routes: { work: { from: "one", order_by: "body.id" } },
    handlers: { work: (event) => void ran.push([event.body.id, event.orderingKey]) },
  });
  await post(engine, "/hooks/one", { body: `{"id":9007199254740993}` });
  await engine.seen("delivery.attempted");
  assertEquals(ran, [["9007199254740993", "9007199254740993"]]);
});

Deno.test("publish: refuses what it cannot log, with the reason", async () => {
  await using engine = await startEngine({ sources: { one: none } });
  const publish = (source: string, body: unknown) => engine.weir.publish({ source, type: "t", body });
  await assertRejects(() => publish("nope", {}), RangeError, 'cannot publish under "nope"');
  await assertRejects(() => publish("one", {}), RangeError, "publish: true");
  await assertRejects(() => publish("app", () => {}), TypeError, "JSON");
});

Deno.test("intake: headers that carry proof or credentials are not stored, wherever the source put them", async () => {
  const token = "a-token-of-thirty-two-characters";
  const headers: unknown[] = [];
  await using engine = await startEngine({
    sources: { gitlab: { provider: "token", secret: token, options: { header: "X-Gitlab-Token" } } },
    routes: { work: { from: "gitlab" } },
    handlers: { work: (event) => void headers.push(Object.keys(event.headers)) },
  });
  await post(engine, "/hooks/gitlab", {
    body: "{}",
    headers: { "x-gitlab-token": token, authorization: "Bearer x", cookie: "a=b", "x-gitlab-event": "Push Hook" },
  });
  await engine.seen("delivery.attempted");
  assertEquals(headers, [["content-type", "x-gitlab-event"]]);
});

/** The event that an event repeats the content of, as the admin API tells it. */
async function replayOf(engine: TestEngine, id: string): Promise<unknown> {
  return (await askEngine(engine).ask(`/events/${id}`)).replayOf;
}

Deno.test("intake: where the sender does not sign its id, the same content under another id is flagged and runs", async () => {
  let ran = 0;
  await using engine = await startEngine({
    adminToken,
    sources: { one: { ...none, id: 'headers["x-id"]' }, two: { ...none, id: 'headers["x-id"]' } },
    routes: { work: { from: ["one", "two"] } },
    handlers: { work: () => void ran++ },
  });
  const send = async (source: string, id: string | undefined, body: string) => {
    const headers: Record<string, string> = id === undefined ? {} : { "x-id": id };
    const { answer } = await post(engine, `/hooks/${source}`, { body, headers });
    return answer as { id: string; status: string };
  };
  const first = await send("one", "a", `{"n":1}`);
  const again = await send("one", "b", `{"n":1}`);
  const third = await send("one", "c", `{"n":1}`);
  const other = await send("one", "d", `{"n":2}`);
  const elsewhere = await send("two", "b", `{"n":1}`);
  const nameless = await send("one", undefined, `{"n":1}`);
  const all = [first, again, third, other, elsewhere, nameless];
  assertEquals(new Set(all.map(({ status }) => status)), new Set(["accepted"]));
  const flags = await Promise.all(all.map(({ id }) => replayOf(engine, id)));
  assertEquals([flags[0], flags[1], flags[3], flags[4], flags[5]], [
    undefined,
    first.id,
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals([first.id, again.id].includes(flags[2] as string), true);
  await engine.seen("delivery.attempted", undefined, all.length);
  assertEquals(ran, all.length);
});

Deno.test("intake: a source with replay_guard takes the same content under another id for a duplicate", async () => {
  let ran = 0;
  await using engine = await startEngine({
    adminToken,
    sources: { one: { ...none, id: 'headers["x-id"]', replay_guard: "body" } },
    routes: { work: { from: "one" } },
    handlers: { work: () => void ran++ },
  });
  const send = async (id: string, body: string) =>
    (await post(engine, "/hooks/one", { body, headers: { "x-id": id } })).answer as { id: string; status: string };
  const first = await send("a", `{"n":1}`);
  assertEquals(await send("b", `{"n":1}`), { id: first.id, status: "duplicate" });
  assertEquals(await send("b", `{"n":1}`), { id: first.id, status: "duplicate" }, "and so is its own repeat");
  const other = await send("c", `{"n":2}`);
  assertEquals([other.status, await replayOf(engine, other.id)], ["accepted", undefined]);
  assertEquals(await replayOf(engine, first.id), undefined);
  await engine.seen("delivery.attempted", undefined, 2);
  assertEquals(ran, 2);
});

Deno.test("intake: nobody looks for replays where the sender signs its id", async () => {
  const secret = `whsec_${btoa("a-secret-of-thirty-two-characters")}`;
  const provider = standard().providers.find(({ name }) => name === "standard_webhooks")!;
  const bound = provider.bind({ secrets: [secret], options: {} });
  if (!bound.ok) throw new Error("the secret does not bind");
  await using engine = await startEngine({
    adminToken,
    sources: { one: { provider: "standard_webhooks", secret } },
  });
  const ids: string[] = [];
  for (const id of ["a", "b"]) {
    const draft = {
      method: "POST",
      url: "http://localhost/hooks/one",
      headers: { "content-type": "application/json" },
      body: new TextEncoder().encode(`{"type":"t"}`),
      id,
      type: "t",
    };
    const { url, ...signed } = await bound.scheme.sign(draft, { now: engine.clock.now() });
    const response = await engine.weir.fetch(
      new Request(url, { ...signed, body: new TextDecoder().decode(signed.body) }),
    );
    const answer = await response.json();
    assertEquals(answer.status, "accepted");
    ids.push(answer.id);
  }
  assertEquals(await replayOf(engine, ids[1]!), undefined);
});

Deno.test("intake: an event that has no place in a route's order is told once per route that has one", async () => {
  const target = (name: string) => ({ name, url: "http://127.0.0.1:1/" });
  await using engine = await startEngine({
    sources: { one: { provider: "none", id: "body.id" } },
    routes: {
      ordered: { from: "one", order_by: "body.key" },
      mirror: { from: "one", order_by: "body.key", send: [target("a"), target("b")] },
      broken: { from: "one", order_by: "body.key + 1" },
      free: { from: "one" },
    },
    handlers: { ordered: () => {}, broken: () => {}, free: () => {} },
  });
  for (const key of ["k", null, undefined]) {
    await post(engine, "/hooks/one", { body: JSON.stringify({ id: `${key}`, key }) });
  }
  await post(engine, "/hooks/one", { body: JSON.stringify({ id: "null", key: null }) });
  const received = engine.observed.flatMap((o) => o.kind === "event.received" ? [o.withoutLane] : []);
  assertEquals(received, [undefined, ["ordered", "mirror"], ["ordered", "mirror", "broken"], undefined]);
});

Deno.test("intake: nobody looks for replays of what has its id in its body, unless something else has a say in it", async () => {
  await using engine = await startEngine({
    sources: {
      computed: { ...none, id: "body.id" },
      missing: { ...none, id: "body.none" },
      mixed: { ...none, id: 'body.id + headers["x-id"]' },
      form: { ...none, id: "body.id", content_types: ["application/json", "application/x-www-form-urlencoded"] },
      text: { ...none, id: "body.id", content_types: ["application/json", "text/plain"] },
      guarded: { ...none, id: "body.id", replay_guard: "body" },
    },
  });
  for (const source of ["computed", "missing", "mixed", "form", "text", "guarded"]) {
    await post(engine, `/hooks/${source}`, { body: `{"id":"a"}`, headers: { "x-id": "1" } });
  }
  await engine.weir.stop();
  using db = new DatabaseSync(`${engine.folder}/weir.db`, { readOnly: true });
  const rows = db.prepare("SELECT source, key, guarded FROM idempotency ORDER BY source").all();
  assertEquals(rows.map(({ source, key, guarded }) => [source, key, guarded]), [
    ["computed", "a", 0],
    ["form", "a", 1],
    ["guarded", "a", 1],
    ["mixed", "a1", 1],
    ["text", "a", 1],
  ]);
});
