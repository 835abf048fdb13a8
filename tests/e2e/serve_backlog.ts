/**
 * `weir serve` on a log with a backlog: it takes requests, works off what is due, and is asked by an operator how it is,
 * while its memory is weighed from outside.
 */

import { createClient } from "../../cli/client.ts";
import { until } from "../support/until.ts";
import { breakerFailures, logOf, routeNames, target } from "./backlog_rig.ts";
import { startEngineUnderTest } from "./engine_under_test.ts";

const senders = 16;
const lanes = 500;
/** Events between two looks of an operator. */
const eventsPerLook = 2_000;

/** What was seen of it. */
export interface ServedBacklog {
  /** The most memory that was ever resident in the engine's process. */
  readonly residentMiBMax: number;
  readonly startMs: number;
  readonly acknowledged: number;
  /** Requests that the target got. */
  readonly delivered: number;
  /** Times that an operator asked for everything there is to ask. */
  readonly looks: number;
  readonly tookMs: number;
}

/**
 * Serves a log that `buildLog` made.
 *
 * @param events how many requests are sent, and at least how many deliveries must arrive
 */
export async function serveBacklog(folder: string, { events }: { events: number }): Promise<ServedBacklog> {
  let delivered = 0;
  await using sink = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.body?.cancel();
    delivered++;
    return new Response(null, { status: 204 });
  });
  const config = `${folder}/routes.yaml`;
  await Deno.writeTextFile(config, JSON.stringify(buildRoutes(folder, `http://127.0.0.1:${sink.addr.port}/`)));
  const token = crypto.randomUUID();
  const engine = startEngineUnderTest(config, { WEIR_ADMIN_TOKEN: token });
  try {
    const { ingestUrl, adminUrl } = await engine.listening;
    const startedAt = performance.now();
    let looks = 0;
    const acknowledged = await send(`${ingestUrl}/hooks/rig`, events, async () => {
      await look({ adminUrl, token });
      looks++;
    });
    for (let seen = -1; delivered < events && seen < delivered;) {
      seen = delivered;
      await until("the target gets more", () => delivered >= events || delivered > seen);
    }
    return {
      residentMiBMax: readResidentMax(engine.pid),
      startMs: startedAt - engine.spawnedAtMs,
      acknowledged,
      delivered,
      looks,
      tookMs: performance.now() - startedAt,
    };
  } finally {
    engine.kill("SIGKILL");
    await engine.status;
  }
}

function buildRoutes(folder: string, url: string): unknown {
  const secret = `whsec_${btoa(crypto.randomUUID())}`;
  const send = [{ name: target, url, secret, concurrency: 50, breaker: { failures: breakerFailures } }];
  const routes = routeNames.map((name) => [name, { from: "rig", on: name, order_by: "body.lane", send }]);
  return {
    version: 1,
    server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0" },
    storage: { url: `file:${logOf(folder)}` },
    sources: { rig: { provider: "none", type: "body.type" } },
    routes: Object.fromEntries(routes),
  };
}

/** Sends to all routes alike, and now and then does something else in between; answers how many requests were accepted. */
async function send(url: string, events: number, nowAndThen: () => Promise<void>): Promise<number> {
  let acknowledged = 0;
  const numbers = Array.from({ length: events }, (_, n) => n).values();
  await Promise.all(Array.from({ length: senders }, async () => {
    for (const n of numbers) {
      if (n % eventsPerLook === 0) await nowAndThen();
      const body = JSON.stringify({ type: routeNames[n % 3], lane: `new-${n % lanes}`, note: "x".repeat(900) });
      const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      await response.body?.cancel();
      if (response.status !== 202) throw new Error(`answered ${response.status}, expected 202`);
      acknowledged++;
    }
  }));
  return acknowledged;
}

/** Asks for what the dashboard, a scraper and a curious person ask for. */
async function look({ adminUrl, token }: { adminUrl: string; token: string }): Promise<void> {
  const client = createClient(adminUrl, token);
  await client.status();
  await client.lanes({ limit: 100 });
  await client.events({ limit: 500 });
  await client.deliveries({ limit: 500 });
  await client.deliveries({ state: "blocked", limit: 500 });
  const metrics = await fetch(`${adminUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  await metrics.body?.cancel();
  if (!metrics.ok) throw new Error(`metrics answered ${metrics.status}`);
}

/** The kernel's own high-water mark (proc_pid_status(5)), so that no peak between two looks is missed. */
function readResidentMax(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return Number(kib) / 1_024;
}
