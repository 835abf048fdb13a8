/**
 * The logs of the benchmark that hold a backlog before the engine starts, each written in a process of its own.
 */

import { DatabaseSync } from "node:sqlite";
import { type PendingDelivery, writeBacklog } from "../support/write_backlog.ts";
import type { Rig } from "./rig.ts";
import { serveLines } from "./line_server.ts";
import { startProcess } from "./measured_process.ts";

/**
 * `blocked`: ten lanes whose heads wait, nine tenths of the rows behind them, the rest waiting unordered.
 * `waiting`: half as many rows, all ready in the queue that is measured, none of them due.
 */
export type Backlog = "blocked" | "waiting";

const lanes = 10;
const yearMs = 365 * 86_400_000;

/** Builds one and returns its folder. The engine makes the schema first, with the queue that is measured. */
export async function buildBacklog(rig: Rig, backlog: Backlog): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: rig.folder });
  await rig.withEngine({ work: "inline", ordered: true, logFolder: folder }, async () => {});
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
  writeBacklog(file, pending({ queue: readQueue(file), rows, backlog, now }), now);
  // Or the kernel would write it out beside the first measurement, and the engine's fsyncs would wait for that.
  using written = Deno.openSync(file);
  written.syncDataSync();
}

function* pending(
  { queue, rows, backlog, now }: { queue: number; rows: number; backlog: Backlog; now: number },
): Generator<PendingDelivery> {
  const behindHeads = backlog === "blocked" ? rows * 0.9 : 0;
  for (let at = 0; at < rows; at++) {
    const lane = at < behindHeads ? `backlog-${at % lanes}` : undefined;
    const isFollower = lane !== undefined && at >= lanes;
    yield { queue, lane, state: isFollower ? "blocked" : "ready", dueAt: isFollower ? now : now + yearMs };
  }
}

function readQueue(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(db.prepare("SELECT id FROM queues").get()!.id);
  } finally {
    db.close();
  }
}

if (import.meta.main) {
  await serveLines({ ready: true }, (order) => write(order as unknown as Parameters<typeof write>[0]));
}
