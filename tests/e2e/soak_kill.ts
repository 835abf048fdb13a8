/**
 * The kill rigs in their long form; each prints its figures, and every anomaly that it found.
 *
 * `deno task soak:kill -- --rounds 200 [--seed N]`: an engine that is killed at any moment.
 * `deno task soak:kill -- --points 50 [--seed N] [--only "reload"]`: one that dies at each named place so many times.
 * `deno task soak:kill -- --pending 100000 [--starts 5]`: how soon it works again when so many events wait.
 */

import type { HistoryReport } from "../support/history.ts";
import { choose, drawSeed, orRefuse, refuse, soakOptions, text, whole } from "../support/soak_options.ts";
import { findSqld } from "../support/sqld.ts";
import { findFaults, runKillRig, summarize } from "./kill_rig.ts";
import * as pending from "./pending_rig.ts";
import { crashPointNames } from "../simulation/crash_points.ts";
import * as points from "./crash_points/points_rig.ts";

/** What promise 7 says of work after a crash. */
const resumeMsMax = 5_000;

/** Events and results that are read whole at the end. */
const detailsMax = 20_000;

/** Hardly anything waits, and yet more than is done between two starts. */
const eventsFew = 10_000;

/** How soon the first work begins, however much waits. */
const firstWorkMsMax = 2_000;

const seedOption = whole(undefined, { least: 0 });
const say = (line: string): void => console.log(line);
const isAsked = (name: string): boolean => Deno.args.some((each) => each.split("=")[0] === name);
// Each form knows its own options only: one that it would ignore is a misunderstanding.
const run = isAsked("--pending") ? soakPending : isAsked("--points") ? soakPoints : soakRounds;
Deno.exit(await run() ? 0 : 1);

async function soakRounds(): Promise<boolean> {
  const values = soakOptions({ rounds: whole(200), seed: seedOption });
  const report = await runKillRig({ rounds: values.rounds, seed: begin(values), detailsMax, say });
  sayAnomalies([report.history], report.refusals);
  say(summarize(report));
  const faults = findFaults(report, { resumeMsMax });
  if (faults.length > 0) say(`not as it must be: ${faults.join("; ")}`);
  return faults.length === 0;
}

async function soakPoints(): Promise<boolean> {
  const values = soakOptions({ points: whole(50), only: text(""), seed: seedOption });
  const { points: times, only } = values;
  const wanted = orRefuse(() => choose(crashPointNames, only));
  const binary = await findSqld();
  const unreachable = wanted.filter((point) => points.pointsOnServer.includes(point));
  if ("missing" in binary && unreachable.length > 0) {
    refuse(`${unreachable.join(", ")} cannot be tried: ${binary.missing}; --only NAME leaves them out`);
  }
  const sqld = "missing" in binary ? undefined : binary.path;
  const report = await points.runPointsRig({ points: wanted, times, seed: begin(values), sqld, say });
  sayAnomalies(report.histories, report.refusals);
  for (const words of report.broken.slice(0, 50)) say(`not kept: ${words}`);
  say(points.summarize(report));
  const short = wanted.filter((point) => (report.reached[point] ?? 0) < times);
  if (short.length > 0) say(`not valid: died fewer than ${times} times at: ${short.join("; ")}`);
  if (only !== "") say(`in part: ${wanted.length} of ${crashPointNames.length} places`);
  return points.isSound(report) && short.length === 0;
}

async function soakPending(): Promise<boolean> {
  const values = soakOptions({ pending: whole(100_000), starts: whole(5), seed: seedOption });
  const { pending: events, starts } = values;
  const seed = begin(values);
  // What a start costs anyway, on this machine and with whatever else it does now.
  say(pending.summarize(await pending.runPendingRig({ events: eventsFew, starts, seed, say })));
  const report = await pending.runPendingRig({ events, starts, seed, say });
  say(pending.summarize(report));
  return pending.isSound(report) && report.starts.every(({ workMs }) => workMs <= firstWorkMsMax);
}

/** The seed, said aloud: the run can be had again. */
function begin({ seed = drawSeed() }: { seed?: number }): number {
  say(`seed ${seed}`);
  return seed;
}

function sayAnomalies(histories: readonly HistoryReport[], refusals: readonly string[]): void {
  for (const { name, subject, detail } of histories.flatMap(({ anomalies }) => anomalies).slice(0, 50)) {
    say(`${name} ${subject}: ${detail}`);
  }
  for (const refusal of refusals.slice(0, 10)) say(`refused: ${refusal}`);
}
