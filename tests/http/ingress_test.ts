/** The answers of the ingress, one table for what is refused and one for what is accepted. */

import { assert, assertEquals } from "@std/assert";
import type { Source } from "../../core/domain/config.ts";
import type { Intaken } from "../../core/engine/intake.ts";
import type { Answer } from "../../core/domain/provider.ts";
import type { Call } from "../../core/http/door.ts";
import { createIngress, type IngressOptions } from "../../core/http/ingress.ts";
import { StoreUnavailable } from "../../core/store/store.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { acceptOne, createFakeIntake, createRecorder, from, httpSource, makeGeneration } from "./http_fixture.ts";

function setUp(
  changed: Partial<IngressOptions> & { sources?: Source[]; answer?: () => Intaken | Promise<Intaken> } = {},
) {
  const { sources, answer = acceptOne, ...options } = changed;
  const intake = createFakeIntake(answer);
  const recorder = createRecorder();
  const clock = createFakeClock();
  const generation = makeGeneration(sources);
  const ingress = createIngress({
    generation: () => generation,
    intake,
    closed: () => undefined,
    paused: () => undefined,
    observe: recorder.observe,
    clock,
    ...options,
  });
  return { ingress, intake, clock, seen: recorder.seen };
}

function post(init: RequestInit & { path?: string } = {}): Request {
  return new Request(`http://127.0.0.1:8080${init.path ?? "/hooks/a"}`, {
    method: "POST",
    body: "{}",
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
  });
}

async function assertProblem(response: Response, status: number): Promise<Record<string, unknown>> {
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  const document = await response.json();
  assertEquals([response.status, document.status, document.type], [status, status, "about:blank"]);
  assert(document.title.length > 0 && document.detail.length > 0);
  return document;
}

const refusedBy =
  (refusal: "unverified" | "unparsable" | "invalid", more: { detail?: string; paths?: string[] } = {}) => () =>
    ({ kind: "refused", refusal, reason: "expected mac s3cr3t", ...more }) as const;

Deno.test("createIngress: what is refused, with which status, and that it is observed", async () => {
  const table: [string, number, Parameters<typeof setUp>[0], Request][] = [
    ["unknown path", 404, {}, post({ path: "/hooks/b" })],
    ["path with a slash too many", 404, {}, post({ path: "/hooks/a/" })],
    ["GET", 405, {}, post({ method: "GET", body: undefined })],
    ["HEAD", 405, {}, post({ method: "HEAD", body: undefined })],
    ["OPTIONS", 405, {}, post({ method: "OPTIONS" })],
    ["PUT", 405, {}, post({ method: "PUT" })],
    ["address", 403, { sources: [httpSource({ allowIps: ["192.0.2.0/24"] })] }, post()],
    ["content type", 415, {}, post({ headers: { "content-type": "text/plain" } })],
    ["no content type", 415, {}, post({ headers: { "content-type": "" } })],
    ["gzip", 415, {}, post({ headers: { "content-encoding": "gzip" } })],
    ["gzip within identity", 415, {}, post({ headers: { "content-encoding": "gzip, identity" } })],
    ["too large", 413, {}, post({ body: "x".repeat(1_001) })],
    ["announced too large", 413, {}, post({ headers: { "content-length": "1001" } })],
    ["long query", 414, {}, post({ path: `/hooks/a?${"x".repeat(8_192)}` })],
    ["large headers", 431, {}, post({ headers: { "x-large": "x".repeat(65_536) } })],
    ["not verified", 401, { answer: refusedBy("unverified", { detail: "no: s3cr3t" }) }, post()],
    ["not parsed", 400, { answer: refusedBy("unparsable", { detail: "the body is not valid JSON" }) }, post()],
    ["does not fit", 422, { answer: refusedBy("invalid", { paths: ["/a/0", "/b"] }) }, post()],
    ["shut", 503, { closed: () => "s3cr3t: shutting down" }, post()],
    ["busy", 503, { limits: { inFlightMax: 0 } }, post()],
    ["no store", 503, { answer: () => Promise.reject(new StoreUnavailable("s3cr3t: disk full")) }, post()],
  ];
  for (const [name, status, changed, request] of table) {
    const { ingress, clock, seen } = setUp(changed);
    const response = await ingress.fetch(request, from("203.0.113.5"));
    const document = await assertProblem(response, status);
    assert(!JSON.stringify(document).includes("s3cr3t"), `${name}: ${document.detail}`);
    assertEquals(seen.map((one) => one.kind === "request.refused" && one.status), [status], name);
    if (status === 405) assertEquals(response.headers.get("allow"), "POST", name);
    if (status === 503) assertEquals(response.headers.get("retry-after"), "5", name);
    if (status === 422) assertEquals(document.paths, ["/a/0", "/b"]);
    assertEquals([ingress.inFlight, clock.waiting], [0, 0], name);
  }
});

Deno.test("createIngress: the answer to a request that is not verified never varies", async () => {
  const answers = await Promise.all(["stale", "missing", "wrong"].map(async (reason) => {
    const { ingress } = setUp({ answer: () => ({ kind: "refused", refusal: "unverified", reason, detail: reason }) });
    return await (await ingress.fetch(post())).text();
  }));
  assertEquals(new Set(answers).size, 1);
});

Deno.test("createIngress: something unexpected is a 500 without details, and the operator hears of it", async () => {
  const { ingress, seen } = setUp({ answer: () => Promise.reject(new Error("s3cr3t")) });
  const document = await assertProblem(await ingress.fetch(post()), 500);
  assert(!JSON.stringify(document).includes("s3cr3t"));
  assertEquals(seen.map((one) => one.kind === "engine" && [one.level, one.message]), [["error", "ingress: s3cr3t"]]);
});

Deno.test("createIngress: what is accepted, and the answer that the sender gets", async () => {
  const accepted = { status: "accepted", eventId: "evt_1" } as const;
  const duplicate = { status: "duplicate", eventId: "evt_0" } as const;
  const table: [string, Intaken, number, string][] = [
    ["one", { kind: "accepted", events: [accepted] }, 202, '{"id":"evt_1","status":"accepted"}'],
    ["a duplicate", { kind: "accepted", events: [duplicate] }, 202, '{"id":"evt_0","status":"duplicate"}'],
    [
      "several",
      { kind: "accepted", events: [accepted, duplicate] },
      202,
      '{"events":[{"id":"evt_1","status":"accepted"},{"id":"evt_0","status":"duplicate"}],"status":"accepted"}',
    ],
    [
      "several, all known",
      { kind: "accepted", events: [duplicate, duplicate] },
      202,
      '{"events":[{"id":"evt_0","status":"duplicate"},{"id":"evt_0","status":"duplicate"}],"status":"duplicate"}',
    ],
    ["an empty batch", { kind: "accepted", events: [] }, 202, '{"events":[],"status":"accepted"}'],
    ["its own answer", { kind: "accepted", events: [duplicate], answer: { status: 200, body: "ok" } }, 200, "ok"],
    ["no content", { kind: "accepted", events: [accepted], answer: { status: 204, body: "ignored" } }, 204, ""],
    ["a handshake", { kind: "handshake", answer: { status: 200, body: "challenge" } }, 200, "challenge"],
  ];
  for (const [name, intaken, status, body] of table) {
    const { ingress, clock, seen } = setUp({ answer: () => intaken });
    const response = await ingress.fetch(post());
    assertEquals([response.status, await response.text()], [status, body], name);
    assertEquals([seen, clock.waiting], [[], 0], name);
  }
});

Deno.test("createIngress: an answer of a plugin's goes out as HTTP has it, and one that HTTP does not have is a 500", async () => {
  const call: Call = {
    method: "POST",
    url: { origin: "http://h", path: "/hooks/a", query: "" },
    headers: { "content-type": "application/json" },
    peer: () => undefined,
    readBody: () => Promise.resolve({ ok: true, bytes: new Uint8Array() }),
  };
  const ask = (answer: Answer) => setUp({ answer: () => ({ kind: "handshake", answer }) }).ingress.answer(call);
  const odd = { "X-Echo": " v\r\n", "Content-Length": "99", "transfer-encoding": "chunked", connection: "close" };
  assertEquals(await ask({ status: 200, headers: odd, body: "ok" }), {
    status: 200,
    headers: { "content-type": "text/plain;charset=UTF-8", "x-echo": "v" },
    body: "ok",
  });
  assertEquals((await ask({ status: 200, headers: { "x-echo": "a\r\nb" } })).status, 500);
  assertEquals((await ask({ status: 20 })).status, 500);
});

Deno.test("createIngress: the intake gets the bytes, the headers in lower case and the URL as it was written", async () => {
  const { ingress, intake, clock } = setUp();
  const body = new Uint8Array([0x7b, 0x20, 0xff, 0x00, 0x7d]);
  await ingress.fetch(post({ path: "/hooks/a?x=1", body, headers: { "X-Signature": "abc" } }));
  const [request] = intake.received;
  assertEquals(request, {
    method: "POST",
    url: "http://127.0.0.1:8080/hooks/a?x=1",
    headers: { "content-type": "application/json", "x-signature": "abc" },
    body,
    receivedAt: clock.now(),
  });
});

Deno.test("createIngress: content types have parameters, and `*/*` takes everything", async () => {
  const { ingress } = setUp();
  const type = "Application/JSON; charset=utf-8";
  assertEquals((await ingress.fetch(post({ headers: { "content-type": type } }))).status, 202);
  const any = setUp({ sources: [httpSource({ contentTypes: ["*/*"] })] });
  assertEquals((await any.ingress.fetch(post({ headers: { "content-type": "" } }))).status, 202);
});

Deno.test("createIngress: allow_ips looks at the peer, or through a trusted proxy, and without a peer refuses", async () => {
  const generation = makeGeneration([httpSource({ allowIps: ["192.0.2.0/24"] })], {
    server: { trustedProxies: ["10.0.0.0/8"] },
  });
  const { ingress } = setUp({ generation: () => generation });
  const table: [string | undefined, string | undefined, number][] = [
    ["192.0.2.9", undefined, 202],
    ["192.0.2.9", "203.0.113.5", 202],
    ["203.0.113.5", undefined, 403],
    ["203.0.113.5", "192.0.2.9", 403],
    ["10.0.0.1", undefined, 403],
    ["10.0.0.1", "192.0.2.9", 202],
    ["10.0.0.1", "192.0.2.9, 203.0.113.5", 403],
    ["10.0.0.1", "203.0.113.5, 192.0.2.9", 202],
    ["10.0.0.1", "192.0.2.9, 10.0.0.2", 202],
    ["10.0.0.1", "192.0.2.9, nonsense", 403],
    [undefined, undefined, 403],
    [undefined, "192.0.2.9", 403],
  ];
  for (const [peer, forwarded, status] of table) {
    const headers = forwarded === undefined ? undefined : { "x-forwarded-for": forwarded };
    const response = await ingress.fetch(post({ headers }), peer === undefined ? undefined : from(peer));
    assertEquals(response.status, status, `${peer} forwarding for ${forwarded}`);
    await response.body?.cancel();
  }
});

Deno.test("createIngress: a rate limit counts per source, says when to come back, and outlives a reload", async () => {
  const limited = httpSource({ rateLimit: { count: 2, perMs: 10_000 } });
  const free = httpSource({ name: "b", path: "/hooks/b" });
  let generation = makeGeneration([limited, free]);
  const { ingress, clock } = setUp({ generation: () => generation });
  const statusOf = async (path = "/hooks/a") => (await ingress.fetch(post({ path }))).status;
  assertEquals([await statusOf(), await statusOf()], [202, 202]);
  const refused = await ingress.fetch(post());
  assertEquals([refused.status, refused.headers.get("retry-after")], [429, "5"]);
  assertEquals(await statusOf("/hooks/b"), 202);
  generation = makeGeneration([limited, free]);
  assertEquals(await statusOf(), 429);
  clock.advance(5_000);
  assertEquals([await statusOf(), await statusOf()], [202, 429]);
  generation = makeGeneration([httpSource({ rateLimit: { count: 3, perMs: 10_000 } })]);
  assertEquals([await statusOf(), await statusOf("/hooks/b")], [202, 404]);
});

Deno.test("createIngress: only so many requests at once, and the next one when one is done", async () => {
  const gate = Promise.withResolvers<Intaken>();
  const { ingress } = setUp({ limits: { inFlightMax: 1 }, answer: () => gate.promise });
  const first = ingress.fetch(post());
  assertEquals(ingress.inFlight, 1);
  assertEquals((await ingress.fetch(post())).status, 503);
  gate.resolve(acceptOne());
  assertEquals((await first).status, 202);
  assertEquals(ingress.inFlight, 0);
  assertEquals((await ingress.fetch(post())).status, 202);
});

Deno.test("createIngress: a body that breaks off while the engine stops is to be sent again", async () => {
  let closed: string | undefined;
  const { ingress } = setUp({ closed: () => closed });
  const body = new ReadableStream({
    pull(controller) {
      closed = "shutting down";
      controller.error(new Error("cut"));
    },
  }, { highWaterMark: 0 });
  const response = await ingress.fetch(post({ body }));
  assertEquals([response.status, response.headers.get("retry-after")], [503, "5"]);
});

Deno.test("createIngress: probes answer on this port too, and only readiness follows the engine", async () => {
  let open = true;
  const { ingress, seen } = setUp({ closed: () => open ? undefined : "shutting down" });
  const probe = async (path: string, method = "GET") => {
    const response = await ingress.fetch(new Request(`http://127.0.0.1${path}`, { method }));
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await probe("/healthz"), await probe("/readyz"), await probe("/readyz", "HEAD")], [200, 200, 200]);
  assertEquals(await probe("/readyz", "POST"), 405);
  open = false;
  assertEquals([await probe("/healthz"), await probe("/readyz")], [200, 503]);
  assertEquals(seen, []);
});
