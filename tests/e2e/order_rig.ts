/**
 * Many keys, each with its own order, and a share of the attempts failing: an engine in this process, with handlers that
 * write the history. Short in `order_test.ts`, long in `soak_order.ts`.
 */

import { createHash } from "node:crypto";
import { createWeir, type Handler, type RoutesFile, type Weir } from "weir";
import { standard } from "weir/plugins";
import { localUrl } from "../../cli/client.ts";
import type { Anomaly } from "../support/history.ts";
import { createLaneHistories } from "../support/lane_histories.ts";
import { type EngineReader, readEngine } from "./engine_reader.ts";

/** How long an engine may go without finishing anything before the rig gives up. */
const patienceMs = 30_000;
const publishers = 64;
/** Successes between two words on how it goes. */
const sayEvery = 50_000;

/** How much of it. */
export interface OrderSize {
  readonly keys: number;
  readonly eventsPerKey: number;
}

/** How {@link runOrderRig} is run, beyond its size. */
export interface OrderOptions {
  /** Share of the attempts that fail, below 1. */
  readonly failing: number;
  /** Which results of how many are read at the end. */
  readonly seed?: number;
  readonly detailsMax?: number;
  readonly say?: (line: string) => void;
}

/** What came of it. */
export interface OrderReport {
  readonly anomalies: readonly Anomaly[];
  /** Events in the log at the end. */
  readonly events: number;
  readonly attempts: number;
  readonly failed: number;
  /** Deliveries that succeeded. */
  readonly succeeded: number;
  /** From the first publication to the last success. */
  readonly tookMs: number;
  /** How much of the log was read one by one. */
  readonly sampled: string;
}

/** Publishes the events of all keys in turns, waits until all are done, and judges the order. */
export async function runOrderRig(
  { keys, eventsPerKey }: OrderSize,
  { failing, seed = 1, detailsMax, say = () => {} }: OrderOptions,
): Promise<OrderReport> {
  const histories = createLaneHistories(keys, (key) => Number(key.split("/")[0]));
  const total = keys * eventsPerKey;
  let succeeded = 0;
  let attempts = 0;
  const ordered: Handler = async (event, ctx) => {
    const run = `run-${attempts++}`;
    const { key } = event.body as { key: string };
    const { orderingKey: lane = null } = event;
    const { deliveryId: delivery, attempt } = ctx;
    const records = histories.of(key);
    records.push({ kind: "start", run, queue: "ordered", delivery, key, lane, attempt });
    const digest = createHash("sha256").update(`${key}/${attempt}`).digest();
    // Other work gets in between, so that attempts that are let in together would be seen together.
    for (let turn = 0; turn < digest[0]! % 4; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
    const fails = digest.readUInt32BE(1) < failing * 2 ** 32;
    records.push({ kind: "end", run, outcome: fails ? "failed" : "succeeded" });
    if (fails) throw new Error("one of those that fail");
    if (++succeeded % sayEvery === 0) say(`${succeeded} of ${total} succeeded, ${attempts} attempts`);
    return run;
  };
  const routes = {
    ordered: { from: "app", order_by: "body.lane", concurrency: 200, retry: { attempts: 30, schedule: ["10ms"] } },
  };
  await using engine = await startEngine(routes, { ordered });
  const begunAt = performance.now();
  const queues = ["ordered"];
  let ops = 0;
  const publish = async (key: string, lane: string) => {
    const records = histories.of(key);
    const op = ops++;
    const body = { key, lane };
    const digest = createHash("sha256").update(JSON.stringify(body)).digest("hex");
    records.push({ kind: "ingest", step: "invoke", op, key, lane, digest, queues });
    const { id, status } = await engine.weir.publish({ source: "app", type: "t", body, idempotencyKey: key });
    records.push({ kind: "ingest", step: "ok", op, eventId: id, status });
  };
  // A key has one publisher, which waits for each answer; its events are far apart, so that all keys are busy at once.
  await Promise.all(Array.from({ length: publishers }, async (_, publisher) => {
    for (let n = 0; n < eventsPerKey; n++) {
      for (let lane = publisher; lane < keys; lane += publishers) await publish(`${lane}/${n}`, `lane-${lane}`);
    }
  }));
  await engine.reach(() => succeeded >= total, () => `${succeeded} of ${total} succeeded`);
  const tookMs = performance.now() - begunAt;
  await engine.settled(total);
  say("all succeeded; reading the log");
  const reader = engine.createReader({ seed, detailsMax });
  const log = await reader.everything();
  const events = log.filter(({ kind }) => kind === "event").length;
  const anomalies = histories.judge(log);
  return { anomalies, events, attempts, failed: attempts - succeeded, succeeded, tookMs, sampled: reader.sampled };
}

/**
 * Measures how fast some keys are worked off, alone and beside one whose head never succeeds.
 *
 * @returns events per second of the healthy keys
 */
export async function measureBesideStuckHead({ keys, eventsPerKey }: OrderSize, stuck: boolean): Promise<number> {
  let healthy = 0;
  const handler: Handler = (event) => {
    if (event.body.stuck) throw new Error("never");
    healthy++;
  };
  const routes = {
    work: { from: "app", order_by: "body.lane", concurrency: 50, retry: { attempts: 1_000, schedule: ["20ms"] } },
  };
  await using engine = await startEngine(routes, { work: handler });
  const publish = (body: unknown) => engine.weir.publish({ source: "app", type: "t", body });
  if (stuck) {
    const followers = Array.from({ length: eventsPerKey }, () => publish({ lane: "stuck", stuck: true }));
    await Promise.all(followers);
  }
  const total = keys * eventsPerKey;
  const begunAt = performance.now();
  await Promise.all(Array.from({ length: total }, (_, n) => publish({ lane: `lane-${n % keys}`, stuck: false })));
  await engine.reach(() => healthy >= total, () => `${healthy} of ${total} succeeded`);
  return total / (performance.now() - begunAt) * 1_000;
}

interface OrderEngine extends AsyncDisposable {
  readonly weir: Weir;
  /** Waits for a fact for as long as anything moves. */
  reach(fact: () => boolean, progress: () => string): Promise<void>;
  /** Resolves when so many deliveries are settled as succeeded. */
  settled(count: number): Promise<void>;
  /** Makes what reads its log. */
  createReader(options: { seed: number; detailsMax?: number }): EngineReader;
}

async function startEngine(routes: RoutesFile["routes"], handlers: Record<string, Handler>): Promise<OrderEngine> {
  const folder = await Deno.makeTempDir({ prefix: "weir-order-" });
  const adminToken = crypto.randomUUID();
  const weir = await createWeir({
    ...standard(),
    config: {
      version: 1,
      server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0" },
      storage: { url: `file:${folder}/weir.db` },
      sources: { app: { publish: true } },
      routes,
    },
    handlers,
    environment: {},
    adminToken,
  });
  let settled = 0;
  weir.observe((observation) => {
    if (observation.kind === "delivery.attempted" && observation.state === "succeeded") settled++;
  });
  await weir.start();
  const { admin } = await weir.listen();
  const reach = async (fact: () => boolean, progress: () => string) => {
    let seen = progress();
    for (let since = performance.now(); !fact();) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (progress() !== seen) {
        seen = progress();
        since = performance.now();
      }
      if (performance.now() - since > patienceMs) throw new Error(`nothing moved for ${patienceMs} ms: ${seen}`);
    }
  };
  return {
    weir,
    reach,
    settled: (count) => reach(() => settled >= count, () => `${settled} of ${count} settled`),
    createReader: (options) => readEngine({ adminUrl: localUrl(admin), token: adminToken, ...options }),
    async [Symbol.asyncDispose]() {
      await weir.stop({ graceMs: 0 });
      await Deno.remove(folder, { recursive: true });
    },
  };
}
