/**
 * The kill rigs in their long form; each prints its figures, and every anomaly that it found.
 *
 * `deno task soak:kill -- --rounds 200 [--seed N]`: an engine that is killed at any moment.
 * `deno task soak:kill -- --points 50 [--seed N] [--only "reload"]`: one that dies at each named place so many times.
 * `deno task soak:kill -- --pending 100000 [--starts 5]`: how soon it works again when so many events wait.
 */

import { parseArgs } from "node:util";
import type { HistoryReport } from "../support/history.ts";
import { findSqld } from "../support/sqld.ts";
import { runKillRig, summarize } from "./kill_rig.ts";
import * as pending from "./pending_rig.ts";
import * as points from "./crash_points/points_rig.ts";

/** What promise 7 says of work after a crash. */
const resumeMsMax = 5_000;

/** Hardly anything waits, and yet more than is done between two starts. */
const eventsFew = 10_000;

/** How soon the first work begins, however much waits. */
const firstWorkMsMax = 2_000;

const { values } = parseArgs({
  args: Deno.args.filter((each) => each !== "--"),
  options: {
    rounds: { type: "string", default: "200" },
    points: { type: "string" },
    only: { type: "string", default: "" },
    pending: { type: "string" },
    starts: { type: "string", default: "5" },
    seed: { type: "string" },
  },
});
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint16Array(1))[0]);
const say = (line: string): void => console.log(line);
say(`seed ${seed}`);
if (values.pending !== undefined) Deno.exit(await soakPending(Number(values.pending)) ? 0 : 1);
Deno.exit(await (values.points === undefined ? soakRounds() : soakPoints(Number(values.points))) ? 0 : 1);

async function soakRounds(): Promise<boolean> {
  const report = await runKillRig({ rounds: Number(values.rounds), seed, say });
  sayAnomalies([report.history], report.refusals);
  say(summarize(report));
  const sound = report.history.anomalies.length === 0 && report.refusals.length === 0 && report.exitCode === 0;
  return sound && Math.max(...report.resumeMs) <= resumeMsMax;
}

async function soakPoints(times: number): Promise<boolean> {
  const binary = await findSqld();
  if ("missing" in binary) say(`without ${points.pointsOnServer.join(", ")}: ${binary.missing}`);
  const all = [...points.pointsOnFile, ...("missing" in binary ? [] : points.pointsOnServer)];
  const wanted = all.filter((point) => point.includes(values.only));
  const sqld = "missing" in binary ? undefined : binary.path;
  const report = await points.runPointsRig({ points: wanted, times, seed, sqld, say });
  sayAnomalies(report.histories, report.refusals);
  for (const words of report.broken.slice(0, 50)) say(`not kept: ${words}`);
  say(points.summarize(report));
  return points.isSound(report) && wanted.every((point) => (report.reached[point] ?? 0) >= times);
}

async function soakPending(events: number): Promise<boolean> {
  const starts = Number(values.starts);
  // What a start costs anyway, on this machine and with whatever else it does now.
  say(pending.summarize(await pending.runPendingRig({ events: eventsFew, starts, seed, say })));
  const report = await pending.runPendingRig({ events, starts, seed, say });
  say(pending.summarize(report));
  return pending.isSound(report) && report.starts.every(({ workMs }) => workMs <= firstWorkMsMax);
}

function sayAnomalies(histories: readonly HistoryReport[], refusals: readonly string[]): void {
  for (const { name, subject, detail } of histories.flatMap(({ anomalies }) => anomalies).slice(0, 50)) {
    say(`${name} ${subject}: ${detail}`);
  }
  for (const refusal of refusals.slice(0, 10)) say(`refused: ${refusal}`);
}
