/**
 * Tests of `plugins/handlers/http.ts` against real servers on loopback, most of them written by hand on a socket,
 * because what a hostile receiver sends no HTTP library would.
 */

import { type AddressInfo, createServer } from "node:net";
import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { createTargetRunner, responseBytesMax } from "../../../plugins/handlers/http.ts";
import type { Attempt, AttemptReport, Clock, TargetSpec } from "../../../core/plugin.ts";
import {
  type Answer,
  type RawServer,
  reply,
  type Seen,
  serveRaw,
  untilClosed,
  write,
} from "../../support/raw_server.ts";
import { type Behaviour, conformRunner, sampleAttempt } from "../../conformance/runner.ts";

const now = Date.UTC(2026, 10, 6, 8, 49, 37, 999);
const never = new AbortController().signal;

/** A clock that stands still; its timers fire when a test says so. */
function createStillClock(): Clock & { fire(): void } {
  const timers = new Set<() => void>();
  return {
    now: () => now,
    monotonic: () => 0,
    timer(_delayMs, wake) {
      timers.add(wake);
      return () => timers.delete(wake);
    },
    fire: () => timers.forEach((wake) => wake()),
  };
}

const specOf = (url: string, parts: Partial<TargetSpec> = {}): TargetSpec => ({
  route: "mirror",
  name: "ci",
  url,
  secrets: [],
  headers: {},
  timeoutMs: 60_000,
  ...parts,
});

/** Runs one attempt against a target and lets go of everything. */
async function runOnce(
  url: string,
  { attempt = sampleAttempt(), stop = never, clock = createStillClock() as Clock, ...spec }:
    & Partial<TargetSpec>
    & { attempt?: Attempt; stop?: AbortSignal; clock?: Clock } = {},
): Promise<AttemptReport> {
  const runner = createTargetRunner(specOf(url, spec), { clock });
  try {
    return await runner.run(attempt, stop);
  } finally {
    await runner.close();
  }
}

const reasonOf = ({ outcome }: AttemptReport) =>
  "reason" in outcome ? `${outcome.kind}: ${outcome.reason}` : outcome.kind;

Deno.test("createTargetRunner: the status decides the outcome", async () => {
  const table: [status: string, outcome: AttemptReport["outcome"]][] = [
    ["200 OK", { kind: "succeeded", result: "200 OK" }],
    ["202 Accepted", { kind: "succeeded", result: "202 Accepted" }],
    ["299 Whatever", { kind: "succeeded", result: "299" }],
    ["410 Gone", { kind: "rejected", reason: "answered 410 Gone: the receiver wants no more of these" }],
    ["304 Not Modified", { kind: "failed", reason: "answered 304 Not Modified", retryAfterMs: undefined }],
    ...["400 Bad Request", "401 Unauthorized", "404 Not Found", "408 Request Timeout", "425 Too Early"]
      .map((status): [string, AttemptReport["outcome"]] => [
        status,
        { kind: "failed", reason: `answered ${status}`, retryAfterMs: undefined },
      ]),
    ...["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"]
      .map((status): [string, AttemptReport["outcome"]] => [
        status,
        { kind: "failed", reason: `answered ${status}`, retryAfterMs: undefined },
      ]),
  ];
  for (const [status, outcome] of table) {
    await using server = serveRaw(reply(status));
    assertEquals((await runOnce(server.url)).outcome, outcome);
  }
});

Deno.test("createTargetRunner: 204 without a body is a success without output", async () => {
  await using server = serveRaw((connection) => write(connection, "HTTP/1.1 204 No Content\r\n\r\n"));
  assertEquals(await runOnce(server.url), {
    outcome: { kind: "succeeded", result: "204 No Content" },
    output: undefined,
  });
});

Deno.test("createTargetRunner: what the target answers is the output", async () => {
  await using server = serveRaw(reply("500 Oops", "content-type: text/plain\r\n", "out of \0paper"));
  assertEquals((await runOnce(server.url)).output, "out of \ufffdpaper");
});

Deno.test("createTargetRunner: no redirect is followed, wherever it leads", async () => {
  await using other = serveRaw(reply("200 OK"));
  const table: [location: string, described: string][] = [
    [`${other.url}?token=hunter2`, other.url],
    ["http://user:hunter2@10.0.0.1/admin", "http://10.0.0.1/admin"],
    ["file:///etc/passwd", "file:///etc/passwd"],
    ["http://", "a place that is not a URL"],
  ];
  for (
    const status of [
      "301 Moved Permanently",
      "302 Found",
      "303 See Other",
      "307 Temporary Redirect",
      "308 Permanent Redirect",
    ]
  ) {
    for (const [location, described] of table) {
      await using server = serveRaw(reply(status, `location: ${location}\r\n`));
      assertEquals(
        reasonOf(await runOnce(server.url, { secrets: ["sixteen byte key!"] })),
        `failed: redirected to ${described}, which is not followed (answered ${status})`,
      );
      assertEquals(server.seen.length, 1);
    }
    await using loop = serveRaw(reply(status, "location: /hook\r\n"));
    assertMatch(reasonOf(await runOnce(loop.url)), /^failed: redirected to http:\/\/127\.0\.0\.1:\d+\/hook, /);
    assertEquals(loop.seen.length, 1);
  }
  assertEquals(other.seen.length, 0);
});

Deno.test("createTargetRunner: Retry-After is read in both forms, on any failure", async () => {
  const table: [status: string, header: string, retryAfterMs: number | undefined][] = [
    ["503 Busy", "120", 120_000],
    ["429 Slow Down", new Date(now + 90_000).toUTCString(), 89_001],
    ["503 Busy", new Date(now - 90_000).toUTCString(), 0],
    ["400 Bad Request", "1", 1_000],
    ["503 Busy", "soon", undefined],
  ];
  for (const [status, header, retryAfterMs] of table) {
    await using server = serveRaw(reply(status, `retry-after: ${header}\r\n`));
    const { outcome } = await runOnce(server.url);
    assertEquals(outcome.kind === "failed" && outcome.retryAfterMs, retryAfterMs, header);
  }
});

Deno.test("createTargetRunner: a receiver that never answers fails at the deadline", async () => {
  const clock = createStillClock();
  await using server = serveRaw((connection) => {
    clock.fire();
    return untilClosed(connection);
  });
  assertEquals(reasonOf(await runOnce(server.url, { clock, timeoutMs: 15_000 })), "failed: timed out after 15s");
});

/**
 * Says when the runner has seen a status: it asks for the time twice, for the request's timestamp, and for what a
 * Retry-After in the answer means.
 */
function watchStatus(clock: Clock): { clock: Clock; statusSeen: Promise<void> } {
  const { promise: statusSeen, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const now = () => {
    if (++asked === 2) resolve();
    return clock.now();
  };
  return { clock: { ...clock, now }, statusSeen };
}

/** A server that answers with a status and the beginning of a body, and then acts once the client has seen the status. */
function serveStalled(status: string, clock: Clock, act: () => void): { server: RawServer; clock: Clock } {
  const watching = watchStatus(clock);
  const server = serveRaw(async (connection) => {
    await write(connection, `HTTP/1.1 ${status}\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n`);
    await watching.statusSeen;
    act();
    await untilClosed(connection);
  });
  return { server, clock: watching.clock };
}

Deno.test("createTargetRunner: a body that never ends is cut at the deadline, and the status stands", async () => {
  for (const [status, outcome] of [["200 OK", "succeeded"], ["503 Busy", "failed: answered 503 Service Unavailable"]]) {
    const still = createStillClock();
    const { server, clock } = serveStalled(status!, still, still.fire);
    await using _ = server;
    const report = await runOnce(server.url, { clock });
    assertEquals(reasonOf(report), outcome);
    assertMatch(report.output ?? "x", /^x$/);
  }
});

Deno.test("createTargetRunner: of an endless body only the cap is read, and then the connection is let go", async () => {
  let sentBytes = 0;
  await using server = serveRaw(async (connection) => {
    await write(connection, "HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n");
    for (const chunk = new Uint8Array(65_536).fill(0x61);; sentBytes += chunk.length) await write(connection, chunk);
  });
  const { outcome, output } = await runOnce(server.url);
  assertEquals([outcome.kind, output?.length], ["succeeded", responseBytesMax]);
  // Far beyond what the buffers of two sockets hold, and far below a terabyte.
  assert(sentBytes < 64 * 1_048_576, `${sentBytes} bytes were taken`);
});

Deno.test("createTargetRunner: a body of exactly the cap is kept whole, and no letter is cut in half", async () => {
  const body = "ä".repeat(responseBytesMax / 2);
  for (const [text, length] of [[body, responseBytesMax / 2], [`x${body}`, responseBytesMax / 2]] as const) {
    const bytes = new TextEncoder().encode(text);
    await using server = serveRaw(async (connection) => {
      await write(connection, `HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`);
      await write(connection, bytes);
      await untilClosed(connection);
    });
    const { output } = await runOnce(server.url);
    assertEquals([output?.length, output?.includes("\ufffd")], [length, false]);
  }
});

Deno.test("createTargetRunner: a gzip bomb stays as small as it was sent", async () => {
  const bomb = gzipSync(new Uint8Array(32 * 1_048_576));
  await using server = serveRaw(async (connection) => {
    await write(connection, `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
    await write(connection, bomb);
  });
  const { outcome, output } = await runOnce(server.url);
  assertEquals(outcome.kind, "succeeded");
  assert(output !== undefined && output.length <= responseBytesMax);
  assertMatch(server.seen[0]!.head, /^accept-encoding: identity$/im);
});

Deno.test("createTargetRunner: a connection that breaks after the status leaves the status standing", async () => {
  await using server = serveRaw(async (connection) => {
    await write(connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc");
  });
  assertEquals(await runOnce(server.url), { outcome: { kind: "succeeded", result: "200 OK" }, output: "abc" });
});

Deno.test("createTargetRunner: a connection that breaks before the status is a failure with its true reason", async () => {
  const manyHeaders = Array.from({ length: 100_000 }, (_, n) => `x-${n}: y\r\n`).join("");
  const table: [answer: Answer, reason: RegExp][] = [
    [() => Promise.resolve(), /^failed: 127\.0\.0\.1:\d+ closed the connection before it answered$/],
    [
      (connection) => write(connection, "HTTP/1.1 200"),
      /^failed: 127\.0\.0\.1:\d+ closed the connection before it answered$/,
    ],
    [
      (connection) => write(connection, "SSH-2.0-OpenSSH\r\n\r\n"),
      /^failed: 127\.0\.0\.1:\d+ answered something that is not HTTP: invalid HTTP version parsed$/,
    ],
    [
      (connection) => write(connection, `HTTP/1.1 200 OK\r\n${manyHeaders}\r\n`),
      /^failed: 127\.0\.0\.1:\d+ answered with headers that are too large$/,
    ],
  ];
  for (const [answer, reason] of table) {
    await using server = serveRaw(answer);
    assertMatch(reasonOf(await runOnce(server.url)), reason);
  }
});

Deno.test("createTargetRunner: a reset is a failure before the status and changes nothing after it", async () => {
  const table: [sent: string, reason: RegExp][] = [
    ["", /^failed: 127\.0\.0\.1:\d+ (?:reset|closed) the connection before it answered$/],
    ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc", /^succeeded$/],
  ];
  for (const [sent, reason] of table) {
    const { clock, statusSeen } = watchStatus(createStillClock());
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", async () => {
        socket.write(sent);
        if (sent !== "") await statusSeen;
        socket.resetAndDestroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    assertMatch(reasonOf(await runOnce(`http://127.0.0.1:${port}/`, { clock })), reason);
    await new Promise((resolve) => server.close(resolve));
  }
});

Deno.test("createTargetRunner: nobody listening, no such name and no TLS are failures with their true reasons", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  assertEquals(
    reasonOf(await runOnce(`http://user:hunter2@127.0.0.1:${port}/hook?token=hunter2`)),
    `failed: connection refused by 127.0.0.1:${port}`,
  );
  assertEquals(
    reasonOf(await runOnce("http://weir.invalid/hook?token=hunter2")),
    "failed: the name of weir.invalid:80 could not be resolved",
  );
  // A port that fetch refuses for everybody.
  assertMatch(
    reasonOf(await runOnce("http://127.0.0.1:9/")),
    /^failed: the request to 127\.0\.0\.1:9 failed: .*blocked/,
  );
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("plain"));
  assertMatch(
    reasonOf(await runOnce(`https://127.0.0.1:${server.addr.port}/?token=hunter2`)),
    /^failed: no secure connection to 127\.0\.0\.1:\d+: (?!.*hunter2)/,
  );
});

Deno.test("createTargetRunner: a stop that comes while the answer is read does not undo the status", async () => {
  const stop = new AbortController();
  const { server, clock } = serveStalled("200 OK", createStillClock(), () => stop.abort());
  await using _ = server;
  assertEquals((await runOnce(server.url, { clock, stop: stop.signal })).outcome.kind, "succeeded");
});

Deno.test("createTargetRunner: nothing is sent once the engine stops", async () => {
  await using server = serveRaw(reply("200 OK"));
  assertEquals((await runOnce(server.url, { stop: AbortSignal.abort() })).outcome.kind, "interrupted");
  assertEquals(server.seen.length, 0);
});

Deno.test("createTargetRunner: what is prepared is what arrives", async () => {
  await using server = serveRaw(reply("200 OK"));
  const raw = new Uint8Array([0, 1, 255]);
  const headers = { "content-type": "application/octet-stream" };
  await runOnce(server.url, {
    headers: { "Content-Length": "99", "Host": "elsewhere.example.com", "X-Env": "prod" },
    attempt: sampleAttempt({ idempotencyKey: "dlv_lineage" }, { raw, headers }),
  });
  const [{ head, body }] = server.seen as [Seen];
  assertEquals([...body], [...raw]);
  assertMatch(head, /^POST \/hook HTTP\/1\.1\r\n/);
  const lines = new Set(head.split("\r\n"));
  const expected = [
    `host: ${server.address}`,
    "content-length: 3",
    "content-type: application/octet-stream",
    "user-agent: weir",
    "webhook-id: dlv_lineage",
    `webhook-timestamp: ${Math.floor(now / 1_000)}`,
    "x-env: prod",
  ];
  for (const line of expected) assertEquals(lines.has(line), true, line);
});

const answers: Record<Exclude<Behaviour, "hang">, Answer> = {
  succeed: reply("200 OK"),
  fail: reply("503 Busy"),
  reject: reply("410 Gone"),
};

conformRunner("createTargetRunner", {
  prepare(behaviour, { timeoutMs, host }) {
    const begun = Promise.withResolvers<void>();
    const hang: Answer = (connection) => {
      begun.resolve();
      return untilClosed(connection);
    };
    const server = serveRaw(behaviour === "hang" ? hang : answers[behaviour]);
    return Promise.resolve({
      runner: createTargetRunner(specOf(server.url, { timeoutMs }), host),
      begun: begun.promise,
      dispose: () => server[Symbol.asyncDispose](),
    });
  },
});
