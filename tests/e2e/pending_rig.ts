/**
 * How soon the first work begins after a start, when very many events wait: after a stop that was announced, and after a
 * kill. Short in `pending_test.ts`, long in `soak_kill.ts`.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createIdMaker, systemClock } from "../../core/engine/system_clock.ts";
import { openStore } from "../../core/store/open.ts";
import type { NewRequest, QueueId, Store } from "../../core/store/store.ts";
import { createRandom, type SeededRandom } from "../support/seeded_random.ts";
import { floodLog, type LiveEngine } from "./many_engines/flooded_log.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const project = {
  routesFile: here("./kill_project/routes.yaml"),
  pluginFiles: ["tell.ts", "work.ts", "spin.ts"].map((name) => here(`./kill_project/plugins/${name}`)),
  slots: 20 + 10,
  attempts: () => 20,
};
const queues = [{ route: "work", target: "" }, { route: "mirror", target: "rig" }];

/** Every second event has one of these keys. */
const lanes = 1_000;
const appendedAtOnce = 256;
const idempotencyMs = 604_800_000;

/** How long an engine works before it is stopped or killed: not so long that nothing would be left to do. */
const workMsMax = 300;

/** How long the first work may take before the rig gives up. */
const patienceMs = 60_000;

/** What came before a start. */
export type Before = "filled" | "stopped" | "killed";

/** One start. */
export interface PendingStart {
  readonly before: Before;
  /** From the start of the process to the first line that a handler ran. */
  readonly workMs: number;
  /** The same to the first request that a target got. */
  readonly targetMs: number;
}

/** What came of it. */
export interface PendingReport {
  readonly seed: number;
  readonly events: number;
  readonly starts: readonly PendingStart[];
  /** Deliveries in the log at the end. */
  readonly deliveries: number;
  /** Those of them that are still open. */
  readonly open: number;
  readonly exitCodes: readonly number[];
}

/** Runs the rig: so many starts after a stop, and as many after a kill. */
export async function runPendingRig(
  { events, starts, seed, say = () => {} }: {
    events: number;
    starts: number;
    seed: number;
    say?: (line: string) => void;
  },
): Promise<PendingReport> {
  const random = createRandom(seed);
  const first = new Map<string, number>();
  const begun = new Map<string, () => void>();
  // Nothing is sent: all that there is to do is in the log.
  await using log = await floodLog({
    seed,
    backlog: () => 0,
    backlogMax: 0,
    project,
    heard(record) {
      if (record.kind === "end") return;
      const place = `${record.boot} ${record.queue}`;
      if (!first.has(place)) first.set(place, performance.now());
      begun.get(place)?.();
    },
  });
  const url = `file:${join(log.folder, "project/weir.db")}`;
  await withStore(url, (store) => fill(store, { events, random }));
  say(`${events} events wait`);

  const measured: PendingStart[] = [];
  const exitCodes: number[] = [];
  const order: Before[] = ["filled", ...Array.from({ length: 2 * starts }, (_, at) => at % 2 ? "killed" : "stopped")];
  for (const [at, before] of order.entries()) {
    const engine = await log.start();
    const fromMs = engine.process.spawnedAtMs;
    const work = await begin(engine, "work");
    const target = await begin(engine, "mirror/rig");
    const start = { before, workMs: work - fromMs, targetMs: target - fromMs };
    measured.push(start);
    say(`${before}: first work after ${Math.round(start.workMs)} ms`);
    await new Promise((resolve) => setTimeout(resolve, random.below(workMsMax)));
    if (order[at + 1] === "killed") await log.kill(engine);
    else exitCodes.push(...await log.stop());
  }
  const [deliveries, finished] = await withStore(
    url,
    (store) => Promise.all([store.countDeliveries({}), store.countDeliveries({ state: "succeeded" })]),
  );
  return { seed, events, starts: measured, deliveries, open: deliveries - finished, exitCodes };

  async function begin({ boot, process }: LiveEngine, queue: string): Promise<number> {
    const place = `${boot} ${queue}`;
    if (!first.has(place)) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      begun.set(place, resolve);
      const giveUp = (): void =>
        reject(new Error(`${place} did not begin in ${patienceMs} ms; the engine said:\n${process.lastWords()}`));
      const timer = setTimeout(giveUp, patienceMs);
      await promise.finally(() => clearTimeout(timer));
    }
    return first.get(place)!;
  }
}

async function withStore<Answer>(url: string, use: (store: Store) => Promise<Answer>): Promise<Answer> {
  const boot = crypto.randomUUID();
  const store = await openStore({ url, boot, now: Date.now(), idempotencyMs: () => idempotencyMs });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function fill(store: Store, { events, random }: { events: number; random: SeededRandom }): Promise<void> {
  const ids = await store.registerQueues(queues);
  const makeRequest = createRequestMaker(ids, random);
  for (let made = 0; made < events;) {
    const count = Math.min(appendedAtOnce, events - made);
    await Promise.all(Array.from({ length: count }, () => store.append(makeRequest(made++))));
  }
}

/** Makes requests as the intake does with those that the flood sends. */
function createRequestMaker(ids: readonly QueueId[], random: SeededRandom): (n: number) => NewRequest {
  const makeId = createIdMaker(systemClock);
  return (n) => {
    const key = `waiting-${n}`;
    const lane = n % 2 === 0 ? `lane-${random.below(lanes)}` : undefined;
    const raw = new TextEncoder().encode(JSON.stringify({ key, lane, pad: "x".repeat(random.below(600)) }));
    return {
      id: makeId("req"),
      source: "github",
      query: "",
      headers: { "content-type": "application/json", "x-github-event": "push", "x-github-delivery": key },
      raw,
      receivedAt: Date.now(),
      configHash: "filled by the rig",
      events: [{
        id: makeId("evt"),
        type: "push",
        idempotencyKey: key,
        sha256: createHash("sha256").update(raw).digest("hex"),
        deliveries: ids.map((queue) => ({ id: makeId("dlv"), queue, lane })),
      }],
    };
  };
}

/** Whether nothing was lost, and there was always more to do. */
export function isSound(report: PendingReport): boolean {
  return report.deliveries === report.events * queues.length && report.open > 0 &&
    report.exitCodes.every((code) => code === 0);
}

/** All figures in a few lines. */
export function summarize(report: PendingReport): string {
  const lines = (["filled", "stopped", "killed"] as const).map((before) => {
    const starts = report.starts.filter((start) => start.before === before);
    return `${before}: ${starts.length} starts, first work of a handler ${
      describe(starts.map(({ workMs }) => workMs))
    }, ` +
      `of a target ${describe(starts.map(({ targetMs }) => targetMs))}`;
  });
  return [
    `pending: seed ${report.seed}, ${report.events} events, ${report.deliveries} deliveries, ${report.open} still open`,
    ...lines,
    `exit codes ${report.exitCodes.join(" ")}`,
  ].join("\n");
}

function describe(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? NaN);
  return `median ${at(0.5)} ms, most ${at(1)} ms`;
}
