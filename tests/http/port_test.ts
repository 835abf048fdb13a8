/** Our own port: how many connections it holds and how long each may be silent, and HTTP/1.1 as senders and proxies use it. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { systemClock } from "../../core/engine/system_clock.ts";
import type { Answer } from "../../core/domain/provider.ts";
import type { Call, Door } from "../../core/http/door.ts";
import { openPort, type PortLimits, portLimits } from "../../core/http/port.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { createRecorder, exchange, readAnswer, write } from "./http_fixture.ts";

const anyPort = { hostname: "127.0.0.1", port: 0 };

/** A door that tells in its answer what it was given, and remembers what it was told is no request. */
function createEcho(answer: (call: Call, body: string) => Answer | Promise<Answer> = echo) {
  const faults: string[] = [];
  const door: Door = {
    async answer(call) {
      const body = await call.readBody({ bytesMax: 100_000, timeoutMs: 30_000, clock: systemClock });
      return await answer(call, body.ok ? new TextDecoder().decode(body.bytes) : `${body.status} ${body.reason}`);
    },
    refuse({ status, reason }) {
      faults.push(reason);
      return { status, body: "refused" };
    },
  };
  return { door, faults };
}

const echo = ({ method, url }: Call, body: string): Answer => ({
  status: 200,
  body: `${method} ${url.origin}${url.path}?${url.query} ${body}`,
});

function open(options: { answer?: Parameters<typeof createEcho>[0]; limits?: Partial<PortLimits> } = {}) {
  const clock = createFakeClock();
  const { seen, observe } = createRecorder();
  const { door, faults } = createEcho(options.answer);
  const listener = openPort(anyPort, door, { clock, observe, limits: options.limits });
  return { listener, port: listener.address.port, clock, seen, faults, [Symbol.asyncDispose]: () => listener.close() };
}

const get = (path: string, ...lines: string[]) =>
  ["GET " + path + " HTTP/1.1", "Host: h", ...lines, "", ""].join("\r\n");

const post = (body: string, ...lines: string[]) =>
  ["POST / HTTP/1.1", "Host: h", `Content-Length: ${body.length}`, ...lines, "", body].join("\r\n");

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

/** What is answered on a connection until the other side closes it. */
async function readAll(connection: Deno.Conn): Promise<string> {
  return await new Response(connection.readable).text();
}

/** Opens connections and resets each, all before this program has had a chance to take one. */
function reset(port: number, count: number): void {
  const program = `const { createConnection } = await import("node:net");
    for (let turn = 0; turn < ${count}; turn++) {
      const socket = createConnection({ host: "127.0.0.1", port: ${port} });
      await new Promise((resolve) => socket.once("connect", resolve));
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.resetAndDestroy();
      await closed;
    }`;
  assert(new Deno.Command(Deno.execPath(), { args: ["eval", program], stderr: "inherit" }).outputSync().success);
}

const statuses = (answers: string) => [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));

Deno.test("openPort: requests on one connection are answered in turn, also those that came at once", async () => {
  const started: string[] = [];
  let running = 0;
  await using server = open({
    async answer({ url }) {
      started.push(url.path);
      assertEquals(++running, 1);
      await Promise.resolve();
      running--;
      return { status: 200, body: url.path };
    },
  });
  const connection = await connect(server.port);
  await write(connection, get("/1") + post("{}") + get("/3") + get("/4", "Connection: close"));
  const answers = await readAll(connection);
  assertEquals(statuses(answers), [200, 200, 200, 200]);
  assertEquals([...answers.matchAll(/\r\n\r\n(\/\d?)/g)].map(([, path]) => path), ["/1", "/", "/3", "/4"]);
  assertEquals(started, ["/1", "/", "/3", "/4"]);
});

Deno.test("openPort: answers as HTTP wants them", async () => {
  const answers: Record<string, Answer> = {
    "/json": { status: 202, headers: { "content-type": "application/json" }, body: "{}" },
    "/text": { status: 200, body: "über" },
    "/empty": { status: 204, headers: { "x-a": "b" }, body: "ignored" },
    "/odd": { status: 299 },
    "/reset": { status: 205 },
  };
  await using server = open({ answer: ({ url }) => answers[url.path]! });
  assertMatch(
    await exchange(server.port, get("/json")),
    /^HTTP\/1\.1 202 Accepted\r\ndate: .* GMT\r\ncontent-type: application\/json\r\ncontent-length: 2\r\n\r\n\{\}$/,
  );
  assertMatch(await exchange(server.port, get("/odd")), /^HTTP\/1\.1 299 \r\ndate: .*\r\ncontent-length: 0\r\n\r\n$/);
  assertMatch(
    await exchange(server.port, get("/reset")),
    /^HTTP\/1\.1 205 Reset Content\r\ndate: .*\r\ncontent-length: 0\r\n/,
  );
  const text = await connect(server.port);
  await write(text, get("/text", "Connection: close"));
  assertMatch(
    await readAll(text),
    /content-type: text\/plain;charset=UTF-8\r\ncontent-length: 5\r\nconnection: close\r\n\r\nüber$/,
  );
  const connection = await connect(server.port);
  await write(connection, get("/empty") + get("/json", "Connection: close").replace("GET", "HEAD"));
  const both = await readAll(connection);
  assertMatch(both, /^HTTP\/1\.1 204 No Content\r\ndate: .*\r\nx-a: b\r\n\r\nHTTP\/1\.1 202 /);
  assertMatch(both, /content-length: 2\r\nconnection: close\r\n\r\n$/);
});

Deno.test("openPort: what is no request is refused, told why to the operator, and ends the connection", async () => {
  const table: [name: string, bytes: string, status: number, reason: RegExp][] = [
    ["noise", "hello\r\n\r\n", 400, /no HTTP\/1\.1 request/],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00", 400, /it speaks TLS, this port plain HTTP/],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, /it speaks HTTP\/2, this port/],
    ["HTTP/0.9", "POST /a\r\nHost: h\r\n\r\n", 400, /it speaks HTTP\/0\.9/],
    ["a later HTTP", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 400, /it speaks HTTP\/2\.0/],
    ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, /no Host header/],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", 400, /no Host header/],
    ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, /more than one Host/],
    ["bare line feeds", "GET / HTTP/1.1\nHost: h\n\n", 400, /CRLF/],
    [
      "a chunked HTTP/1.0",
      "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
      /Transfer-Encoding/,
    ],
    ["a Host that would be a path", "GET /a HTTP/1.1\r\nHost: h/b?\r\n\r\n", 400, /is no host/],
    ["two codings", get("/", "Transfer-Encoding: identity, chunked"), 400, /Transfer-Encoding/],
    ["no coding", get("/", "Transfer-Encoding:"), 400, /Transfer-Encoding/],
    ["many headers", get("/", ...Array.from({ length: 256 }, (_, n) => `X-${n}: 1`)), 431, /more than 256 headers/],
    ["large headers", get("/", `X: ${"x".repeat(portLimits.headerBytesMax)}`), 431, /too large/],
    ["an endless target", `GET /${"x".repeat(portLimits.headerBytesMax + 100)}`, 431, /too large/],
  ];
  for (const [name, bytes, status, reason] of table) {
    await using server = open();
    const connection = await connect(server.port);
    await write(connection, get("/first") + bytes);
    const answers = await readAll(connection);
    assertEquals(statuses(answers), [200, status], name);
    assertMatch(answers, /connection: close\r\n(?:.*\r\n)*\r\nrefused$/, name);
    assertEquals(server.faults.length, 1, name);
    assertMatch(server.faults[0]!, reason, name);
  }
});

Deno.test("openPort: who waits to be told to go on is told, unless nobody wants the body", async () => {
  await using server = open({
    answer: ({ url }, body) => ({ status: url.path === "/" ? 200 : 404, body }),
  });
  using connection = await connect(server.port);
  await write(connection, post("{}", "Expect: 100-continue").slice(0, -2));
  const buffer = new Uint8Array(1_000);
  const count = await connection.read(buffer);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, count!)), "HTTP/1.1 100 Continue\r\n\r\n");
  await write(connection, "{}");
  assertMatch(await readAnswer(connection), /^HTTP\/1\.1 200 [^]*\{\}$/);
  await write(connection, post("{}", "Expect: 100-continue"));
  assertMatch(await readAnswer(connection), /^HTTP\/1\.1 200 [^]*\{\}$/);
});

Deno.test("openPort: an HTTP/1.0 request, one for another protocol, and one that says close end the connection", async () => {
  await using server = open();
  const upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"];
  const table: [name: string, bytes: string, body: string][] = [
    ["HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", "GET http:///a? "],
    ["HTTP/1.0 that would stay", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET http:///a? "],
    ["upgrade", get("/a", ...upgrade), "GET http://h/a? "],
    ["upgrade with a body", post("{}", ...upgrade), "POST http://h/? {}"],
    ["CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT h:1? "],
    ["close", get("/a", "Connection: close"), "GET http://h/a? "],
    ["a whole URL", get("http://other/a?b", "Connection: close"), "GET http://other/a?b "],
    ["no target", get("*", "Connection: close").replace("GET", "OPTIONS"), "OPTIONS *? "],
  ];
  for (const [name, bytes, body] of table) {
    const connection = await connect(server.port);
    await write(connection, bytes);
    const answer = await readAll(connection);
    assert(answer.endsWith(`\r\n\r\n${body}`), `${name}: ${answer}`);
    assertMatch(answer, /connection: close/, name);
  }
});

Deno.test("openPort: a chunk that is none ends the body at once, also of a request that would change the protocol", async () => {
  await using server = open();
  for (const lines of [[], ["Connection: Upgrade", "Upgrade: x"]]) {
    const head = ["POST / HTTP/1.1", "Host: h", ...lines, "Transfer-Encoding: chunked", "", ""].join("\r\n");
    assertMatch(await exchange(server.port, head + "ZZ\r\n"), /400 body broke off/);
  }
});

Deno.test("openPort: who hangs up before the call is taken costs nobody else anything", async () => {
  await using server = open();
  const idle = await connect(server.port);
  await write(idle, get("/idle"));
  assertMatch(await readAnswer(idle), /\/idle/);
  reset(server.port, 20);
  assertMatch(await exchange(server.port, get("/here")), /\/here/);
  await write(idle, get("/again"));
  assertMatch(await readAnswer(idle), /\/again/);
  idle.close();
  assertEquals(server.seen, []);
});

Deno.test("openPort: silence ends a connection: before a word, within a head, between requests", async () => {
  await using server = open({ limits: { headTimeoutMs: 5_000, idleTimeoutMs: 20_000 } });
  const step = async (seconds: number) => {
    for (let at = 0; at < seconds; at++) {
      server.clock.advance(1_000);
      await Promise.resolve();
    }
  };
  const [mute, slow, idle] = [await connect(server.port), await connect(server.port), await connect(server.port)];
  const ended = { mute: false, slow: false, idle: false };
  const heard = {
    mute: readAll(mute).finally(() => ended.mute = true),
    slow: readAll(slow).finally(() => ended.slow = true),
    idle: readAll(idle).finally(() => ended.idle = true),
  };
  await write(idle, get("/"));
  await write(slow, get("/1") + "GET / HT");
  assertMatch(await exchange(server.port, get("/")), /^HTTP\/1\.1 200 /);
  await step(5);
  assertMatch(await exchange(server.port, get("/")), /^HTTP\/1\.1 200 /);
  assertEquals(ended, { mute: false, slow: false, idle: false });
  await step(1);
  assertEquals(await heard.mute, "");
  assertEquals(statuses(await heard.slow), [200, 408]);
  assertEquals(ended.idle, false);
  await step(15);
  assertEquals(statuses(await heard.idle), [200]);
  assertEquals(server.faults, ["no whole head in 5000 ms"]);
});

Deno.test("openPort: an answer that is not taken is given up", async () => {
  await using server = open({
    answer: () => ({ status: 200, body: "x".repeat(16_000_000) }),
    limits: { answerTimeoutMs: 2_000 },
  });
  const connection = await connect(server.port);
  await write(connection, get("/"));
  await until("it is being sent", async () => await connection.read(new Uint8Array(1)) === 1);
  for (let at = 0; at < 4; at++) server.clock.advance(1_000);
  await until("it is given up", () => server.clock.waiting === 0); // the port's tick ends with its last connection
  const rest = await readAll(connection).catch(() => "");
  assert(rest.length < 16_000_000);
});

/** A port with room for two, whose door keeps what asks for `/held` until it is told to let go. */
function openForTwo() {
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  const server = open({
    limits: { connectionsMax: 2 },
    async answer({ url }) {
      asked.push(url.path);
      if (url.path === "/held") await gate.promise;
      return { status: 200, body: url.path };
    },
  });
  return { ...server, asked, letGo: gate.resolve };
}

Deno.test("openPort: a full port closes the connection that was idle for longest, and else lets new ones wait", async () => {
  await using server = openForTwo();
  const idle = await connect(server.port);
  await write(idle, get("/idle"));
  assertMatch(await readAnswer(idle), /\/idle$/);
  using held = await connect(server.port);
  await write(held, get("/held"));
  using third = await connect(server.port);
  await write(third, get("/held"));
  assertEquals(await readAll(idle), ""); // it had to go
  using fourth = await connect(server.port);
  await write(fourth, get("/fourth"));
  // The port's tick, and the one that looks for room.
  await until("two are held and one waits", () => server.asked.length === 3 && server.clock.waiting === 2);
  server.letGo();
  assertMatch(await readAnswer(held), /\/held$/);
  assertMatch(await readAnswer(fourth), /\/fourth$/);
  assertEquals(server.asked, ["/idle", "/held", "/held", "/fourth"]);
});

Deno.test("openPort: a full port does not close who has just come: its request is on its way", async () => {
  await using server = openForTwo();
  using held = await connect(server.port);
  await write(held, get("/held"));
  await until("it is held", () => server.asked.length === 1);
  using fresh = await connect(server.port);
  using waiting = await connect(server.port);
  await write(waiting, get("/waiting"));
  await until("one waits", () => server.clock.waiting === 2);
  await write(fresh, get("/fresh"));
  assertMatch(await readAnswer(fresh), /\/fresh$/);
  server.letGo();
  assertMatch(await readAnswer(waiting), /\/waiting$/);
});

Deno.test("openPort: a chunked body that is nearly all framing is given up", async () => {
  await using server = open();
  const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const bytes = "1\r\nx\r\n".repeat(20_000); // six for one: a poor way to send, but a way
  assertMatch(await exchange(server.port, head, bytes, "0\r\n\r\n"), /x{20000}$/);
  const padded = `1;${"p".repeat(10_000)}\r\nx\r\n`.repeat(20);
  assertMatch(await exchange(server.port, head, padded, "0\r\n\r\n"), /400 .*nearly all framing$/);
});

Deno.test("openPort: an answer before the end of the body arrives, whatever else was sent", async () => {
  await using server = open({ answer: (_, body) => ({ status: 413, body: body.slice(0, 3) }) });
  const connection = await connect(server.port);
  const sending = write(connection, post("x".repeat(2_000_000)));
  assertMatch(await readAll(connection), /^HTTP\/1\.1 413 [^]*connection: close\r\n[^]*413$/);
  await sending;
});

Deno.test("openPort: says what is wrong with an address that cannot be had", async () => {
  await using server = open();
  const options = { clock: systemClock, observe() {} };
  const { door } = createEcho();
  assertThrows(() => openPort(server.listener.address, door, options), Error, "another program has this port");
  const elsewhere = { hostname: "203.0.113.9", port: 0 };
  assertThrows(() => openPort(elsewhere, door, options), Error, "choose an address of this machine");
});

Deno.test("Listener.close of a port: idle connections end at once, a request is answered, then it is closed", async () => {
  const reading = Promise.withResolvers<void>();
  const { door } = createEcho();
  const listener = openPort(anyPort, {
    ...door,
    answer(call) {
      if (call.method === "POST") reading.resolve();
      return door.answer(call);
    },
  }, { clock: systemClock, observe: createRecorder().observe });
  const idle = await connect(listener.address.port);
  await write(idle, get("/"));
  assertMatch(await readAnswer(idle), /200/);
  const busy = await connect(listener.address.port);
  await write(busy, post("abcdef").slice(0, -3));
  await reading.promise;
  const closed = listener.close();
  assertEquals(await readAll(idle), "");
  await write(busy, "def");
  assertMatch(await readAll(busy), /connection: close\r\n[^]*abcdef$/);
  await closed;
});

Deno.test("Listener.close of a port: an answer that never comes is not waited for beyond the grace", async () => {
  const asked = Promise.withResolvers<void>();
  const server = open({
    answer() {
      asked.resolve();
      return new Promise(() => {});
    },
  });
  const connection = await connect(server.port);
  await write(connection, get("/"));
  await asked.promise;
  const closed = server.listener.close();
  assertStrictEquals(server.listener.close(), closed);
  await Promise.resolve();
  server.clock.advance(5_000);
  await closed;
  assertEquals(await readAll(connection).catch(() => ""), "");
  assertEquals(server.clock.waiting, 0);
});
