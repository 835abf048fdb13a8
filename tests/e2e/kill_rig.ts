/**
 * Kills an engine under load, round after round, and lets the history say whether it kept its promises. Short in
 * `kill_test.ts`, long in `soak_kill.ts`.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkHistory } from "../support/check_history.ts";
import type { HistoryRecord, HistoryReport } from "../support/history.ts";
import { createRandom } from "../support/seeded_random.ts";
import { type Collector, createCollector } from "./collector.ts";
import { type EngineUnderTest, startEngineUnderTest } from "./engine_under_test.ts";
import { createFlood } from "./flood.ts";
import { findProcesses, readProcess } from "./process_table.ts";
import { type EngineReader, readEngine } from "./engine_reader.ts";

const template = fileURLToPath(new URL("./kill_project/", import.meta.url));
const templateFiles = ["routes.yaml", "plugins/tell.ts", "plugins/work.ts", "plugins/spin.ts"];

/** After how many a delivery is dead, in each of them. */
const attempts = 20;
/** Attempts at once in the three queues of the project: what one crash may repeat. */
const slots = 20 + 10 + 2;
const lanes = 40;
const backlogMax = 300;
/** Longest time from the first 2xx of a round to its kill. */
const lifeMsMax = 1_500;
/** One round in so many has a handler that spins when the kill comes. */
const spinEvery = 4;
/** One round in so many is not over before its engine has begun some work: else only the quick ones would be timed. */
const workEvery = 3;
const watchMs = 50;
/** How long anything may take before the rig gives up. */
const patienceMs = 60_000;

/** What came of it. */
export interface KillReport {
  readonly seed: number;
  readonly rounds: number;
  readonly history: HistoryReport;
  /** How much of the log was read with its bytes and results. */
  readonly sampled: string;
  /** One of each engine. */
  readonly lives: readonly Life[];
  /** How long the longest-lived handler process was seen after its engine was killed. */
  readonly outlivedMs: number;
  /** Processes of handlers that were alive when their engine was killed. */
  readonly orphans: number;
  readonly spinners: number;
  /** Folders that killed engines left in TMPDIR. */
  readonly foldersLeft: number;
  readonly refusals: readonly string[];
  /** Of the last engine, which was stopped and not killed. */
  readonly exitCode: number;
}

/** How soon an engine began to work, and how long it had for it. */
export interface Life {
  /** From the start of its process to the first attempt that it began, if it lived to see one. */
  readonly workMs?: number;
  /** From the start of its process to its kill; the last one is not killed. */
  readonly livedMs: number;
  /** It was not to be killed before it had begun some work, so that its time is nobody's choice. */
  readonly wasWaitedFor: boolean;
}

/** Runs the rig. `say` gets a line now and then. */
export async function runKillRig(
  { rounds, seed, detailsMax, say = () => {} }: {
    rounds: number;
    seed: number;
    detailsMax?: number;
    say?: (line: string) => void;
  },
): Promise<KillReport> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "weir-kill-" }));
  const tmpdir = join(folder, "tmp");
  for (const path of ["project/plugins", "tmp"]) await Deno.mkdir(join(folder, path), { recursive: true });
  for (const file of templateFiles) await Deno.copyFile(join(template, file), join(folder, "project", file));

  const records: HistoryRecord[] = [];
  const killAfter = createRandom(seed);
  const engines: {
    readonly boot: string;
    readonly engine: EngineUnderTest;
    killedAtMs?: number;
    wasWaitedFor?: boolean;
  }[] = [];
  const firstWork = new Map<string, number>();
  let worked = (): void => {};
  const begun = new Map<string, () => void>();
  let spinning: string | undefined;
  let spinners = 0;
  let orphans = 0;
  let outlivedMs = 0;

  // A process whose parent is gone was started by an engine that was killed.
  const bootOf = (parent: number | undefined): string =>
    engines.findLast(({ engine }) => engine.pid === parent)?.boot ??
      engines.findLast(({ killedAtMs }) => killedAtMs !== undefined)?.boot ?? "nobody";

  await using collector: Collector = createCollector({
    records,
    identify: (pid) => readProcess(pid)?.name ?? `${pid}@gone`,
    started({ boot, key }) {
      if (boot !== undefined && !firstWork.has(boot)) {
        firstWork.set(boot, performance.now());
        worked();
      }
      begun.get(key)?.();
    },
    spins: (key) => key === spinning,
  });
  const secret = "a secret that only the rig knows";
  const environment = {
    TMPDIR: tmpdir,
    RIG_HOST: collector.host,
    RIG_SECRET: secret,
    RIG_TARGET_SECRET: `whsec_${btoa("the target's, which is 32 bytes.")}`,
    WEIR_ADMIN_TOKEN: "a-token-that-only-the-rig-has-and-knows",
  };
  const flood = createFlood({
    records,
    random: createRandom(seed + 1),
    secret,
    lanes,
    backlogMax,
    backlog: (acknowledged) => acknowledged - collector.succeeded / 2,
  });

  async function start(): Promise<EngineReader> {
    const boot = `boot-${engines.length}`;
    const engine = startEngineUnderTest(join(folder, "project/routes.yaml"), { ...environment, RIG_BOOT: boot });
    engines.push({ boot, engine });
    const { ingestUrl, adminUrl } = await within(engine.listening, () => `engine ${engine.pid} does not listen`);
    flood.aim(ingestUrl);
    await within(flood.acknowledged(), () => `nothing is acknowledged; the engine said:\n${engine.lastWords()}`);
    return readEngine({ adminUrl, token: environment.WEIR_ADMIN_TOKEN, seed, detailsMax });
  }

  /** Waits until the newest engine has begun something. */
  async function waitForWork(): Promise<void> {
    const newest = engines.at(-1)!;
    newest.wasWaitedFor = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    worked = () => firstWork.has(newest.boot) && resolve();
    worked();
    await within(promise, () => `no work is begun; the engine said:\n${newest.engine.lastWords()}`);
  }

  async function kill(): Promise<void> {
    const last = engines.at(-1)!;
    orphans += findProcesses(tmpdir).filter(({ parent }) => parent === last.engine.pid).length;
    last.killedAtMs = performance.now();
    records.push({ kind: "crash", boot: last.boot, atMs: last.killedAtMs });
    last.engine.kill("SIGKILL");
    flood.aim(undefined);
    spinning = undefined;
    watching = watching.then(watch);
    await last.engine.status;
  }

  /** Records every process of a killed engine for as long as it is seen. */
  async function watch(): Promise<void> {
    for (;;) {
      const living = new Set(engines.map(({ engine }) => engine.pid));
      let left = 0;
      for (const { pid, parent, name } of findProcesses(tmpdir)) {
        const of = engines.find(({ boot }) => boot === bootOf(parent))!;
        if (living.has(pid) || of.killedAtMs === undefined) continue;
        const atMs = performance.now();
        records.push({ kind: "alive", proc: name, boot: of.boot, atMs });
        outlivedMs = Math.max(outlivedMs, atMs - of.killedAtMs);
        left++;
      }
      if (left === 0 || gaveUp) return;
      await new Promise((resolve) => setTimeout(resolve, watchMs));
    }
  }
  let watching = Promise.resolve();
  let gaveUp = false;

  try {
    for (let round = 1; round <= rounds; round++) {
      const reader = await start();
      if (round % spinEvery === 0) {
        spinners++;
        const key = spinning = flood.sendSpinner();
        await within(
          new Promise<void>((resolve) => begun.set(key, resolve)),
          () => `spinner ${key} never began; the engine said:\n${engines.at(-1)!.engine.lastWords()}`,
        );
      }
      const lifeMs = killAfter.below(lifeMsMax);
      if (round % workEvery === 0) await waitForWork();
      await new Promise((resolve) => setTimeout(resolve, lifeMs / 2));
      records.push(...await reader.finishedDeliveries());
      await new Promise((resolve) => setTimeout(resolve, lifeMs / 2));
      await kill();
      if (round % 10 === 0) say(`round ${round}: ${records.length} records, ${collector.succeeded} runs succeeded`);
    }
    const reader = await start();
    await waitForWork();
    await within(flood.finish(), () => "some requests are never acknowledged");
    await reader.rest(patienceMs);
    records.push({ kind: "final" });
    for (const record of await reader.everything()) records.push(record);
    await watching;
    const last = engines.at(-1)!.engine;
    last.kill("SIGTERM");
    const { code } = await within(last.status, () => `the engine does not stop:\n${last.lastWords()}`);
    return {
      seed,
      rounds,
      history: checkHistory(records, { slots, attempts: () => attempts }),
      sampled: reader.sampled,
      lives: engines.map(({ boot, engine, killedAtMs, wasWaitedFor = false }) => {
        const workAt = firstWork.get(boot);
        return {
          workMs: workAt === undefined ? undefined : workAt - engine.spawnedAtMs,
          livedMs: (killedAtMs ?? Infinity) - engine.spawnedAtMs,
          wasWaitedFor,
        };
      }),
      outlivedMs,
      orphans,
      spinners,
      foldersLeft: [...Deno.readDirSync(tmpdir)].length,
      refusals: flood.refusals,
      exitCode: code,
    };
  } finally {
    gaveUp = true;
    await flood.stop();
    for (const { engine } of engines) {
      try {
        engine.kill("SIGKILL");
      } catch {
        // Killed or stopped before.
      }
      await engine.status;
    }
    await watching;
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Everything that was wrong.
 *
 * @param resumeMsMax how soon an engine must work: also one that was killed later than that without having begun
 */
export function findFaults(report: KillReport, { resumeMsMax }: { resumeMsMax: number }): string[] {
  const { history, lives } = report;
  const late = lives.filter(({ workMs, livedMs }) => Math.min(workMs ?? livedMs, livedMs) > resumeMsMax);
  const faults: (readonly [boolean, string])[] = [
    [history.anomalies.length > 0, `${history.anomalies.length} anomalies`],
    [report.refusals.length > 0, `${report.refusals.length} refusals`],
    [report.exitCode !== 0, `exit code ${report.exitCode}`],
    [history.crashes < report.rounds, `${history.crashes} kills of ${report.rounds}`],
    [!lives.some(({ wasWaitedFor }) => wasWaitedFor), "no engine was waited for until it worked"],
    [late.length > 0, `${late.length} engines had begun no work after ${resumeMsMax} ms`],
  ];
  return faults.flatMap(([isSo, words]) => isSo ? words : []);
}

/** One line with all figures. */
export function summarize(report: KillReport): string {
  const { history, lives } = report;
  const waitedFor = lives.filter(({ wasWaitedFor }) => wasWaitedFor);
  const idle = lives.filter(({ workMs }) => workMs === undefined);
  const sorted = waitedFor.map(({ workMs }) => workMs ?? Infinity).sort((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? NaN);
  const found = Map.groupBy(history.anomalies, ({ name }) => name);
  const count = (name: typeof history.anomalies[number]["name"]) => found.get(name)?.length ?? 0;
  return [
    `kill rig: seed ${report.seed}, ${report.rounds} kills`,
    `${history.acknowledged} requests acknowledged (${history.duplicateReplies} as duplicates), ` +
    `${history.unknown} unanswered, ${history.events} events`,
    `${history.runs} attempts: ${history.failed} failed, ${history.cutOff} cut off, ` +
    `${history.repeated} repeated (at most ${history.repeatedMax})`,
    `LOST ${count("LOST")}, DUP-ROW ${count("DUP-ROW")}, REORDER ${count("REORDER")}, OVERLAP ${count("OVERLAP")}, ` +
    `RERUN ${count("RERUN")}, INVENTED ${count("INVENTED")}, TORN ${count("TORN")}, ZOMBIE ${count("ZOMBIE")}, ` +
    `STUCK ${count("STUCK")}, WRONG-LANE ${count("WRONG-LANE")}, EARLY-DEAD ${count("EARLY-DEAD")}`,
    `start to first work: median ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${
      at(1)
    } ms of the ${sorted.length} that were ` +
    `waited for; most of all ${Math.round(Math.max(...lives.map(({ workMs = 0 }) => workMs)))} ms; ${idle.length} of ` +
    `${lives.length} were killed without any, after at most ${
      Math.round(Math.max(0, ...idle.map(({ livedMs }) => livedMs)))
    } ms`,
    `${report.orphans} handler processes orphaned (${report.spinners} spinning), gone within ` +
    `${Math.round(report.outlivedMs)} ms`,
    `read whole: ${report.sampled}`,
    `${report.foldersLeft} folders left, exit code ${report.exitCode}`,
  ].join("; ");
}

/** The promise, or an error that says what it was waited for. */
async function within<Value>(promise: Promise<Value>, what: () => string): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms in vain: ${what()}`)), patienceMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
