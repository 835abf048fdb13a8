/**
 * The transitions of a delivery as SQL, one statement list per row of the state machine's table. There is no table of
 * lanes: a lane is its open rows, and {@link promote} makes the lowest of them ready.
 */

import { finishedStates } from "../domain/delivery.ts";
import type { Plan, Result, Statement } from "./database.ts";
import { createRowStatement } from "./rows.ts";
import type { Settlement } from "./store.ts";
import { storableText } from "./text.ts";

/** What a blocked delivery becomes when its turn comes. One with a reason was parked on arrival and waits for a person. */
const promoted = `state = iif(reason IS NULL, 'ready', 'parked')`;

const promoteLanes = createRowStatement(
  2,
  (values) =>
    `UPDATE deliveries SET ${promoted} WHERE state = 'blocked' AND seq IN (
     SELECT (SELECT min(d.seq) FROM deliveries AS d
             WHERE d.queue = v.column1 AND d.lane = v.column2 AND d.lane IS NOT NULL AND d.finished_at IS NULL)
     FROM (${values}) AS v)`,
);

/** Makes the lowest open delivery of each lane live if it is blocked. Every change of a lane ends with it. */
export function promote(lanes: readonly { queue: number; lane?: string | null }[]): Statement[] {
  const distinct = new Map<string, [number, string]>();
  for (const { queue, lane } of lanes) if (typeof lane === "string") distinct.set(`${queue}\0${lane}`, [queue, lane]);
  return promoteLanes([...distinct.values()]);
}

/** The attempt is written only while the lease holds: its token is still on the row. */
const insertAttempts = createRowStatement(
  9,
  (values) =>
    `INSERT INTO attempts (delivery, n, started_at, finished_at, outcome, reason, output, code_hash)
   SELECT v.column1, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9 FROM (${values}) AS v
   CROSS JOIN deliveries AS d ON d.seq = v.column1 AND d.token = v.column2 WHERE true
   ON CONFLICT (delivery, n) DO NOTHING`,
);

const settleRunning =
  `UPDATE deliveries SET state = ?, due_at = coalesce(?, due_at), failures = ?, deaths = ?, reason = ?,
  result = ?, finished_at = ?, token = NULL, boot = NULL, claimed_at = NULL WHERE seq = ? AND token = ?`;

/** Plans the end of attempts; answers, for each, whether its lease still held. */
export function planSettle(settlements: readonly Settlement[]): Plan<boolean[]> {
  const attempts = insertAttempts(settlements.map(({ delivery, attempt }) => [
    delivery.seq,
    delivery.token,
    attempt.n,
    attempt.startedAt,
    attempt.finishedAt,
    attempt.outcome,
    storableText(attempt.reason),
    storableText(attempt.output),
    attempt.codeHash ?? null,
  ]));
  const updates = settlements.map(({ delivery, transition, attempt }): Statement => ({
    sql: settleRunning,
    parameters: [
      transition.state,
      transition.state === "ready" ? transition.dueAt : null,
      transition.failures,
      transition.deaths,
      storableText(transition.state === "succeeded" ? undefined : transition.reason),
      storableText(transition.state === "succeeded" ? transition.result : undefined),
      finishedStates.includes(transition.state) ? attempt.finishedAt : null,
      delivery.seq,
      delivery.token,
    ],
  }));
  const finished = settlements.filter(({ transition }) => finishedStates.includes(transition.state));
  return {
    statements: [...attempts, ...updates, ...promote(finished.map(({ delivery }) => delivery))],
    read: (results) =>
      results.slice(attempts.length, attempts.length + updates.length).map((result) => result.changes > 0),
  };
}

/** Whose claims to take back: those of one engine that is fenced, those under one token, or all there are. */
export interface Reclaim {
  readonly of: { readonly boot: string } | { readonly token: string } | "all";
  readonly now: number;
  readonly reason: string;
}

/**
 * Plans the return of claims that nobody will settle; answers how many there were. The interrupted attempt is recorded
 * and does not count. The claims of an engine whose row is (back) in the log stay with it.
 */
export function planReclaim(reclaim: Reclaim): Plan<number> {
  const { of, now, reason } = reclaim;
  const [where, values] = of === "all"
    ? ["", []]
    : "boot" in of
    ? ["AND boot = ? AND boot NOT IN (SELECT boot FROM engines)", [of.boot]]
    : ["AND token = ?", [of.token]];
  return {
    statements: [
      {
        sql: `INSERT INTO attempts (delivery, n, started_at, finished_at, outcome, reason)
          SELECT seq, executions, claimed_at, ?, 'interrupted', ?
          FROM deliveries WHERE state = 'running' ${where} ON CONFLICT (delivery, n) DO NOTHING`,
        parameters: [now, reason, ...values],
      },
      {
        sql:
          `UPDATE deliveries SET state = 'ready', due_at = ?, reason = ?, token = NULL, boot = NULL, claimed_at = NULL
          WHERE state = 'running' ${where}`,
        parameters: [now, reason, ...values],
      },
    ],
    read: ([, updated]) => updated!.changes,
  };
}

/** Plans the cancellation of a delivery that is neither running nor finished. */
export function planCancel(deliveryId: string, at: { now: number; reason: string }): Plan<boolean> {
  return {
    statements: [
      {
        sql: `UPDATE deliveries SET state = 'cancelled', finished_at = ?, reason = ?
          WHERE id = ? AND state IN ('blocked', 'ready', 'parked')`,
        parameters: [at.now, storableText(at.reason), deliveryId],
      },
      promoteLaneOf(deliveryId),
    ],
    read: (results) => results[0]!.changes > 0,
  };
}

/** Plans a new delivery of a finished one's event: at the tail of its lane, fresh counters, the same lineage. */
export function planRedeliver(deliveryId: string, made: { id: string; now: number }): Plan<boolean> {
  return {
    statements: [
      {
        sql: `INSERT INTO deliveries (id, event_seq, queue, lane, state, due_at, lineage, redelivery_of, created_at)
          SELECT ?, d.event_seq, d.queue, d.lane, iif(d.lane IS NULL, 'ready', 'blocked'), ?, d.lineage, d.id, ?
          FROM deliveries AS d WHERE d.id = ? AND d.finished_at IS NOT NULL ON CONFLICT (id) DO NOTHING`,
        parameters: [made.id, made.now, made.now, deliveryId],
      },
      promoteLaneOf(made.id),
    ],
    read: (results) => results[0]!.changes > 0,
  };
}

function promoteLaneOf(deliveryId: string): Statement {
  return {
    sql: `UPDATE deliveries SET ${promoted} WHERE state = 'blocked' AND seq = (
      SELECT min(d.seq) FROM deliveries AS of CROSS JOIN deliveries AS d
        ON d.queue = of.queue AND d.lane = of.lane AND d.lane IS NOT NULL AND d.finished_at IS NULL
      WHERE of.id = ?)`,
    parameters: [deliveryId],
  };
}

/** Deals the results of a batch out to the plans that it was made of, by the number of statements of each. */
export function splitResults(results: readonly Result[], counts: readonly number[]): Result[][] {
  let at = 0;
  return counts.map((count) => results.slice(at, at += count));
}
