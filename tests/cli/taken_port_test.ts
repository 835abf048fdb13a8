/** An engine whose port is taken: it says so and ends, and leaves the log and its work to the next start. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { runWeir, startWeir } from "./command_line.ts";

const adminToken = "a-token-that-only-this-test-has-and-knows";

Deno.test("weir serve: with a port taken it ends at once without running anything, and the next start has the log", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  let hits = 0;
  await using target = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    hits++;
    return new Response(null, { status: 500 });
  });
  try {
    const describe = (ingest: string) =>
      Deno.writeTextFile(
        join(folder, "routes.yaml"),
        `version: 1
server: { listen: "${ingest}", admin: "127.0.0.1:0" }
sources:
  app: { provider: none }
routes:
  work:
    from: app
    retry: { attempts: 100, schedule: [10ms] }
    send: [{ url: "http://127.0.0.1:${target.addr.port}/", breaker: false }]
`,
      );
    const options = { cwd: folder, env: { WEIR_ADMIN_TOKEN: adminToken } };
    await describe("127.0.0.1:0");
    {
      await using engine = await startWeir(["serve"], options);
      const sent = await fetch(`${engine.ingestUrl}/hooks/app`, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      assertEquals(sent.status, 202);
      await sent.body?.cancel();
      await until("the target was tried", () => hits > 1);
    }
    const before = hits;
    await describe(`127.0.0.1:${target.addr.port}`);
    const refused = await runWeir(["serve"], options);
    assertEquals([refused.code, hits], [1, before], refused.err);
    assertMatch(refused.err, /cannot listen on 127\.0\.0\.1:\d+: another program has this port; stop it, or choose/);

    await describe("127.0.0.1:0");
    await using engine = await startWeir(["serve"], options);
    await until("the work goes on", () => hits > before);
    engine.kill("SIGTERM");
    assertEquals((await engine.status).code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
