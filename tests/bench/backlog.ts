/**
 * The logs of the benchmark that hold a backlog before the engine starts, each written in a process of its own.
 */

import { DatabaseSync } from "node:sqlite";
import { closedBreaker, closedRouteName, type EngineOrder, routeName } from "./bench_routes.ts";
import { type PendingDelivery, writeBacklog } from "../support/write_backlog.ts";
import type { Rig } from "./rig.ts";
import { serveLines } from "./line_server.ts";
import { startProcess } from "./measured_process.ts";

/**
 * `blocked`: ten lanes whose heads wait, nine tenths of the rows behind them, the rest waiting unordered.
 * `closed`: half as many rows, all ready and due, in a queue beside the one that is measured, whose breaker is open.
 */
export type Backlog = "blocked" | "closed";

const lanes = 10;
const yearMs = 365 * 86_400_000;

/** The engine that is measured with a backlog, and without. */
export function behind(backlog: Backlog): Pick<EngineOrder, "work" | "ordered" | "besideClosed"> {
  return { work: "inline", ordered: true, besideClosed: backlog === "closed" };
}

/** Builds one and returns its folder. The engine makes the schema first, with the queues. */
export async function buildBacklog(rig: Rig, backlog: Backlog): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: rig.folder });
  await rig.withEngine({ ...behind(backlog), logFolder: folder }, async () => {});
  const rows = backlog === "blocked" ? rig.sizes.backlogRows : rig.sizes.backlogRows / 2;
  const writer = await startProcess<unknown>("backlog.ts");
  try {
    await writer.ask({ folder, rows, backlog });
  } finally {
    await writer.end();
  }
  return folder;
}

function write({ folder, rows, backlog }: { folder: string; rows: number; backlog: Backlog }): void {
  const file = `${folder}/weir.db`;
  const now = Date.now();
  const deliveries = backlog === "blocked"
    ? behindHeads({ queue: readQueue(file, routeName), rows, now })
    : due({ queue: openBreaker(file, now), rows, now });
  writeBacklog(file, deliveries, now);
  // Or the kernel would write it out beside the first measurement, and the engine's fsyncs would wait for that.
  using written = Deno.openSync(file);
  written.syncDataSync();
}

interface Rows {
  readonly queue: number;
  readonly rows: number;
  readonly now: number;
}

function* behindHeads({ queue, rows, now }: Rows): Generator<PendingDelivery> {
  for (let at = 0; at < rows; at++) {
    const lane = at < rows * 0.9 ? `backlog-${at % lanes}` : undefined;
    const isFollower = lane !== undefined && at >= lanes;
    yield { queue, lane, state: isFollower ? "blocked" : "ready", dueAt: isFollower ? now : now + yearMs };
  }
}

function* due({ queue, rows, now }: Rows): Generator<PendingDelivery> {
  for (let at = 0; at < rows; at++) yield { queue, state: "ready", dueAt: now };
}

function readQueue(file: string, route: string): number {
  using db = new DatabaseSync(file, { readOnly: true });
  return Number(db.prepare("SELECT id FROM queues WHERE route = ?").get(route)!.id);
}

/** As the failure that opens it leaves it. */
function openBreaker(file: string, now: number): number {
  const queue = readQueue(file, closedRouteName);
  using db = new DatabaseSync(file);
  const { failures, openMs } = closedBreaker;
  db.prepare("UPDATE queues SET failures = ?, open_until = ? WHERE id = ?").run(failures, now + openMs, queue);
  return queue;
}

if (import.meta.main) {
  await serveLines({ ready: true }, (order) => write(order as unknown as Parameters<typeof write>[0]));
}
