/**
 * A log that holds a backlog before the engine starts: written in a process of its own, straight into the tables, by the
 * shapes that the engine itself leaves behind.
 */

import { DatabaseSync } from "node:sqlite";
import type { Rig } from "./rig.ts";
import { serveLines } from "./line_server.ts";
import { startProcess } from "./measured_process.ts";

/**
 * `blocked`: ten lanes whose heads wait, nine tenths of the rows behind them, the rest waiting unordered.
 * `waiting`: half as many rows, all ready in the queue that is measured, none of them due.
 */
export type Backlog = "blocked" | "waiting";

const lanes = 10;
const rowsPerTransaction = 20_000;
const bodyBytes = 1_024;

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
  const db = new DatabaseSync(`${folder}/weir.db`);
  db.exec("PRAGMA synchronous = OFF"); // of this connection only: what it writes may be lost, the engine's may not
  db.exec("PRAGMA foreign_keys = OFF");
  const { id: queue } = db.prepare("SELECT id FROM queues").get() as { id: number };
  const request = db.prepare("INSERT INTO requests (id, source, query, headers, raw) VALUES (?, 'bench', '', '{}', ?)");
  const event = db.prepare(
    `INSERT INTO events (id, request_id, source, type, sha256, received_at, config_hash)
     VALUES (?, ?, 'bench', 'bench.event', ?, ?, '')`,
  );
  const delivery = db.prepare(
    `INSERT INTO deliveries (id, event_seq, queue, lane, state, due_at, lineage, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const raw = new TextEncoder().encode(JSON.stringify({ note: "x".repeat(bodyBytes - 11) }));
  const sha256 = "0".repeat(64);
  const now = Date.now();
  const later = now + 365 * 86_400_000;
  const behindHeads = backlog === "blocked" ? rows * 0.9 : 0;
  for (let at = 0; at < rows;) {
    db.exec("BEGIN");
    for (const end = Math.min(rows, at + rowsPerTransaction); at < end; at++) {
      const name = `BACKLOG${String(at).padStart(20, "0")}`;
      const inLane = at < behindHeads;
      const state = inLane && at >= lanes ? "blocked" : "ready";
      request.run(`req_${name}`, raw);
      const { lastInsertRowid } = event.run(`evt_${name}`, `req_${name}`, sha256, now);
      delivery.run(
        `dlv_${name}`,
        lastInsertRowid,
        queue,
        inLane ? `backlog-${at % lanes}` : null,
        state,
        state === "ready" ? later : now,
        `dlv_${name}`,
        now,
      );
    }
    db.exec("COMMIT");
  }
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}

if (import.meta.main) {
  await serveLines({ ready: true }, (order) => write(order as unknown as Parameters<typeof write>[0]));
}
