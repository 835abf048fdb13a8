/** An action on many that an engine refuses after its first piece: the command says how far it came. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { runWeir } from "./command_line.ts";

const first = {
  "/api/v1/deliveries/redeliver": { matched: 1500, done: 1000, nextAfter: 1000, before: 1501 },
  "/api/v1/events/replay": { events: 1000, unrouted: 0, routes: { work: 1000 }, missing: [], nextAfter: 7, before: 9 },
};

Deno.test("redeliver --all, replay --all: what is refused half way says how much was done", async () => {
  const asked: unknown[] = [];
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { after, before } = await request.json();
    asked.push([after, before]);
    if (after === undefined) return Response.json(first[new URL(request.url).pathname as keyof typeof first]);
    return Response.json({ detail: "the log's disk is nearly full" }, { status: 503 });
  });
  const cwd = await Deno.makeTempDir({ prefix: "weir-test-" });
  const weir = (...args: string[]) =>
    runWeir([...args, "--all", "--admin", `http://127.0.0.1:${server.addr.port}`], {
      cwd,
      env: { WEIR_ADMIN_TOKEN: "a-token-of-the-tests-01234567890123456789" },
    });
  const redelivered = await weir("deliveries", "redeliver");
  assertEquals([redelivered.code, redelivered.out], [1, ""]);
  assertStringIncludes(redelivered.err, "1000 of 1500 redelivered, then: the log's disk is nearly full");
  const replayed = await weir("events", "replay");
  assertEquals([replayed.code, replayed.out], [1, ""]);
  assertStringIncludes(replayed.err, "1000 events replayed, then: the log's disk is nearly full");
  assertEquals(asked, [[undefined, undefined], [1000, 1501], [undefined, undefined], [7, 9]]);
  await Deno.remove(cwd, { recursive: true });
});
