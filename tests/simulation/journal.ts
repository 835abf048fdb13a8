/**
 * The log's own diary: triggers write down every change of a delivery's state and every attempt, in the order in which
 * they were committed, beside what the queue looked like at that moment. A state that somebody mends later stays to be
 * judged.
 */

import type { DeliveryState } from "../../core/domain/delivery.ts";
import type { Outcome } from "../../core/domain/outcome.ts";
import type { Database } from "../../core/store/database.ts";

/** A delivery came into a state; `from` is null when it was made. */
export interface Move {
  readonly kind: "move";
  readonly delivery: number;
  /** Claims so far. */
  readonly n: number;
  readonly from: DeliveryState | null;
  readonly to: DeliveryState;
  readonly failures: number;
  readonly deaths: number;
  readonly dueAt: number;
  readonly claimedAt: number | null;
  readonly reason: string | null;
  readonly result: string | null;
  /** Of its queue, once it had moved. */
  readonly queue: QueueThen;
}

/** What a queue was like when something moved in it. */
export interface QueueThen {
  readonly running: number;
  readonly pausedFor: string | null;
  readonly failures: number;
  readonly openUntil: number | null;
}

/** An attempt was written; its delivery moves right after it. */
export interface Told {
  readonly kind: "attempt";
  readonly delivery: number;
  readonly n: number;
  readonly outcome: Outcome["kind"];
  readonly reason: string | null;
  readonly finishedAt: number;
}

/** Somebody, or a delivery, paused a queue. */
export interface Paused {
  readonly kind: "pause";
  readonly queue: number;
  readonly pausedFor: string;
}

/** One line of the diary. */
export type Entry = Move | Told | Paused;

/** A row of the diary's table; which of its columns are filled depends on its kind. */
interface Row {
  readonly kind: Entry["kind"];
  readonly delivery: number;
  readonly n: number;
  readonly was: DeliveryState | null;
  readonly state: string;
  readonly failures: number;
  readonly deaths: number;
  readonly due_at: number;
  readonly at: number;
  readonly reason: string | null;
  readonly result: string | null;
  readonly running: number;
  readonly paused: string | null;
  readonly broken: number;
  readonly open_until: number | null;
}

const columns =
  "kind, delivery, n, was, state, failures, deaths, due_at, at, reason, result, running, paused, broken, open_until";

const noteMove = (was: string): string =>
  `INSERT INTO journal (${columns}) SELECT 'move', NEW.seq, NEW.executions, ${was}, NEW.state, NEW.failures, NEW.deaths,
     NEW.due_at, NEW.claimed_at, NEW.reason, NEW.result,
     iif(NEW.state = 'running', (SELECT count(*) FROM deliveries WHERE queue = NEW.queue AND state = 'running'), 0),
     q.paused_reason, q.failures, q.open_until FROM queues AS q WHERE q.id = NEW.queue`;

/** Lays the triggers into a log whose schema is there. */
export async function keepJournal(disk: Database): Promise<void> {
  await disk.write([
    `CREATE TABLE journal (place INTEGER PRIMARY KEY, ${columns})`,
    `CREATE TRIGGER note_made AFTER INSERT ON deliveries BEGIN ${noteMove("NULL")}; END`,
    `CREATE TRIGGER note_moved AFTER UPDATE OF state ON deliveries WHEN OLD.state <> NEW.state
       BEGIN ${noteMove("OLD.state")}; END`,
    `CREATE TRIGGER note_attempt AFTER INSERT ON attempts BEGIN
       INSERT INTO journal (kind, delivery, n, state, reason, at)
         VALUES ('attempt', NEW.delivery, NEW.n, NEW.outcome, NEW.reason, NEW.finished_at); END`,
    `CREATE TRIGGER note_pause AFTER UPDATE OF paused_at ON queues WHEN NEW.paused_at IS NOT OLD.paused_at
       AND NEW.paused_at IS NOT NULL BEGIN
       INSERT INTO journal (kind, delivery, paused) VALUES ('pause', NEW.id, NEW.paused_reason); END`,
  ].map((sql) => ({ sql, parameters: [] })));
}

/** Reads the diary from its first line on. */
export async function readJournal(disk: Database): Promise<Entry[]> {
  const { rows } = await disk.read({ sql: "SELECT * FROM journal ORDER BY place", parameters: [] });
  return (rows as unknown as Row[]).map((row): Entry => {
    const { kind, delivery, n, reason } = row;
    if (kind === "pause") return { kind, queue: delivery, pausedFor: row.paused! };
    if (kind === "attempt") {
      return { kind, delivery, n, outcome: row.state as Told["outcome"], reason, finishedAt: row.at };
    }
    return {
      kind,
      delivery,
      n,
      from: row.was,
      to: row.state as DeliveryState,
      failures: row.failures,
      deaths: row.deaths,
      dueAt: row.due_at,
      claimedAt: row.at,
      reason,
      result: row.result,
      queue: { running: row.running, pausedFor: row.paused, failures: row.broken, openUntil: row.open_until },
    };
  });
}
