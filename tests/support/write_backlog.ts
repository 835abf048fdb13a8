/**
 * A log that holds a backlog before the engine starts: written straight into the tables, a hundred times as fast as
 * through the engine, in the shapes that the engine itself leaves behind.
 */

import { DatabaseSync } from "node:sqlite";

const rowsPerTransaction = 20_000;
const bodyBytes = 1_024;

/** An open delivery, and the event that it is of. */
export interface PendingDelivery {
  /** The queue's number in the log. */
  readonly queue: number;
  readonly lane?: string;
  /** A lane's head is ready or parked, and whatever is behind it blocked. */
  readonly state: "ready" | "blocked" | "parked";
  readonly dueAt: number;
}

/**
 * Writes the deliveries in the order given, each with an event and a request of its own. Nobody else may hold the log
 * open.
 *
 * @param file the log, whose schema and queues are there
 * @param at when all of it came in
 */
export function writeBacklog(file: string, pending: Iterable<PendingDelivery>, at: number): void {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA synchronous = OFF"); // of this connection only: what it writes may be lost, the engine's may not
    db.exec("PRAGMA foreign_keys = OFF");
    const writeOne = prepareWrite(db, at);
    let written = 0;
    db.exec("BEGIN");
    for (const delivery of pending) {
      writeOne(delivery);
      if (++written % rowsPerTransaction === 0) db.exec("COMMIT; BEGIN");
    }
    db.exec("COMMIT");
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}

function prepareWrite(db: DatabaseSync, at: number): (delivery: PendingDelivery) => void {
  const request = db.prepare(
    "INSERT INTO requests (id, source, query, headers, raw) VALUES (?, 'backlog', '', '{}', ?)",
  );
  const event = db.prepare(
    `INSERT INTO events (id, request_id, source, type, sha256, received_at, config_hash)
     VALUES (?, ?, 'backlog', 'backlog.event', ?, ?, '')`,
  );
  const delivery = db.prepare(
    `INSERT INTO deliveries (id, event_seq, queue, lane, state, due_at, reason, lineage, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const raw = new TextEncoder().encode(JSON.stringify({ note: "x".repeat(bodyBytes - 11) }));
  const sha256 = "0".repeat(64);
  let made = 0;
  return ({ queue, lane, state, dueAt }) => {
    const name = `BACKLOG${String(made++).padStart(20, "0")}`;
    request.run(`req_${name}`, raw);
    const { lastInsertRowid } = event.run(`evt_${name}`, `req_${name}`, sha256, at);
    const reason = state === "parked" ? "parked in the backlog" : null;
    delivery.run(`dlv_${name}`, lastInsertRowid, queue, lane ?? null, state, dueAt, reason, `dlv_${name}`, at);
  };
}
