/**
 * The intake on a real log: what of a request becomes events, what is refused, and where it goes.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { startEngine, type TestEngine } from "../support/engine.ts";

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
  assertEquals((await engine.seen("event.received")).queues, ["broken"]);
  assertEquals(engine.observed.some((o) => o.kind === "delivery.attempted"), false);
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
