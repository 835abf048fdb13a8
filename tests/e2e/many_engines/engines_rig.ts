/**
 * Several engines on one `sqld`: one of them is killed every so often and started again, the server is restarted now and
 * then, connections to it are cut, and the history says whether anybody noticed. Short in `engines_test.ts`, long in
 * `soak_engines.ts`.
 */

import type { HistoryReport } from "../../support/history.ts";
import { createRandom } from "../../support/seeded_random.ts";
import { startSqld } from "../../support/sqld.ts";
import { startCuttingProxy } from "./cutting_proxy.ts";
import { watchServer } from "./server_watch.ts";
import { concurrency, floodLog, mostAtOnce } from "./flooded_log.ts";

/** Options of {@link runEnginesRig}. */
export interface EnginesRigOptions {
  /** The `sqld` binary. */
  readonly sqld: string;
  readonly engines: number;
  readonly kills: number;
  readonly killEveryMs: number;
  /** How often the server is killed and started again, spread over the kills. */
  readonly serverRestarts: number;
  /** How likely each piece that goes to or from the server is to be the last of its connection. */
  readonly cutChance: number;
  readonly seed: number;
  /** How many events and results are read whole. */
  readonly detailsMax?: number;
  /** Gets a line now and then. */
  readonly say?: (line: string) => void;
}

/** What came of it. */
export interface EnginesReport {
  readonly seed: number;
  readonly engines: number;
  readonly history: HistoryReport;
  /** How much of the log was read with its bytes and results. */
  readonly sampled: string;
  /** What was asked for. */
  readonly asked: Pick<EnginesRigOptions, "kills" | "serverRestarts" | "cutChance">;
  readonly serverRestarts: number;
  /** How often the server took no writes although no engine could reach it, and was started again for it. */
  readonly serverStuck: number;
  /** How often it took none until the engines were cut off from it. */
  readonly serverHeld: number;
  readonly repliesCut: number;
  readonly requestsCut: number;
  /** The most attempts at once that were seen of each queue, and the limit. */
  readonly most: Readonly<Record<string, { readonly seen: number; readonly limit: number }>>;
  readonly refusals: readonly string[];
  readonly exitCodes: readonly number[];
}

/** How often an engine is started until its server lets it, a pause apart: together longer than a server may be stuck. */
const startsMax = 30;
const startPauseMs = 1_000;

/** How long the server is away at a restart. */
const awayMs = 1_000;

/** Runs the rig. */
export async function runEnginesRig(options: EnginesRigOptions): Promise<EnginesReport> {
  const { seed, say = () => {} } = options;
  const random = createRandom(seed);
  await using server = await startSqld(options.sqld);
  await using proxy = startCuttingProxy(server.url, createRandom(seed + 2));
  await using watch = watchServer(server, proxy);
  await using log = await floodLog({ seed, url: proxy.url, lanes: 300, detailsMax: options.detailsMax });
  for (let n = 0; n < options.engines; n++) await startThrough();
  await log.flow(100);
  let serverRestarts = 0;

  proxy.chance = options.cutChance;
  for (let kill = 1; kill <= options.kills; kill++) {
    await pause(options.killEveryMs / 2);
    await log.look().catch(() => {}); // a cut connection: there will be other looks
    if (
      serverRestarts < options.serverRestarts &&
      kill * (options.serverRestarts + 1) > (serverRestarts + 1) * options.kills
    ) {
      serverRestarts++;
      await watch.restart(awayMs);
    }
    await pause(options.killEveryMs / 2);
    await log.kill(log.engines[random.below(log.engines.length)]!);
    await startThrough();
    await log.flow(10);
    say(
      `kill ${kill}: ${log.acknowledged()} acknowledged, ${log.records.length} records, ${proxy.repliesCut} replies cut`,
    );
  }
  proxy.chance = 0;
  const history = await log.finish();
  const most = Object.fromEntries(
    Object.entries(concurrency).map(([queue, limit]) => [queue, { seen: mostAtOnce(log.records, queue), limit }]),
  );
  const exitCodes = await log.stop();
  const { repliesCut, requestsCut } = proxy;
  return {
    seed,
    engines: options.engines,
    history,
    sampled: log.sampled,
    asked: options,
    serverRestarts,
    serverStuck: watch.stuck,
    serverHeld: watch.held,
    repliesCut,
    requestsCut,
    most,
    refusals: log.refusals,
    exitCodes,
  };

  /** An engine that cannot reach its server while it starts ends, and a service manager starts it anew. */
  async function startThrough(): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        await log.start();
        return;
      } catch (error) {
        if (tries === startsMax || !/server cannot be used/.test((error as Error).message)) throw error;
        await pause(startPauseMs);
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Kills from which on one that hits no attempt at all is no accident. */
const killsTelling = 5;

/** Everything that was wrong, or that did not happen although it was asked for: nothing, if the run counts. */
export function findFaults(report: EnginesReport): string[] {
  const { history, asked } = report;
  const cuts = report.repliesCut + report.requestsCut;
  const faults: (readonly [boolean, string])[] = [
    [history.anomalies.length > 0, `${history.anomalies.length} anomalies`],
    [report.refusals.length > 0, `${report.refusals.length} refusals`],
    [report.exitCodes.some((code) => code !== 0), `exit codes ${report.exitCodes.join(" ")}, expected only 0`],
    [report.exitCodes.length !== report.engines, `${report.exitCodes.length} engines stopped of ${report.engines}`],
    ...Object.entries(report.most).map(([queue, { seen, limit }]) =>
      [seen > limit, `${seen} attempts at once in ${queue}, and its limit is ${limit}`] as const
    ),
    [history.crashes < asked.kills, `${history.crashes} engines killed of ${asked.kills}`],
    [asked.kills >= killsTelling && history.cutOff === 0, "no attempt was under way at any kill"],
    [history.acknowledged === 0 || history.runs === 0, "nothing was taken or nothing was tried"],
    [
      report.serverRestarts !== asked.serverRestarts,
      `${report.serverRestarts} restarts of the server, and ${asked.serverRestarts} were asked for`,
    ],
    [asked.cutChance > 0 && cuts === 0, "no connection was cut"],
    [report.serverHeld > 0, `engines kept the server from writes ${report.serverHeld} times`],
    // Beyond one for each kill it is not a killed client any more that brings the server there.
    [
      report.serverStuck > history.crashes + report.serverRestarts,
      `the server was stuck ${report.serverStuck} times, which so few kills do not explain`,
    ],
  ];
  return faults.flatMap(([isSo, words]) => isSo ? words : []);
}

/** Whether nothing at all was wrong, and all that was asked for was done. */
export function isSound(report: EnginesReport): boolean {
  return findFaults(report).length === 0;
}

/** All figures in a few lines. */
export function summarize(report: EnginesReport): string {
  const { history } = report;
  const found = Map.groupBy(history.anomalies, ({ name }) => name);
  return [
    `engines rig: seed ${report.seed}, ${report.engines} engines, ${history.crashes} kills, ` +
    `${report.serverRestarts} restarts of the server (and ${report.serverStuck} because it was stuck by itself; held by ` +
    `engines ${report.serverHeld} times), ${report.repliesCut} replies and ${report.requestsCut} requests cut`,
    `${history.acknowledged} requests acknowledged (${history.duplicateReplies} as duplicates), ` +
    `${history.unknown} unanswered, ${history.events} events; read whole: ${report.sampled}`,
    `${history.runs} attempts: ${history.failed} failed, ${history.cutOff} cut off, ` +
    `${history.repeated} repeated (at most ${history.repeatedMax})`,
    `at once: ${
      Object.entries(report.most).map(([queue, { seen, limit }]) => `${queue} ${seen} of ${limit}`).join(", ")
    }`,
    `anomalies: ${[...found].map(([name, all]) => `${name} ${all.length}`).join(", ") || "none"}`,
    `refusals ${report.refusals.length}, exit codes ${report.exitCodes.join(" ")}`,
    `not as it must be: ${findFaults(report).join("; ") || "nothing"}`,
  ].join("\n");
}
