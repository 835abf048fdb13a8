/**
 * The workloads: each runs once, beside the yardstick, and gives its figures. What is run how often is up to main.ts.
 */

import { DatabaseSync } from "node:sqlite";
import { type Backlog, behind, buildBacklog } from "./backlog.ts";
import type { Work } from "./bench_routes.ts";
import type { Figures } from "./figures.ts";
import { BrokenMeasurement, rateOf, type Rig, type Server, startsByKey, waitFinished, type WarmEngine } from "./rig.ts";
import { startServe } from "./serve_process.ts";
import { buildSlowDisk, type SlowDisk } from "./slow_disk.ts";
import { measureSteadyWire, startsOverWire } from "./steady_load.ts";

/** One run of a workload. */
export type Workload = (rig: Rig) => Promise<Figures>;

/** One engine, one load, as rates and weights. */
interface Passage {
  readonly ingest: number;
  readonly finishedMeanwhile: number;
  readonly endToEnd: number;
  readonly cpuMs: number;
}

/** Sends events and waits until they are finished. */
export async function pass(
  rig: Rig,
  engine: WarmEngine,
  options: { events: number; keys?: number; work: Work },
): Promise<Passage> {
  const { events, keys = 1_000, work } = options;
  const before = engine.finished;
  const cpuBefore = engine.process.cpuMs();
  const report = await rig.load(engine.process, { count: events, keys });
  const { count } = await engine.process.ask<{ count: number }>({ step: "finished", at: report.endedAt });
  const endedAt = work === "paused" ? report.endedAt : await waitFinished(engine, events);
  return {
    ingest: rateOf(report),
    finishedMeanwhile: (count - before) / events,
    endToEnd: events * 1_000 / (endedAt - report.startedAt),
    cpuMs: (engine.process.cpuMs() - cpuBefore) / events,
  };
}

/** The generator's own ceiling and what the yardsticks cost. */
const measureYardstick: Workload = async (rig) => {
  const measure = async (server: Server) => {
    const cpuBefore = server.cpuMs();
    const report = await rig.load(server, { count: rig.sizes.wireEvents });
    const perEvent = (ms: number) => ms / rig.sizes.wireEvents;
    return {
      rate: rateOf(report),
      cpu: perEvent(server.cpuMs() - cpuBefore),
      generatorCpu: perEvent(report.generatorCpuMs),
    };
  };
  const [ceiling, wire, durable] = [
    await measure(rig.responder),
    await measure(rig.wire),
    await measure(rig.durableWire),
  ];
  return {
    "generator.ceiling": ceiling.rate / wire.rate,
    "generator.cpu": wire.generatorCpu,
    "wire.rate": wire.rate,
    "wire.cpu": wire.cpu,
    "durable.ingest": durable.rate / wire.rate,
    "durable.cpu": durable.cpu,
  };
};

const ingestPaused: Workload = async (rig) => {
  const wire = await rig.measureWire();
  const logFolder = await Deno.makeTempDir({ dir: rig.folder });
  const { events, warmupEvents } = rig.sizes;
  const figures = await rig.withEngine({ work: "paused", logFolder }, async (engine): Promise<Figures> => {
    const { ingest, cpuMs } = await pass(rig, engine, { events, work: "paused" });
    return {
      "paused.ingest": ingest / wire.rate,
      "paused.cpu": cpuMs,
      "paused.cpuOfWire": cpuMs / wire.cpuMs,
      "growth.wal": Deno.statSync(`${logFolder}/weir.db-wal`).size / 2 ** 20,
    };
  });
  const bytes = Deno.statSync(`${logFolder}/weir.db`).size;
  const [stored] = readLog(logFolder, "SELECT count(*) AS n FROM events");
  if (stored!.n !== events + warmupEvents) {
    throw new BrokenMeasurement(`${events + warmupEvents} events were accepted and ${stored!.n} are in the log`);
  }
  await Deno.remove(logFolder, { recursive: true });
  return { ...figures, "growth.file": bytes / (events + warmupEvents) };
};

function endToEnd(work: "inline" | "script" | "target"): Workload {
  return async (rig) => {
    const wire = await rig.measureWire();
    return await rig.withEngine({ work }, async (engine): Promise<Figures> => {
      const passage = await pass(rig, engine, { events: rig.sizes.events, work });
      return {
        [`${work}.ingest`]: passage.ingest / wire.rate,
        [`${work}.finishedMeanwhile`]: passage.finishedMeanwhile,
        [`${work}.endToEnd`]: passage.endToEnd / wire.rate,
        [`${work}.cpu`]: passage.cpuMs,
        [`${work}.cpuOfWire`]: passage.cpuMs / wire.cpuMs,
      };
    });
  };
}

/** The handler's result is when it started. */
function latency(work: "inline" | "script"): Workload {
  return async (rig) => {
    const wire = await measureSteadyWire(rig);
    const logFolder = await Deno.makeTempDir({ dir: rig.folder });
    const prefix = `latency-${Date.now()}-`;
    const sentAt = await rig.withEngine({ work, logFolder }, async (engine) => {
      const report = await rig.load(engine.process, { ...wire.order, prefix });
      await waitFinished(engine, wire.order.count);
      return report.sentAt;
    });
    const starts = new Map(readLog(logFolder, startsByKey).map((row) => [row.key as string, Number(row.result)]));
    await Deno.remove(logFolder, { recursive: true });
    const { p50, p99 } = startsOverWire(
      wire,
      sentAt.map((at, n) => ({ sentAt: at, startedAt: starts.get(`${prefix}${n}`) })),
    );
    return { "latency.wire.p50": wire.p50, [`latency.${work}.p50`]: p50, [`latency.${work}.p99`]: p99 };
  };
}

const ordered: Workload = async (rig) => {
  const { events, hotKeyEvents } = rig.sizes;
  const unordered = await rig.withEngine({ work: "inline" }, (engine) => pass(rig, engine, { events, work: "inline" }));
  return await rig.withEngine({ work: "inline", ordered: true }, async (engine): Promise<Figures> => {
    const lanes = await pass(rig, engine, { events, work: "inline" });
    const hot = await pass(rig, engine, { events: hotKeyEvents, keys: 1, work: "inline" });
    return { "ordered.ofUnordered": lanes.endToEnd / unordered.endToEnd, "hotKey.rate": hot.endToEnd };
  });
};

/** The same load on an empty log and on one that holds a backlog. */
function behindBacklog(backlog: Backlog): Workload {
  let built: Promise<string> | undefined;
  return async (rig) => {
    const logFolder = await (built ??= buildBacklog(rig, backlog));
    const { events } = rig.sizes;
    const run = (folder?: string) =>
      rig.withEngine(
        { ...behind(backlog), logFolder: folder },
        (engine) => pass(rig, engine, { events, work: "inline" }),
      );
    const [empty, full] = [await run(), await run(logFolder)];
    const figures: Figures = {
      [`${backlog}.ingest`]: full.ingest / empty.ingest,
      [`${backlog}.endToEnd`]: full.endToEnd / empty.endToEnd,
    };
    if (backlog === "closed") return figures;
    await using serve = await startServe(logFolder);
    return { ...figures, "start.backlog": serve.readyMs };
  };
}

let slowDisk: Promise<SlowDisk> | undefined;

const slowDiskIngest: Workload = async (rig) => {
  const disk = await (slowDisk ??= buildSlowDisk(rig.folder));
  if (!disk.ok) {
    console.error(`skipped the slow disk: ${disk.reason}`);
    return {};
  }
  const { events } = rig.sizes;
  const run = (env?: Record<string, string>) =>
    rig.withEngine({ work: "paused", env }, (engine) => pass(rig, engine, { events, work: "paused" }));
  const [normal, slow] = [await run(), await run(disk.env)];
  return { "slowDisk.ingest": slow.ingest / normal.ingest };
};

/** `weir serve` itself: how it starts, what it holds, what its log lines cost. */
const serveItself: Workload = async (rig) => {
  const folder = await Deno.makeTempDir({ dir: rig.folder });
  const { events, warmupEvents } = rig.sizes;
  const wire = await rig.measureWire();
  await using serve = await startServe(folder);
  const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  await pause(1);
  const started = serve.residentMB();
  await pause(rig.sizes.idleSeconds);
  const idle = serve.residentMB();
  const server = { hello: { port: serve.port } } as Server;
  const first = await rig.load(server, { count: 1, prefix: "first-" });
  await rig.load(server, { count: warmupEvents });
  const cpuBefore = serve.cpuMs();
  const report = await rig.load(server, { count: events });
  await serve.finished(1 + warmupEvents + events);
  const figures: Figures = {
    "start.empty": serve.readyMs,
    "memory.started": started,
    "memory.idle": idle,
    "memory.after": serve.residentMB(),
    "serve.ingest": rateOf(report) / wire.rate,
    "serve.cpu": (serve.cpuMs() - cpuBefore) / events,
  };
  await serve.stop();
  const [start] = readLog(folder, `${startsByKey} AND e.idem_key = 'first-0'`);
  await Deno.remove(folder, { recursive: true });
  return { ...figures, "start.handler": Number(start!.result) - first.sentAt[0]! };
};

/** Reads a log whose engine has ended. */
function readLog(folder: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(`${folder}/weir.db`, { readOnly: true });
  try {
    return db.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    db.close();
  }
}

/** All of them, by the name that `--only` takes. */
export const workloads: Readonly<Record<string, Workload>> = {
  yardstick: measureYardstick,
  paused: ingestPaused,
  inline: endToEnd("inline"),
  script: endToEnd("script"),
  target: endToEnd("target"),
  "latency-inline": latency("inline"),
  "latency-script": latency("script"),
  ordered,
  "slow-disk": slowDiskIngest,
  serve: serveItself,
  blocked: behindBacklog("blocked"),
  closed: behindBacklog("closed"),
};
