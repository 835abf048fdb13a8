/** Who may not use the admin API: no token, wrong token, another site's page, a name that is not its own. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../core/engine/system_clock.ts";
import { createAdmin } from "../../core/http/admin.ts";
import { createMetrics } from "../../core/http/metrics.ts";
import { listen } from "../../core/http/listener.ts";
import type { Store } from "../../core/store/store.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { createRecorder, exchange, from, makeConfig } from "./http_fixture.ts";

const token = "a-token-of-the-tests-0123456789";

/** An API whose log answers nothing: whoever gets past the guard without a token gets a 500 and fails the test. */
function setUp(hosts?: string[], hostname = "127.0.0.1") {
  const clock = createFakeClock();
  const config = makeConfig([], { server: { admin: { hostname, port: 8081 } } });
  const admin = createAdmin({
    store: {} as Store,
    config: () => config,
    wake() {},
    reload: () => Promise.resolve({ ok: true, orphaned: 0, reorderedLanes: 0 }),
    backup: () => Promise.reject(new Error("unused")),
    replay: () => Promise.reject(new Error("unused")),
    pauses: { get: () => undefined, set: () => Promise.resolve(), load: () => Promise.resolve() },
    status: () => ({ version: "1", startedAt: 0, ready: true, storage: "file", configHash: "h", running: 0 }),
    metrics: createMetrics(),
    observe: createRecorder().observe,
    token,
    makeDeliveryId: () => "dlv_1",
    clock,
    hosts,
  });
  async function statusOf(
    path: string,
    { method = "GET", headers = {}, peer = "127.0.0.1" }: { method?: string; headers?: HeadersInit; peer?: string } =
      {},
  ): Promise<number> {
    const all = new Headers({ host: "127.0.0.1:8081" });
    new Headers(headers).forEach((value, name) => all.set(name, value));
    const response = await admin.fetch(
      new Request(`http://127.0.0.1:8081${path}`, { method, headers: all }),
      from(peer),
    );
    await response.body?.cancel();
    return response.status;
  }
  return { admin, clock, statusOf };
}

const bearer = { authorization: `Bearer ${token}` };

/** Spellings that some router or proxy once took for something public. */
function spellings(path: string): string[] {
  return [
    path,
    `${path}/`,
    `/${path}`,
    `${path}?x=/healthz`,
    `${path}/healthz`,
    `${path}/../healthz`,
    `${path}/%2e%2e/%2e%2e/healthz`,
    `/healthz/..${path}`,
    `/healthz/%2e%2e${path}`,
    `/healthz%2f..${path}`,
    `/readyz;${path}`,
    `/./healthz${path}`,
    `${path}%00`,
    `${path}%2f`,
    `${path};/healthz`,
    `${path}.json`,
    path.toUpperCase(),
    path.replace("/api", "/%61pi"),
    path.replace("/api", "//api"),
    path.replace("/v1", "/v1/./"),
  ];
}

Deno.test("createAdmin: without a token every path of the document is a 401, however it is spelled", async () => {
  const { admin } = setUp();
  const { observe } = createRecorder();
  const listener = await listen({ hostname: "127.0.0.1", port: 0 }, admin.fetch, { clock: systemClock, observe });
  const { port } = listener.address;
  const response = await fetch(`http://127.0.0.1:${port}/api/openapi.json`, { headers: bearer });
  const document = await response.json();
  assertEquals(document.openapi, "3.1.0");
  const paths = Object.entries<Record<string, unknown>>(document.paths);
  assert(paths.length >= 11);
  for (const [path, methods] of [...paths, ["/metrics", { get: {} }], ["/api/openapi.json", { get: {} }]] as const) {
    for (const method of Object.keys(methods)) {
      for (const spelled of spellings(path.replace("{id}", "x"))) {
        // Written by hand, because a client would normalise the path.
        const answer = await exchange(port, `${method.toUpperCase()} ${spelled} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
        assertEquals(answer.split(" ")[1], "401", `${method} ${spelled}`);
      }
    }
  }
  await listener.close();
});

Deno.test("createAdmin: only the token opens it", async () => {
  const { statusOf } = setUp();
  const table: [Record<string, string>, number][] = [
    [{}, 401],
    [{ authorization: "" }, 401],
    [{ authorization: "Bearer" }, 401],
    [{ authorization: `Basic ${btoa(`:${token}`)}` }, 401],
    [{ authorization: `Bearer ${token}x` }, 401],
    [{ authorization: `Bearer ${token.slice(0, -1)}` }, 401],
    [{ authorization: `Bearer ${token} ${token}` }, 401],
    [{ authorization: token }, 401],
    [{ cookie: `token=${token}` }, 401],
    [bearer, 200],
    [{ authorization: `bearer ${token}` }, 200],
  ];
  for (const [headers, status] of table) {
    assertEquals(await statusOf("/api/v1/routes", { headers }), status, JSON.stringify(headers));
  }
  assertEquals(await statusOf(`/api/v1/routes?token=${token}`), 401);
});

Deno.test("createAdmin: guesses are counted per peer, and beyond the limit even the right one is not looked at", async () => {
  const { statusOf, clock } = setUp();
  const guess = { headers: { authorization: "Bearer wrong" } };
  const answers: Record<number, number> = {};
  for (let n = 0; n < 1_000; n++) {
    const status = await statusOf("/metrics", guess);
    answers[status] = (answers[status] ?? 0) + 1;
  }
  assertEquals(answers, { 401: 20, 429: 980 });
  assertEquals(await statusOf("/api/v1/routes", { headers: bearer }), 429);
  assertEquals(await statusOf("/api/v1/routes", { headers: bearer, peer: "192.0.2.1" }), 200);
  clock.advance(3_000);
  assertEquals(await statusOf("/api/v1/routes", { headers: bearer }), 200);
});

Deno.test("createAdmin: served under its own names alone", async () => {
  const { statusOf } = setUp(["Admin.Example.com"], "10.0.0.5");
  const table: [string, number][] = [
    ["127.0.0.1:8081", 200],
    ["127.0.0.1", 200],
    ["LOCALHOST:1", 200],
    ["[::1]:8081", 200],
    ["10.0.0.5:8081", 200],
    ["admin.example.com", 200],
    ["evil.example", 421],
    ["evil.example:8081", 421],
    ["127.0.0.1.evil.example", 421],
    ["localhost.evil.example", 421],
    ["localhost:8081@evil.example", 421],
    ["0.0.0.0:8081", 421],
    ["", 421],
  ];
  for (const [host, status] of table) {
    assertEquals(await statusOf("/api/v1/routes", { headers: { ...bearer, host } }), status, host);
    assertEquals(await statusOf("/healthz", { headers: { host } }), status, host);
  }
});

Deno.test("createAdmin: a wildcard address is no name to be called by", async () => {
  const { statusOf } = setUp([], "0.0.0.0");
  assertEquals(await statusOf("/healthz", { headers: { host: "0.0.0.0:8081" } }), 421);
});

Deno.test("createAdmin: on a socket, neither a foreign Host nor an absolute request line gets in", async () => {
  const { admin } = setUp();
  const listener = await listen({ hostname: "127.0.0.1", port: 0 }, admin.fetch, {
    clock: systemClock,
    observe: createRecorder().observe,
  });
  const { port } = listener.address;
  const auth = `Authorization: Bearer ${token}\r\n`;
  const table: [string, string][] = [
    [`GET /api/v1/routes HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${auth}\r\n`, "200"],
    [`GET /api/v1/routes HTTP/1.1\r\nHost: evil.example\r\n${auth}\r\n`, "421"],
    [`GET http://evil.example/api/v1/routes HTTP/1.1\r\nHost: 127.0.0.1\r\n${auth}\r\n`, "421"],
    [`GET http://127.0.0.1/api/v1/routes HTTP/1.1\r\nHost: evil.example\r\n${auth}\r\n`, "421"],
    [`GET /api/v1/routes HTTP/1.0\r\n${auth}\r\n`, "421"],
    [`GET /api/v1/routes HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n${auth}\r\n`, "400"],
  ];
  for (const [request, status] of table) {
    assertEquals((await exchange(port, request)).split(" ")[1], status, request);
  }
  await listener.close();
});

Deno.test("createAdmin: what a page of another site can send is refused", async () => {
  const { statusOf } = setUp();
  const table: [string, Record<string, string>, number][] = [
    ["GET", { origin: "http://evil.example" }, 403],
    ["GET", { origin: "null" }, 403],
    ["GET", { origin: "http://127.0.0.1:3000" }, 403],
    ["GET", { origin: "http://127.0.0.1:8081" }, 200],
    ["POST", { origin: "http://evil.example" }, 403],
    ["POST", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["POST", { "content-type": "multipart/form-data; boundary=x" }, 415],
    ["POST", { "content-type": "text/plain" }, 415],
    ["POST", { "content-length": "2" }, 415],
    ["POST", { "transfer-encoding": "chunked" }, 415],
    ["POST", { "content-length": "0" }, 200],
    ["POST", { "content-type": "application/json" }, 200],
    ["POST", {}, 200],
  ];
  for (const [method, headers, status] of table) {
    const path = method === "GET" ? "/api/v1/routes" : "/api/v1/config/reload";
    const answered = await statusOf(path, { method, headers: { ...bearer, ...headers } });
    assertEquals(answered, status, `${method} ${JSON.stringify(headers)}`);
  }
});
