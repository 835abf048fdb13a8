/**
 * An engine that dies at a named place, again and again and everywhere, under load and with an operator at work. Short in
 * `points_test.ts`, long in `soak_kill.ts`.
 *
 * The places are those of the simulation. An engine on a file never beats, because its lock says that it lives; so these
 * two are tried on a server, where a second engine takes over what the first one leaves. And only against a handler that
 * runs in the engine itself its death is counted beforehand; so these two are tried with a program that has one.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EndRecord, HistoryReport, StartRecord } from "../../support/history.ts";
import { createRandom, type SeededRandom } from "../../support/seeded_random.ts";
import { startSqld } from "../../support/sqld.ts";
import { addCrashes, type CrashCounts, type CrashPoint, crashPointNames } from "../../simulation/crash_points.ts";
import { type EngineUnderTest, startEngineUnderTest } from "../engine_under_test.ts";
import { type FloodedLog, floodLog, type LiveEngine } from "../many_engines/flooded_log.ts";
import { startCuttingProxy } from "../many_engines/cutting_proxy.ts";
import { watchServer } from "../many_engines/server_watch.ts";
import { createImportMap } from "./import_map.ts";
import { type ActionCounts, actionNames, countActions, createOperator, type Doors, type Operator } from "./operator.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const project = {
  routesFile: here("./routes.yaml"),
  pluginFiles: ["../kill_project/plugins/tell.ts", "../kill_project/plugins/work.ts"].map(here),
  slots: 20 + 10,
  attempts: (queue: string) => queue === "work" ? 3 : 20,
  hasOperator: true,
};
const inlineProject = { ...project, routesFile: here("./inline_routes.yaml") };
const inlineEngine = here("./inline_engine.ts");

/** How long an engine may take to come to its place; one that does not is killed where it is. */
const lifeMsMax = 30_000;
const lifeOnServerMsMax = 90_000;

/** Longest time under load before an engine is told to stop. */
const stopAfterMsMax = 1_500;

/** How often a death that did not come is tried again. */
const triesMax = 3;

/** The places that only an engine on a server comes to. */
export const pointsOnServer: readonly CrashPoint[] = crashPointNames.filter(isOnServer);

/** Where the places are tried, and how often each before the log is read through and a new one begun. */
const grounds: readonly { readonly perLog: number; readonly isOwn: (point: CrashPoint) => boolean }[] = [
  { perLog: 2, isOwn: (point) => !isOnServer(point) && !isInline(point) },
  { perLog: 10, isOwn: isInline },
  { perLog: 10, isOwn: isOnServer },
];

/** Options of {@link runPointsRig}. */
export interface PointsRigOptions {
  readonly points: readonly CrashPoint[];
  /** How often an engine is to die at each of them. */
  readonly times: number;
  readonly seed: number;
  /** The `sqld` binary, if any of the points needs it. */
  readonly sqld?: string;
  /** Gets a line now and then. */
  readonly say?: (line: string) => void;
}

/** What came of it. */
export interface PointsReport {
  readonly seed: number;
  /** How often an engine died at each place. */
  readonly reached: CrashCounts;
  /** How often it was killed elsewhere because it did not come there in time. */
  readonly missed: CrashCounts;
  /** One per log. */
  readonly histories: readonly HistoryReport[];
  /** Words to the operator that were not kept. */
  readonly broken: readonly string[];
  /** What the operator did that was confirmed. */
  readonly confirmed: Readonly<ActionCounts>;
  readonly refusals: readonly string[];
  /** Of the engines that were stopped and not killed, one or two per log. */
  readonly exitCodes: readonly number[];
  /** How often a server took no writes although nobody was connected, and was started again. */
  readonly serverStuck: number;
}

/** A place, and which time an engine dies there. */
interface Death {
  readonly point: CrashPoint;
  readonly pass: number;
}

/** What is being collected over all logs. */
interface Tally {
  readonly reached: CrashCounts;
  readonly missed: CrashCounts;
  readonly histories: HistoryReport[];
  readonly broken: string[];
  readonly refusals: string[];
  readonly exitCodes: number[];
  readonly confirmed: ActionCounts;
  serverStuck: number;
}

/** Runs the rig. */
export async function runPointsRig(options: PointsRigOptions): Promise<PointsReport> {
  const { seed, times, say = () => {} } = options;
  const random = createRandom(seed);
  const tally: Tally = {
    reached: {},
    missed: {},
    histories: [],
    broken: [],
    refusals: [],
    exitCodes: [],
    confirmed: countActions(),
    serverStuck: 0,
  };
  for (const { perLog, isOwn } of grounds) {
    const wanted = options.points.filter(isOwn);
    const left = () =>
      wanted.flatMap((point) => {
        const [reached, missed] = [tally.reached[point] ?? 0, tally.missed[point] ?? 0];
        const count = reached + missed < times * triesMax ? Math.min(perLog, times - reached) : 0;
        return Array.from({ length: count }, () => ({ point, pass: choosePass(point, random) }));
      });
    for (let deaths = left(); deaths.length > 0; deaths = left()) {
      await useLog(shuffle(deaths, random), { ...options, random }, tally);
      const anomalies = tally.histories.reduce((sum, history) => sum + history.anomalies.length, 0);
      say(
        `${tally.histories.length} logs, ${anomalies} anomalies, ${tally.broken.length} words not kept; ` +
          `reached: ${describeCounts(tally.reached)}`,
      );
    }
  }
  return { seed, ...tally };
}

/** One log from its making to its final read, through all these deaths. */
async function useLog(
  deaths: readonly Death[],
  { random, sqld, say = () => {} }: PointsRigOptions & { random: SeededRandom },
  tally: Tally,
): Promise<void> {
  const onServer = deaths.some(({ point }) => isOnServer(point));
  await using server = onServer ? await startSqld(sqld!) : undefined;
  await using proxy = server && startCuttingProxy(server.url, random);
  await using watch = server && watchServer(server, proxy!);
  const trap = createTrap();
  await using log = await floodLog({
    seed: random.below(2 ** 31),
    url: proxy?.url,
    lanes: 40,
    backlog: () => operator.open / 2,
    project: deaths.some(({ point }) => isInline(point)) ? inlineProject : project,
    heard: trap.hear,
  });
  const operator = createOperator({ records: log.records, random, routesFile: log.routesFile });
  const importMap = join(log.folder, "import_map.json");
  await Deno.writeTextFile(importMap, createImportMap());

  if (onServer) await log.start();
  const own = { log, operator, trap, importMap, random, say, broken: tally.broken };
  for (const death of deaths) {
    if (isInline(death.point)) await leaveSuspects(own);
    const died = await die(own, death);
    addCrashes(died ? tally.reached : tally.missed, { [death.point]: 1 });
  }
  const last = onServer ? log.engines[0]! : await log.start({}, launch(deaths[0]!));
  const ending = new AbortController();
  const releasing = operator.release(doorsOf(last, log), { until: ending.signal });
  try {
    tally.histories.push(await log.finish());
  } finally {
    ending.abort();
    await releasing;
  }
  tally.broken.push(...operator.judge());
  if (watch !== undefined && watch.held > 0) {
    tally.broken.push(`engines kept the server from writes ${watch.held} times`);
  }
  tally.serverStuck += watch?.stuck ?? 0;
  tally.refusals.push(...log.refusals);
  for (const name of actionNames) tally.confirmed[name] += operator.confirmed[name];
  tally.exitCodes.push(...await log.stop());
}

/** What one log's deaths have in common. */
interface Ground {
  readonly log: FloodedLog;
  readonly operator: Operator;
  readonly trap: Trap;
  readonly importMap: string;
  readonly random: SeededRandom;
  readonly say: (line: string) => void;
  readonly broken: string[];
}

/** How the engine of a death is started. */
function launch({ point }: Pick<Death, "point">, { importMap }: { importMap?: string } = {}): Launch {
  const program = isInline(point) ? inlineEngine : undefined;
  return (routesFile, environment) => startEngineUnderTest(routesFile, environment, { importMap, program });
}

type Launch = (routesFile: string, environment: Readonly<Record<string, string>>) => EngineUnderTest;

/** An engine dies while its own handler runs: what ran then may have been the cause, and the next engine looks for it. */
async function leaveSuspects(ground: Ground): Promise<void> {
  const death: Death = { point: "runner started", pass: 20 + ground.random.below(40) };
  await die(ground, death, launch({ point: "count death before commit" }));
}

/** Starts an engine and waits for its death. Returns whether it died where it was to. */
async function die(ground: Ground, death: Death, how?: Launch): Promise<boolean> {
  const { log, operator, trap, importMap, random, say, broken } = ground;
  const { point, pass } = death;
  const start = how ?? launch(death, { importMap });
  let child: EngineUnderTest | undefined;
  const order = { RIG_CRASH_POINT: point, RIG_CRASH_PASS: `${pass}` };
  let engine: LiveEngine;
  try {
    engine = await log.start(order, (routesFile, environment) => {
      child = start(routesFile, environment);
      trap.set({ point, pass }, { boot: environment.RIG_BOOT!, kill: () => send(child!, "SIGKILL") });
      return child;
    });
  } catch (error) {
    if ((await child?.status)?.signal === "SIGKILL") return true; // it came there before it listened
    throw error;
  }

  const acknowledged = log.acknowledged();
  const ending = new AbortController();
  const favourite = actionNames.find((name) => point.startsWith(name));
  const attending = operator.attend(doorsOf(engine, log), { favourite, until: ending.signal });
  const lifeMs = isOnServer(point) ? lifeOnServerMsMax : lifeMsMax;
  let late = false;
  const timers = [setTimeout(() => late = send(engine.process, "SIGKILL"), lifeMs)];
  if (point === "while stopping") {
    timers.push(setTimeout(() => send(engine.process, "SIGTERM"), random.below(stopAfterMsMax)));
  }
  await log.look().catch(() => {}); // it has died already
  await log.ended(engine);
  for (const timer of timers) clearTimeout(timer);
  ending.abort();
  await attending;
  const { signal, code } = await engine.process.status;
  if (signal !== "SIGKILL") {
    broken.push(`on its way to ${point} the engine ended (${signal ?? code}):\n${engine.process.lastWords()}`);
    return false;
  }
  if (late && log.acknowledged() === acknowledged) {
    throw new Error(`in ${lifeMs} ms the engine took nothing:\n${engine.process.lastWords()}`);
  }
  if (late) {
    const figures = `${log.acknowledged() - acknowledged} requests acknowledged; ${operator.seen}`;
    say(`${point}: not for the ${pass}. time within ${lifeMs} ms (${figures})`);
  }
  return !late;
}

/** Returns whether it was still there to get it. */
function send(child: EngineUnderTest, signal: "SIGKILL" | "SIGTERM"): boolean {
  try {
    child.kill(signal);
    return true;
  } catch {
    return false;
  }
}

/** Kills an engine from the outside while whoever reports to the rig waits for an answer: it cannot go on meanwhile. */
interface Trap {
  /** Where it is to die, if it is one of these places. */
  set(death: Death, engine: { boot: string; kill(): void }): void;
  readonly hear: (record: StartRecord | EndRecord) => void;
}

const heardAs: Readonly<Record<string, CrashPoint>> = { start: "runner started", end: "effect done" };

function createTrap(): Trap {
  const bootOf = new Map<string, string | undefined>();
  let armed: { point: CrashPoint; left: number; boot: string; kill(): void } | undefined;
  return {
    set({ point, pass }, { boot, kill }) {
      bootOf.clear();
      armed = { point, left: pass, boot, kill };
    },
    hear(record) {
      if (record.kind === "start") bootOf.set(record.run, record.boot);
      if (armed === undefined || bootOf.get(record.run) !== armed.boot || heardAs[record.kind] !== armed.point) return;
      if (--armed.left > 0) return;
      armed.kill();
      armed = undefined;
    },
  };
}

function isOnServer(point: CrashPoint): boolean {
  return point.startsWith("beat");
}

function isInline(point: CrashPoint): boolean {
  return point.startsWith("count death");
}

/** What happens all the time is let happen for a while; what an operator brings about is not waited for as long. */
function choosePass(point: CrashPoint, random: SeededRandom): number {
  if (point.startsWith("recover")) return 1; // once in a life
  if (point === "while stopping") return 1 + random.below(12);
  if (/^(?:reload \w+ commit|beat)/.test(point)) return 2 + random.below(2); // the first is at the start
  return 1 + random.below(/^(?:append|claim|settle|runner|effect)/.test(point) ? 60 : 3);
}

function shuffle<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  return items.map((item) => ({ item, at: random.next() })).sort((a, b) => a.at - b.at).map(({ item }) => item);
}

function doorsOf({ adminUrl, ingestUrl }: LiveEngine, { environment }: FloodedLog): Doors {
  return { adminUrl, ingestUrl, token: environment.WEIR_ADMIN_TOKEN!, secret: environment.RIG_SECRET! };
}

/** Whether nothing at all was wrong. */
export function isSound(report: PointsReport): boolean {
  return report.histories.every(({ anomalies }) => anomalies.length === 0) && report.broken.length === 0 &&
    report.refusals.length === 0 && report.exitCodes.every((code) => code === 0);
}

/** All figures in a few lines. */
export function summarize(report: PointsReport): string {
  const { histories } = report;
  const sum = (figure: (history: HistoryReport) => number) =>
    histories.reduce((total, history) => total + figure(history), 0);
  const most = Math.max(...histories.map(({ repeatedMost }) => repeatedMost));
  const anomalies = Map.groupBy(histories.flatMap((history) => history.anomalies), ({ name }) => name);
  const deaths = Object.values(report.reached).reduce((total, count) => total + count, 0);
  return [
    `crash points: seed ${report.seed}, ${deaths} deaths at ${Object.keys(report.reached).length} places, ` +
    `${histories.length} logs`,
    `reached: ${describeCounts(report.reached)}`,
    `missed: ${describeCounts(report.missed) || "none"}`,
    `${sum(({ acknowledged }) => acknowledged)} requests acknowledged ` +
    `(${sum(({ duplicateReplies }) => duplicateReplies)} as duplicates), ${
      sum(({ unknown }) => unknown)
    } unanswered, ` +
    `${sum(({ events }) => events)} events`,
    `${sum(({ runs }) => runs)} attempts: ${sum(({ failed }) => failed)} failed, ${
      sum(({ cutOff }) => cutOff)
    } cut off, ` +
    `${sum(({ repeated }) => repeated)} repeated, at most ${most} after one death (${project.slots} slots)`,
    `confirmed to the operator: ${describeCounts(report.confirmed)}`,
    `anomalies: ${[...anomalies].map(([name, all]) => `${name} ${all.length}`).join(", ") || "none"}; ` +
    `words not kept: ${report.broken.length}; refusals: ${report.refusals.length}; ` +
    `exit codes other than 0: ${report.exitCodes.filter((code) => code !== 0).length}; ` +
    `servers that stuck by themselves: ${report.serverStuck}`,
  ].join("\n");
}

function describeCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ");
}
