/**
 * What every workload needs: the load generator, the yardstick beside it, and an engine on a log of its own that is
 * checked when it is done.
 */

import { type EngineOrder, routeName } from "./bench_routes.ts";
import type { LoadOrder, LoadReport } from "./load_generator.ts";
import { type MeasuredProcess, startProcess, tickMs } from "./measured_process.ts";

/** How much is sent. */
export interface Sizes {
  readonly pairs: number;
  readonly events: number;
  readonly wireEvents: number;
  readonly warmupEvents: number;
  readonly hotKeyEvents: number;
  readonly latencySeconds: number;
  readonly idleSeconds: number;
  readonly backlogRows: number;
}

/** A measurement that cannot be trusted: not a slow engine, a wrong one, or a broken rig. */
export class BrokenMeasurement extends Error {
  override readonly name = "BrokenMeasurement";
}

/** A server that requests can be sent to. */
export type Server = MeasuredProcess<{ port: number }>;

/** An engine that was warmed up, and what it had done until then. */
export interface WarmEngine {
  readonly process: Server;
  /** Events that it has finished so far, while nothing runs. */
  finished: number;
}

/** The parts that live as long as the benchmark. */
export interface Rig extends AsyncDisposable {
  readonly sizes: Sizes;
  readonly folder: string;
  readonly sinkPort: number;
  readonly wire: Server;
  /** The yardstick that also stores what it has read. */
  readonly durableWire: Server;
  readonly responder: Server;
  /** Sends a run of requests and insists that all were accepted. */
  load(server: Server, order: Partial<LoadOrder>): Promise<WeighedLoad>;
  /** The yardstick, now. */
  measureWire(): Promise<Yardstick>;
  /** Ends the load generator, so that whatever is being measured fails and cleans up on its way out. */
  interrupt(): void;
  /** Runs `use` with a warm engine, then checks that everything it accepted is in its log and that it wrote in FULL. */
  withEngine<Result>(
    order: Omit<EngineOrder, "folder"> & EngineRun,
    use: (engine: WarmEngine) => Promise<Result>,
  ): Promise<Result>;
}

/** A run of requests, and what sending them cost the generator. */
export interface WeighedLoad extends LoadReport {
  readonly generatorCpuMs: number;
}

/** What wire does at the moment: requests per second, and what each costs it. */
export interface Yardstick {
  readonly rate: number;
  readonly cpuMs: number;
}

/** How an engine is run, beyond what it is. */
export interface EngineRun {
  /** An existing log, kept afterwards; default a new one. */
  readonly logFolder?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly warmupEvents?: number;
}

/** Connections of the closed loop. */
export const connections = 64;

/** Distinct ordering keys unless a workload says otherwise. */
export const keys = 1_000;

/** Starts the parts that all workloads share. */
export async function createRig(sizes: Sizes): Promise<Rig> {
  const folder = await Deno.makeTempDir({ prefix: "weir-bench-" });
  const [generator, wire, durableWire, responder, sink] = await Promise.all([
    startProcess<unknown>("load_generator.ts"),
    startProcess<{ port: number }>("wire.ts"),
    startProcess<{ port: number }>("durable_wire.ts", { args: [folder] }),
    startProcess<{ port: number }>("static_responder.ts"),
    startProcess<{ port: number }>("sink.ts"),
  ]);
  let runs = 0;

  async function load(server: Server, order: Partial<LoadOrder>): Promise<WeighedLoad> {
    const full = {
      port: server.hello.port,
      prefix: `r${Date.now()}-${runs++}-`,
      count: sizes.events,
      connections,
      keys,
    };
    await generator.ask({ step: "prepare", ...full, ...order });
    const cpuBefore = generator.cpuMs();
    const report = await generator.ask<LoadReport>({ step: "run", ...full, ...order });
    if (report.refused > 0) throw new BrokenMeasurement(`${report.refused} requests were not accepted`);
    return { ...report, generatorCpuMs: generator.cpuMs() - cpuBefore };
  }

  async function withEngine<Result>(
    { logFolder, env, warmupEvents = sizes.warmupEvents, ...order }: Omit<EngineOrder, "folder"> & EngineRun,
    use: (engine: WarmEngine) => Promise<Result>,
  ): Promise<Result> {
    const own = logFolder ?? await Deno.makeTempDir({ dir: folder });
    const full: EngineOrder = { ...order, folder: own, targetPort: sink.hello.port };
    const process = await startProcess<{ port: number }>("engine.ts", { args: [JSON.stringify(full)], env });
    const engine: WarmEngine = { process, finished: 0 };
    try {
      await load(process, { count: warmupEvents });
      if (order.work !== "paused") await waitFinished(engine, warmupEvents);
      const result = await use(engine);
      await check(process);
      await process.ask({ step: "stop" });
      return result;
    } finally {
      await process.end();
      if (logFolder === undefined) await Deno.remove(own, { recursive: true });
    }
  }

  await load(wire, { count: sizes.wireEvents });
  await load(durableWire, { count: sizes.wireEvents });
  await load(responder, { count: sizes.wireEvents });
  return {
    sizes,
    folder,
    sinkPort: sink.hello.port,
    wire,
    durableWire,
    responder,
    load,
    async measureWire() {
      const cpuBefore = wire.cpuMs();
      const rate = rateOf(await load(wire, { count: sizes.wireEvents }));
      // A run of the short form can take less than the least that the kernel counts.
      return { rate, cpuMs: Math.max(tickMs, wire.cpuMs() - cpuBefore) / sizes.wireEvents };
    },
    interrupt: () => void generator.end(),
    withEngine,
    async [Symbol.asyncDispose]() {
      await Promise.all([generator, wire, durableWire, responder, sink].map((process) => process.end()));
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Requests accepted per second. */
export function rateOf(report: LoadReport): number {
  return report.accepted * 1_000 / (report.endedAt - report.startedAt);
}

/** Waits until the engine has finished `count` more; returns when the last one was. */
export async function waitFinished(engine: WarmEngine, count: number): Promise<number> {
  engine.finished += count;
  const { at } = await engine.process.ask<{ at: number }>({ step: "wait", count: engine.finished });
  return at;
}

async function check(process: Server): Promise<void> {
  const { failed, pragmas } = await process.ask<{
    failed?: string;
    pragmas: { journal_mode: unknown; synchronous: unknown };
  }>({ step: "check" });
  if (failed !== undefined) throw new BrokenMeasurement(`the engine complained during the run: ${failed}`);
  if (pragmas.synchronous !== 2 || pragmas.journal_mode !== "wal") {
    throw new BrokenMeasurement(`the engine did not write with synchronous=FULL in WAL: ${JSON.stringify(pragmas)}`);
  }
}

/** Rows of a log whose engine has ended, read by its idempotency keys. */
export const startsByKey =
  `SELECT e.idem_key AS key, d.result FROM deliveries AS d JOIN events AS e ON e.seq = d.event_seq
   JOIN queues AS q ON q.id = d.queue WHERE q.route = '${routeName}' AND d.state = 'succeeded'`;
