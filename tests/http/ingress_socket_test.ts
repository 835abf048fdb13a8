/** The ingress behind a real socket, spoken to as no HTTP client would: what is cut, lied about, repeated, never ended. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createIngress, type IngressLimits } from "../../core/http/ingress.ts";
import { listen } from "../../core/http/listener.ts";
import { openPort } from "../../core/http/port.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import {
  acceptOne,
  createFakeIntake,
  createRecorder,
  exchange,
  makeGeneration,
  readAnswer,
  write,
} from "./http_fixture.ts";

/** Our own port, and the platform's, behind which an embedding program puts `fetch`. */
const doors = ["port", "fetch"] as const;

async function open(limits: Partial<IngressLimits> = {}, door: (typeof doors)[number] = "port") {
  const intake = createFakeIntake(acceptOne);
  const { seen, observe } = createRecorder();
  const clock = createFakeClock();
  const generation = makeGeneration();
  const ingress = createIngress({
    generation: () => generation,
    intake,
    closed: () => undefined,
    paused: () => undefined,
    observe,
    clock,
    limits,
  });
  const address = { hostname: "127.0.0.1", port: 0 };
  const listener = door === "port"
    ? openPort(address, ingress, { clock, observe })
    : await listen(address, ingress.fetch, { clock, observe });
  return {
    port: listener.address.port,
    intake,
    clock,
    seen,
    ingress,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

const head = (...lines: string[]) =>
  ["POST /hooks/a HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", ...lines, "", ""].join("\r\n");

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

const statusOf = (answer: string) => Number(answer.match(/^HTTP\/1\.[01] (\d+)/)?.[1]);

Deno.test("ingress on a socket: a chunked body is counted as it comes", async () => {
  await using server = await open();
  const chunked = head("Transfer-Encoding: chunked");
  const fits = await exchange(server.port, chunked, chunk("x".repeat(600)), chunk("y".repeat(400)), chunk(""));
  assertEquals(statusOf(fits), 202);
  assertEquals(server.intake.received[0]!.body.length, 1_000);
  const over = await exchange(server.port, chunked, chunk("x".repeat(600)), chunk("y".repeat(401)));
  assertEquals(statusOf(over), 413);
  assertEquals(server.intake.received.length, 1);
  const endless = await exchange(server.port, chunked, ...Array.from({ length: 50 }, () => chunk("z".repeat(60_000))));
  assert(endless === "" || statusOf(endless) === 413, endless);
  assertEquals(server.intake.received.length, 1);
});

Deno.test("ingress on a socket: a Content-Length beyond the limit is refused before the body is sent", async () => {
  await using server = await open();
  assertEquals(statusOf(await exchange(server.port, head("Content-Length: 100000000000"))), 413);
});

Deno.test("ingress on a socket: what follows a body that is longer than announced is no part of it", async () => {
  await using server = await open();
  const answer = await exchange(server.port, head("Content-Length: 2") + "{}garbage\r\n\r\n");
  assertEquals(statusOf(answer), 202);
  assertEquals(server.intake.received.map(({ body }) => new TextDecoder().decode(body)), ["{}"]);
});

for (const door of doors) {
  Deno.test(`ingress on a socket: ${door}: a body that never ends is a 408 after the deadline`, async () => {
    await using server = await open({}, door);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await write(connection, head("Content-Length: 10") + '{"a"');
    await until("the request is in flight", () => server.ingress.inFlight === 1);
    server.clock.advance(29_999);
    assertEquals(server.ingress.inFlight, 1);
    server.clock.advance(1);
    assertEquals(statusOf(await readAnswer(connection)), 408);
    assertEquals([server.intake.received.length, server.ingress.inFlight], [0, 0]);
  });

  Deno.test(`ingress on a socket: ${door}: a sender that hangs up leaves nothing behind`, async () => {
    await using server = await open({}, door);
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await write(connection, head("Content-Length: 10") + '{"a"');
    await until("the request is in flight", () => server.ingress.inFlight === 1);
    connection.close();
    await until("nothing is left", () => server.ingress.inFlight === 0 && server.clock.waiting === 0);
    assertEquals(server.seen.map((one) => one.kind === "request.refused" && one.status), [400]);
    assertEquals(server.intake.received, []);
  });
}

Deno.test("ingress on a socket: a repeated header arrives joined, so that two signatures are not one", async () => {
  await using server = await open();
  const twice = head("X-Signature: one", "x-signature: two", "Content-Length: 2");
  assertEquals(statusOf(await exchange(server.port, twice + "{}")), 202);
  assertEquals(server.intake.received[0]!.headers["x-signature"], "one, two");
});

Deno.test("ingress on a socket: the signed URL is the text of the request line", async () => {
  await using server = await open();
  const request = head("Content-Length: 2").replace("/hooks/a", "/hooks/a?x='1'&y=%7e|") + "{}";
  assertEquals(statusOf(await exchange(server.port, request)), 202);
  assertEquals(server.intake.received[0]!.url, "http://127.0.0.1/hooks/a?x='1'&y=%7e|");
  for (const path of ["/hooks/%61", "/hooks//a", "/hooks/../hooks/a", "/hooks/a%00", "/HOOKS/a", "/hooks/a;x"]) {
    const other = head("Content-Length: 2").replace("/hooks/a", path) + "{}";
    assertEquals(statusOf(await exchange(server.port, other)), 404, path);
  }
});

Deno.test("ingress on a socket: header lists have an end", async () => {
  await using server = await open();
  const many = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: 1`);
  assertEquals(statusOf(await exchange(server.port, head(...many(90), "Content-Length: 2") + "{}")), 202);
  assertEquals(statusOf(await exchange(server.port, head(...many(2_000), "Content-Length: 2"))), 431);
  assertEquals(statusOf(await exchange(server.port, head(`X-Large: ${"x".repeat(90_000)}`, "Content-Length: 2"))), 431);
  const large = head(`X-Large: ${"x".repeat(900)}`, "Content-Length: 2") + "{}";
  await using strict = await open({ headerBytesMax: 900 });
  assertEquals([statusOf(await exchange(server.port, large)), statusOf(await exchange(strict.port, large))], [
    202,
    431,
  ]);
});

Deno.test("ingress on a socket: a request that two parsers could read differently is refused by the server", async () => {
  await using server = await open();
  const table: [string, string[]][] = [
    ["length and chunked", ["Content-Length: 2", "Transfer-Encoding: chunked"]],
    ["two lengths", ["Content-Length: 2", "Content-Length: 3"]],
    ["unknown coding", ["Transfer-Encoding: xchunked"]],
    ["space before the colon", ["Content-Length : 2"]],
    ["folded line", ["X-Folded: a", " b", "Content-Length: 2"]],
    ["negative length", ["Content-Length: -2"]],
    ["two hosts", ["Host: 127.0.0.2", "Content-Length: 2"]],
  ];
  for (const [name, lines] of table) {
    assertEquals(statusOf(await exchange(server.port, head(...lines) + "{}")), 400, name);
  }
  assertEquals(server.intake.received, []);
});

Deno.test("ingress on a socket: an answer that goes out before the body came in closes the connection", async () => {
  await using server = await open();
  assertMatch(await exchange(server.port, head("Content-Length: 5000")), /^HTTP\/1\.1 413 [^]*connection: close/i);
});
