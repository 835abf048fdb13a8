/**
 * One log under a flood of signed requests, any number of engines on it, and the history of all that was seen of them.
 * What goes wrong in between is the caller's part.
 */

import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkHistory } from "../../support/check_history.ts";
import type { EndRecord, HistoryLimits, HistoryRecord, HistoryReport, StartRecord } from "../../support/history.ts";
import { createRandom } from "../../support/seeded_random.ts";
import { createCollector } from "../collector.ts";
import { type EngineReader, readEngine } from "../engine_reader.ts";
import { type EngineUnderTest, startEngineUnderTest } from "../engine_under_test.ts";
import { createFlood } from "../flood.ts";
import { findProcesses, readProcess } from "../process_table.ts";

/** How many attempts the project lets each of its queues run at once, over all engines. */
export const concurrency: Readonly<Record<string, number>> = { "work": 30, "mirror/rig": 20 };

const ownProject: FloodedProject = {
  routesFile: fileURLToPath(new URL("./routes.yaml", import.meta.url)),
  pluginFiles: ["../kill_project/plugins/tell.ts", "./plugins/work.ts"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url))),
  slots: Object.values(concurrency).reduce((sum, each) => sum + each, 0),
  attempts: () => 20,
};

const watchMs = 50;

/** How long anything may take before the rig gives up: a takeover on a busy machine, and then some. */
const patienceMs = 120_000;

/** What a process reads from its environment. */
export type Environment = Readonly<Record<string, string>>;

/** An engine that listens. */
export interface LiveEngine {
  readonly boot: string;
  readonly process: EngineUnderTest;
  readonly ingestUrl: string;
  readonly adminUrl: string;
  readonly reader: EngineReader;
}

/** Options of {@link floodLog}. */
export interface FloodedLogOptions {
  readonly seed: number;
  /** `storage.url`; without it a file in the rig's folder. */
  readonly url?: string;
  readonly lanes?: number;
  /** Events that may wait for their work before new ones are held back. */
  readonly backlogMax?: number;
  /** How many do wait; by default as many as no success was seen of. */
  readonly backlog?: () => number;
  /** Another project than the one beside this file, with the attempts that it lets run at once. */
  readonly project?: FloodedProject;
  /** How many events and results {@link FloodedLog.finish} reads whole. */
  readonly detailsMax?: number;
  /** Hears of the beginning and the end of every attempt, before whoever reports it is answered. */
  readonly heard?: (record: StartRecord | EndRecord) => void;
}

/** What runs on the log, and what the checker must know of it. */
export interface FloodedProject
  extends Pick<HistoryLimits, "slots" | "attempts">, Partial<Pick<HistoryLimits, "ordering" | "hasOperator">> {
  readonly routesFile: string;
  readonly pluginFiles: readonly string[];
}

/** The log, its flood and its history. */
export interface FloodedLog extends AsyncDisposable {
  /** Holds `project/routes.yaml`, and `project/weir.db` if the log is a file. */
  readonly folder: string;
  readonly routesFile: string;
  readonly records: HistoryRecord[];
  /** What an engine of this log reads from its environment. */
  readonly environment: Environment;
  readonly engines: readonly LiveEngine[];
  /** Answers that a sound engine does not give. */
  readonly refusals: readonly string[];
  /** Starts an engine, in its own way if one is given; the flood goes to it too. */
  start(
    environment?: Environment,
    launch?: (routesFile: string, own: Environment) => EngineUnderTest,
  ): Promise<LiveEngine>;
  /** SIGKILL. */
  kill(engine: LiveEngine): Promise<void>;
  /** Waits for an engine that is about to end by itself; returns its exit code. */
  ended(engine: LiveEngine): Promise<number>;
  /** Requests answered 2xx until now. */
  acknowledged(): number;
  /** Waits until so many more requests are answered 2xx. */
  flow(count: number): Promise<void>;
  /** Waits until so many attempts more have ended well. */
  progress(count: number): Promise<void>;
  /** Looks in passing at what is finished. */
  look(): Promise<void>;
  /** Stops the flood when all of it is acknowledged, waits until all is done, and reads everything. */
  finish(): Promise<HistoryReport>;
  /** How much of the log {@link finish} read with its bytes and results. */
  readonly sampled: string;
  /** SIGTERM to all engines; returns their exit codes. */
  stop(): Promise<number[]>;
}

/** Makes the rig; no engine runs yet. */
export async function floodLog(options: FloodedLogOptions): Promise<FloodedLog> {
  const { seed, lanes = 60, backlogMax = 300, project = ownProject } = options;
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "weir-flood-" }));
  const tmpdir = join(folder, "tmp");
  for (const path of ["project/plugins", "tmp"]) await Deno.mkdir(join(folder, path), { recursive: true });
  await Deno.copyFile(project.routesFile, join(folder, "project/routes.yaml"));
  for (const file of project.pluginFiles) await Deno.copyFile(file, join(folder, "project/plugins", basename(file)));

  const records: HistoryRecord[] = [];
  let living: LiveEngine[] = [];
  const everStarted: { readonly boot: string; readonly process: EngineUnderTest }[] = [];
  const killedAt = new Map<string, number>();
  const bootOfProcess = new Map<string, string>();

  const collector = createCollector({
    records,
    identify(pid) {
      return readProcess(pid)?.name ?? `${pid}@gone`;
    },
    started(start) {
      const { boot, proc } = start;
      if (boot !== undefined && proc !== undefined) bootOfProcess.set(proc, boot);
      options.heard?.(start);
    },
    ended: options.heard,
    spins: () => false,
  });
  const environment = {
    TMPDIR: tmpdir,
    RIG_LOG: options.url ?? "file:weir.db",
    RIG_LISTEN: "127.0.0.1:0",
    RIG_ADMIN: "127.0.0.1:0",
    RIG_HOST: collector.host,
    RIG_SECRET: "a secret that only the rig knows",
    RIG_TARGET_SECRET: `whsec_${btoa("the target's, which is 32 bytes.")}`,
    WEIR_ADMIN_TOKEN: "a-token-that-only-the-rig-has-and-knows",
  };
  const flood = createFlood({
    records,
    random: createRandom(seed + 1),
    secret: environment.RIG_SECRET,
    lanes,
    backlogMax,
    backlog: options.backlog ?? ((acknowledged) => acknowledged - collector.succeeded / 2),
  });
  let acknowledged = 0;
  let counted = 0;
  let gaveUp = false;
  let sampled = "nothing";
  let watching: Promise<void> = Promise.resolve();

  function countAcknowledged(): number {
    for (; counted < records.length; counted++) {
      const record = records[counted]!;
      if (record.kind === "ingest" && record.step === "ok") acknowledged++;
    }
    return acknowledged;
  }

  const aim = (): void => flood.aim(living.map(({ ingestUrl }) => ingestUrl));
  const lastWords = (): string => everStarted.map(({ boot, process }) => `${boot}:\n${process.lastWords()}`).join("\n");

  /** Waits for a fact about the flood. */
  async function waitFor(fact: string, isSo: () => boolean): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!isSo()) {
      if (performance.now() > deadline) {
        throw new Error(`waited ${patienceMs} ms in vain: ${fact}; engines said\n${lastWords()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  function noteEnd({ boot }: { boot: string }): void {
    const atMs = performance.now();
    killedAt.set(boot, atMs);
    records.push({ kind: "crash", boot, atMs });
    living = living.filter((engine) => engine.boot !== boot);
    aim();
    watching = watching.then(watchOrphans);
  }

  /** Records every handler's process whose engine is gone, for as long as it is seen. */
  async function watchOrphans(): Promise<void> {
    const pids = new Set(everStarted.map(({ process }) => process.pid));
    for (;;) {
      let left = 0;
      for (const { pid, parent, name } of findProcesses(tmpdir)) {
        const boot = bootOfProcess.get(name);
        if (pids.has(pid) || boot === undefined || !killedAt.has(boot)) continue;
        if (living.some(({ process }) => process.pid === parent)) continue;
        records.push({ kind: "alive", proc: name, boot, atMs: performance.now() });
        left++;
      }
      if (left === 0 || gaveUp) return;
      await new Promise((resolve) => setTimeout(resolve, watchMs));
    }
  }

  const log: FloodedLog = {
    folder,
    routesFile: join(folder, "project/routes.yaml"),
    records,
    environment,
    refusals: flood.refusals,
    get engines() {
      return living;
    },
    async start(more = {}, launch = startEngineUnderTest) {
      const boot = `boot-${everStarted.length}`;
      const process = launch(log.routesFile, { ...environment, RIG_BOOT: boot, ...more });
      everStarted.push({ boot, process });
      const urls = await process.listening.catch(async (error) => {
        // What kills it so early leaves work behind that it had begun; one that gave up had begun none.
        if ((await process.status).signal === "SIGKILL") noteEnd({ boot });
        throw error;
      });
      const engine = {
        boot,
        process,
        ...urls,
        reader: readEngine({
          adminUrl: urls.adminUrl,
          token: environment.WEIR_ADMIN_TOKEN,
          seed,
          detailsMax: options.detailsMax,
        }),
      };
      living = [...living, engine];
      aim();
      return engine;
    },
    async kill(engine) {
      engine.process.kill("SIGKILL");
      await engine.process.status;
      noteEnd(engine);
    },
    async ended(engine) {
      const { code } = await engine.process.status;
      noteEnd(engine);
      return code;
    },
    acknowledged: countAcknowledged,
    async flow(count) {
      const goal = countAcknowledged() + count;
      await waitFor(`${count} requests more are acknowledged`, () => countAcknowledged() >= goal);
    },
    async progress(count) {
      const goal = collector.succeeded + count;
      await waitFor(`${count} attempts more end well`, () => collector.succeeded >= goal);
    },
    async look() {
      const [engine] = living;
      if (engine !== undefined) records.push(...await engine.reader.finishedDeliveries());
    },
    get sampled() {
      return sampled;
    },
    async finish() {
      let finished = false;
      const finishing = flood.finish().then(() => finished = true);
      await waitFor("every request is acknowledged", () => finished);
      await finishing;
      await living[0]!.reader.rest(patienceMs);
      records.push({ kind: "final" });
      // One by one: a spread of so many arguments would not fit the stack.
      for (const record of await living[0]!.reader.everything()) records.push(record);
      sampled = living[0]!.reader.sampled;
      await watching;
      return checkHistory(records, project);
    },
    async stop() {
      const stopping = living;
      living = [];
      flood.aim(undefined);
      for (const { process } of stopping) process.kill("SIGTERM");
      return await Promise.all(stopping.map(async ({ process }) => (await process.status).code));
    },
    async [Symbol.asyncDispose]() {
      gaveUp = true;
      await flood.stop();
      for (const { process } of everStarted) {
        try {
          process.kill("SIGKILL");
        } catch {
          // It has ended before.
        }
        await process.status;
      }
      await watching;
      await collector[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return log;
}

/** The most attempts of a queue that were seen at the same time, over all engines. */
export function mostAtOnce(records: readonly HistoryRecord[], queue: string): number {
  const open = new Map<string, string | undefined>();
  let most = 0;
  for (const record of records) {
    if (record.kind === "start" && record.queue === queue) {
      open.set(record.run, record.boot);
      most = Math.max(most, open.size);
    } else if (record.kind === "end") open.delete(record.run);
    else if (record.kind === "crash") {
      for (const [run, boot] of open) if (boot === record.boot) open.delete(run);
    }
  }
  return most;
}
