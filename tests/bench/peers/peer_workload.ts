/**
 * What is measured of a peer, and how it is known to be true: each has a server of its own for every run, and its own
 * store is asked afterwards whether all is finished.
 */

import type { Figures } from "../figures.ts";
import { startProcess } from "../measured_process.ts";
import { BrokenMeasurement, type Rig, waitFinished, type WarmEngine } from "../rig.ts";
import { measureSteadyWire, startsOverWire } from "../steady_load.ts";
import { pass, type Workload } from "../workloads.ts";
import type { FrontCheck } from "./front.ts";
import { packageFlags } from "./package_flags.ts";
import type { ServerProcess } from "./server_process.ts";

/** One way to run a peer. */
export interface Peer {
  /** Begins the names of its figures. */
  readonly name: string;
  /** The program in front of it, by its place in the folder of the benchmark. */
  readonly front: string;
  /** Flags of `deno run` that it needs. */
  readonly frontFlags?: readonly string[];
  /** What the running server must say of its settings; without it, they are what it comes with. */
  readonly durability?: string;
  /** Starts its server on an empty folder. */
  start(folder: string): Promise<ServerProcess & { readonly frontArgs: readonly string[] }>;
}

/** The measurements of one peer, beside the yardstick. */
export function measurePeer(peer: Peer): Workload {
  return async (rig) => {
    const steadyWire = await measureSteadyWire(rig);
    const wire = await rig.measureWire();
    return await withPeer(rig, peer, async (engine): Promise<Figures> => {
      const { p50, p99 } = await measureStarts(rig, engine, steadyWire);
      const passage = await pass(rig, engine, { events: rig.sizes.events, work: "inline" });
      return {
        "latency.wire.p50": steadyWire.p50,
        [`${peer.name}.ingest`]: passage.ingest / wire.rate,
        [`${peer.name}.finishedMeanwhile`]: passage.finishedMeanwhile,
        [`${peer.name}.endToEnd`]: passage.endToEnd / wire.rate,
        [`${peer.name}.cpu`]: passage.cpuMs,
        [`${peer.name}.cpuOfWire`]: passage.cpuMs / wire.cpuMs,
        [`${peer.name}.p50`]: p50,
        [`${peer.name}.p99`]: p99,
      };
    });
  };
}

async function measureStarts(
  rig: Rig,
  engine: WarmEngine,
  wire: Awaited<ReturnType<typeof measureSteadyWire>>,
): Promise<{ p50: number; p99: number }> {
  const prefix = `latency-${Date.now()}-`;
  const { sentAt } = await rig.load(engine.process, { ...wire.order, prefix });
  await waitFinished(engine, wire.order.count);
  const { starts } = await engine.process.ask<{ starts: [string, number][] }>({ step: "starts", prefix });
  const startedAt = new Map(starts);
  return startsOverWire(wire, sentAt.map((at, n) => ({ sentAt: at, startedAt: startedAt.get(`${prefix}${n}`) })));
}

/** Runs `use` with a warm peer, then checks that it finished each event that it accepted, once. */
async function withPeer<Result>(
  rig: Rig,
  peer: Peer,
  use: (engine: WarmEngine) => Promise<Result>,
): Promise<Result> {
  await Deno.chmod(rig.folder, 0o711); // a server that runs as another user has to get through to its own folder
  const folder = await Deno.makeTempDir({ dir: rig.folder });
  const { frontArgs, ...server } = await peer.start(folder);
  try {
    const flags = [...packageFlags, ...peer.frontFlags ?? []];
    const front = await startProcess<{ port: number }>(peer.front, { args: frontArgs, flags });
    try {
      const process = { ...front, cpuMs: () => front.cpuMs() + server.cpuMs() };
      const engine: WarmEngine = { process, finished: 0 };
      await rig.load(process, { count: rig.sizes.warmupEvents });
      await waitFinished(engine, rig.sizes.warmupEvents);
      const result = await use(engine);
      await check(engine, peer);
      return result;
    } finally {
      await front.end();
    }
  } finally {
    await server.end();
    await Deno.remove(folder, { recursive: true });
  }
}

async function check({ process, finished }: WarmEngine, { name, durability }: Peer): Promise<void> {
  const ask = () => process.ask<FrontCheck>({ step: "check" });
  let found = await ask();
  const giveUpAt = Date.now() + settleMsMax;
  while (found.unfinished > 0 && Date.now() < giveUpAt) found = await ask();
  const { failed, unfinished, handled, distinct } = found;
  if (failed !== undefined) throw new BrokenMeasurement(`${name} complained during the run: ${failed}`);
  if (unfinished > 0) throw new BrokenMeasurement(`${name} still has ${unfinished} events that are not finished`);
  if (handled !== finished || distinct !== finished) {
    throw new BrokenMeasurement(
      `${name} accepted ${finished} events and ran ${handled} handlers for ${distinct} of them`,
    );
  }
  if (durability !== undefined && durability !== found.durability) {
    throw new BrokenMeasurement(`${name} ran with ${found.durability}, expected ${durability}`);
  }
}

/** How long a store may take to write down that the last handlers are done. */
const settleMsMax = 10_000;
