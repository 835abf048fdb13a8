/**
 * Traps that otherwise good projects have fallen into, where nothing else proves that Weir has not. The others are
 * proven where they belong; `deno test -A --filter "trap:" tests` runs them all.
 */

import { createHmac } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { openStore } from "../../core/store/open.ts";
import { adminToken, askEngine } from "../engine/admin_fixture.ts";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";

const secret = "a-secret-of-thirty-two-characters";
const signed = { provider: "hmac", secret, options: { header: "X-Signature" } };

async function post(engine: TestEngine, body: Uint8Array<ArrayBuffer>, signature: string): Promise<Response> {
  const headers = { "content-type": "application/json", "x-signature": signature };
  return await engine.weir.fetch(new Request("http://localhost/hooks/acme", { method: "POST", body, headers }));
}

function sign(body: Uint8Array, encoding: "hex" | "base64" = "hex"): string {
  return createHmac("sha256", secret).update(body).digest(encoding);
}

Deno.test("weir: a delivery is in the log while its handler runs, and is there for the next engine if this one dies (trap: the row is deleted before the handler runs)", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  const begin = (delay?: string) => {
    const work = { from: "app", retry: { attempts: 5, schedule: ["1s"], jitter: 0 }, ...(delay && { delay }) };
    const handlers = {
      work: (_event: unknown, ctx: { deliveryId: string }) => (ran.push(ctx.deliveryId), gate.promise),
    };
    return startEngine({ folder, adminToken, routes: { work }, handlers });
  };
  const first = await begin("1h");
  const { id } = await first.weir.publish({ source: "app", type: "t", body: 1 });
  await first.weir.stop();

  // An engine that claims it and dies: to the log, a handler has begun and nobody ever ends it.
  const store = await openStore({ url: `file:${folder}/weir.db`, boot: "dead", now: 1, idempotencyMs: () => 1 });
  const [queue] = await store.registerQueues([{ route: "work", target: "" }]);
  const { deliveries: [taken] } = await store.claim([{ queue: queue!, limit: 1 }], { token: "t", now: 2 ** 52 });
  assertEquals((await store.delivery(taken!.id))?.state, "running");
  await store.close();

  await using second = await begin();
  second.clock.advance(2 * 3_600_000);
  await until("it runs", () => ran.length === 1);
  const { ask } = askEngine(second);
  assertEquals((await ask(`/deliveries/${taken!.id}`)).state, "running");
  gate.resolve();
  assertEquals((await second.seen("delivery.attempted")).state, "succeeded");
  const event = await ask(`/events/${id}`);
  assertEquals(event.deliveries, { succeeded: 1 });
  assertEquals(ran, [taken!.id]);
});

Deno.test("weir: a dead letter is kept with its event and its reason, and runs again when it is redelivered (trap: a dead-letter task that is an empty function)", async () => {
  let mended = false;
  const ran: unknown[] = [];
  await using engine = await startEngine({
    adminToken,
    routes: { work: { from: "app", retry: { attempts: 1 } } },
    handlers: {
      work: (event) => {
        if (!mended) throw new Error("the shop is closed");
        ran.push(event.body);
      },
    },
  });
  const { id } = await engine.weir.publish({ source: "app", type: "order.paid", body: { n: 7 } });
  await engine.seen("delivery.attempted");
  const { ask } = askEngine(engine);
  const { rows: [letter, ...others] } = await ask("/dead");
  assertEquals(others, []);
  assertEquals([letter.eventId, letter.state], [id, "dead"]);
  assertEquals(letter.reason, "failed 1 of 1 attempts; the shop is closed");

  mended = true;
  await ask(`/deliveries/${letter.id}/redeliver`, {});
  assertEquals((await engine.seen("delivery.attempted", undefined, 2)).state, "succeeded");
  assertEquals(ran, [{ n: 7 }]);
  assertEquals((await ask(`/deliveries/${letter.id}`)).state, "dead", "a finished delivery never changes");
});

Deno.test("weir: the bytes that came are the bytes that are verified, kept and sent on (trap: a body re-serialised before verification)", async () => {
  const body = new TextEncoder().encode(
    `{ "b" : 1.0,\r\n\t"a":"\\u00e9é\\/", "a": 9007199254740993, "__proto__":{} , "c":1e2 }\n`,
  );
  const received: Uint8Array[] = [];
  await using sink = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    received.push(await request.bytes());
    return new Response();
  });
  await using engine = await startEngine({
    adminToken,
    sources: { acme: signed },
    routes: { mirror: { from: "acme", send: [{ name: "sink", url: `http://127.0.0.1:${sink.addr.port}/` }] } },
  });
  const response = await post(engine, body, sign(body));
  const { id } = await response.json();
  assertEquals(response.status, 202);
  const kept = await askEngine(engine).ask(`/events/${id}`);
  assertEquals(Uint8Array.from(atob(kept.rawBase64), (letter) => letter.charCodeAt(0)), body);
  assertEquals((await engine.seen("delivery.attempted")).state, "succeeded");
  assertEquals(received, [body]);

  const rewritten = new TextEncoder().encode(JSON.stringify(JSON.parse(new TextDecoder().decode(body))));
  const refused = await post(engine, rewritten, sign(body));
  await refused.body?.cancel();
  assertEquals(refused.status, 401);
});

Deno.test("weir: neither the answer to a forged request nor what the log says of it holds the true signature (trap: the expected MAC echoed in an error)", async () => {
  await using engine = await startEngine({ sources: { acme: signed } });
  const body = new TextEncoder().encode(`{"n":1}`);
  for (const forged of ["", "00", "0".repeat(64), sign(body).toUpperCase(), `${sign(body)}00`]) {
    const response = await post(engine, body, forged);
    const said = await response.text() + JSON.stringify([...response.headers]);
    assertEquals(response.status, 401);
    for (const text of [said, JSON.stringify(engine.observed)]) {
      for (const expected of [sign(body), sign(body, "base64"), secret]) {
        assert(!text.toLowerCase().includes(expected.slice(0, 12).toLowerCase()), `said of "${forged}": ${text}`);
      }
    }
  }
  assertEquals(engine.observed.filter(({ kind }) => kind === "request.refused").length, 5);
});
