/**
 * `weir lanes`: where work waits in order, what is at its head, and what a person can do about a head that is stuck.
 */

import type { LaneDetailView, LaneMovedView, LaneView } from "../core/mod.ts";
import { type Client, connect, type EngineOptions, type LaneName, type LaneQuery } from "./client.ts";
import { printDeliveries } from "./deliveries.ts";
import { escapeControls, paint, print, printError, printJson, printTable, unescapeControls } from "./print.ts";
import { describeDuration, describeRun, describeState, field, paintState, parseQueue, queueOf } from "./wording.ts";

/** Prints lanes with something open in them, the longest first. */
export async function listLanes(options: EngineOptions & LaneQuery & { json?: boolean }): Promise<number> {
  const { route, target, lane, state, limit } = options;
  const view = await (await connect(options)).lanes({ route, target, lane, state, limit });
  if (options.json) printJson(view);
  else if (view.rows.length === 0) printError("no lanes");
  else printLanes(view.rows);
  return 0;
}

/** Prints one lane: its head, and what waits behind it in order. */
export async function showLane(
  queue: string,
  lane: string,
  options: EngineOptions & { after?: number; limit?: number; json?: boolean },
): Promise<number> {
  const { after, limit } = options;
  const client = await connect(options);
  const view = await client.lane({ ...await findLane(client, queue, lane), after, limit });
  if (options.json) printJson(view);
  else printLane(view);
  return 0;
}

/** Ends the head of a lane as skipped. */
export async function skipLane(queue: string, lane: string, options: EngineOptions): Promise<number> {
  const client = await connect(options);
  printMoved(queue, "skipped", await client.skipLane(await findLane(client, queue, lane)));
  return 0;
}

/** Runs the parked head of a lane again. */
export async function resumeLane(queue: string, lane: string, options: EngineOptions): Promise<number> {
  const client = await connect(options);
  printMoved(queue, "resumed", await client.resumeLane(await findLane(client, queue, lane)));
  return 0;
}

/** The lane as it was given; if nothing is open in that one, as a listing would have shown it. */
async function findLane(client: Client, queue: string, lane: string): Promise<LaneName> {
  const named = { ...parseQueue(queue), lane };
  const meant = unescapeControls(lane);
  if (meant === lane || (await client.lanes({ ...named, limit: 1 })).rows.length > 0) return named;
  return { ...named, lane: meant };
}

function printMoved(queue: string, done: string, { id, paused }: LaneMovedView): void {
  print(`${id} ${done}`);
  if (paused === undefined) return;
  const reason = escapeControls(paused.reason);
  printError(`${queue} is paused, and nothing of it runs until \`weir resume ${queue}\`: ${reason}`);
}

function printLanes(rows: readonly LaneView[]): void {
  const now = Date.now();
  printTable<LaneView>([
    { title: "QUEUE", value: queueOf, widthMax: 30 },
    { title: "LANE", value: (row) => row.lane, widthMax: 30 },
    { title: "DEPTH", value: (row) => `${row.depth}` },
    { title: "HEAD", value: (row) => row.head },
    { title: "AGE", value: (row) => describeDuration(now - row.headAt) },
    { title: "STATE", value: (row) => row.headState, paint: (text, row) => paintState(text, row.headState) },
    { title: "FAILURES", value: (row) => `${row.headFailures}` },
    { title: "REASON", value: (row) => describeHead(row, now), widthMax: 80 },
  ], rows);
}

/** Since when the head runs, or what it waits for. What it failed with before it ran again is no reason any more. */
function describeHead(row: LaneView, now: number): string {
  if (row.headState !== "running") return row.waiting?.reason ?? row.headReason ?? "";
  return describeRun({ ...row, executions: row.headExecutions, claimedAt: row.headClaimedAt }, now);
}

function printLane(view: LaneDetailView): void {
  const why = describeState(view.headDelivery, Date.now());
  const fields = [
    field("queue", queueOf(view)),
    field("lane", view.lane),
    field("depth", view.depth),
    field("head", `${view.head}, ${view.headState}${why === "" ? "" : `: ${why}`}`),
  ];
  for (const line of fields) if (line !== undefined) print(line);
  printDeliveries([view.headDelivery, ...view.behind]);
  const rest = view.depth - 1 - view.behind.length;
  if (view.nextAfter !== undefined && rest > 0) {
    printError(paint.dim(`${rest} more with --after ${view.nextAfter}`));
  }
}
