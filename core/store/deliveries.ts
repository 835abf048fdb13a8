/**
 * The transitions of a delivery as SQL, one statement list per row of the state machine's table. There is no table of
 * lanes: a lane is its open rows, and {@link promote} makes the lowest of them ready.
 */

import { finishedStates } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import type { Plan } from "./append.ts";
import type { Result, Statement, Value } from "./database.ts";
import { createRowStatement } from "./rows.ts";
import type { Claim, ClaimedDelivery, Credit, Settlement } from "./store.ts";

/** Text that SQLite gives back as it was: without NUL, where it would be cut, and without half surrogates. */
export function storableText(text: string | undefined): string | null {
  return text === undefined ? null : text.replaceAll("\0", "\uFFFD").toWellFormed();
}

const promoteLanes = createRowStatement(
  2,
  (values) =>
    `UPDATE deliveries SET state = 'ready' WHERE state = 'blocked' AND seq IN (
     SELECT (SELECT min(d.seq) FROM deliveries AS d
             WHERE d.queue = v.column1 AND d.lane = v.column2 AND d.lane IS NOT NULL AND d.finished_at IS NULL)
     FROM (${values}) AS v)`,
);

/** Makes the lowest open delivery of each lane ready if it is blocked. Every change of a lane ends with it. */
export function promote(lanes: readonly { queue: number; lane?: string }[]): Statement[] {
  const distinct = new Map<string, Value[]>();
  for (const { queue, lane } of lanes) if (lane !== undefined) distinct.set(`${queue}\0${lane}`, [queue, lane]);
  return promoteLanes([...distinct.values()]);
}

const claimDue =
  `UPDATE deliveries SET state = 'running', token = ?, boot = ?, claimed_at = ?, executions = executions + 1
  WHERE seq IN (SELECT seq FROM deliveries WHERE queue = ? AND state = 'ready' AND due_at <= ? ORDER BY due_at, seq LIMIT ?)`;

const claimedColumns = `d.seq, d.id, d.queue, d.token, d.lane, d.executions, d.failures, d.deaths, d.lineage,
  e.id AS event_id, e.source, e.type, e.idem_key, e.time, e.received_at, e.item, r.headers, r.query, r.raw`;

const readClaimed = createRowStatement(2, (values) =>
  `SELECT ${claimedColumns} FROM (${values}) AS v
   CROSS JOIN deliveries AS d ON d.queue = v.column1 AND d.state = 'running' AND d.token = v.column2
   CROSS JOIN events AS e ON e.seq = d.event_seq CROSS JOIN requests AS r ON r.id = e.request_id
   ORDER BY d.seq`);

const readNextDue = createRowStatement(2, (values) =>
  `SELECT min((SELECT min(d.due_at) FROM deliveries AS d
    WHERE d.queue = v.column1 AND d.state = 'ready' AND d.due_at > v.column2)) AS next FROM (${values}) AS v`);

/** Plans one claim per queue with credit, and the question when to ask again. */
export function planClaim(
  credits: readonly Credit[],
  claim: { token: string; boot: string; now: number },
): Plan<Claim> {
  const { token, boot, now } = claim;
  const open = credits.filter(({ limit }) => limit > 0);
  const claims = open.map(({ queue, limit }): Statement => ({
    sql: claimDue,
    parameters: [token, boot, now, queue, now, limit],
  }));
  const reads = readClaimed(open.map(({ queue }) => [queue, token]));
  const nexts = readNextDue(credits.map(({ queue }) => [queue, now]));
  return {
    statements: [...claims, ...reads, ...nexts],
    read(results) {
      const rows = results.slice(claims.length, claims.length + reads.length).flatMap((result) => result.rows);
      const dues = results.slice(claims.length + reads.length).flatMap(({ rows }) => rows.map((row) => row.next));
      const nextDueAt = Math.min(...dues.filter((due) => due !== null).map(Number));
      return {
        deliveries: rows.map(toClaimed).sort((a, b) => a.seq - b.seq),
        nextDueAt: Number.isFinite(nextDueAt) ? nextDueAt : undefined,
      };
    },
  };
}

function toClaimed(row: Record<string, Value>): ClaimedDelivery {
  const event: Event = {
    id: row.event_id as string,
    source: row.source as string,
    type: row.type as string,
    idempotencyKey: (row.idem_key as string | null) ?? undefined,
    time: (row.time as number | null) ?? undefined,
    receivedAt: row.received_at as number,
    headers: JSON.parse(row.headers as string),
    query: row.query as string,
    raw: row.raw as Uint8Array,
    item: (row.item as string | null) ?? undefined,
  };
  return {
    seq: row.seq as number,
    id: row.id as string,
    queue: row.queue as number,
    token: row.token as string,
    lane: (row.lane as string | null) ?? undefined,
    executions: row.executions as number,
    failures: row.failures as number,
    deaths: row.deaths as number,
    lineage: row.lineage as string,
    event,
  };
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

/**
 * Statements that take back everything that the given engine had claimed, or every claim there is. The interrupted
 * attempt is recorded and does not count.
 */
export function recoverClaims(of: { boot?: string; now: number }): Statement[] {
  const where = of.boot === undefined ? "state = 'running'" : "state = 'running' AND boot = ?";
  const boot = of.boot === undefined ? [] : [of.boot];
  return [
    {
      sql: `INSERT INTO attempts (delivery, n, started_at, finished_at, outcome, reason)
        SELECT seq, executions, claimed_at, ?, 'interrupted', 'the engine that ran it is gone'
        FROM deliveries WHERE ${where} ON CONFLICT (delivery, n) DO NOTHING`,
      parameters: [of.now, ...boot],
    },
    {
      sql: `UPDATE deliveries SET state = 'ready', due_at = ?, reason = 'the engine that ran it is gone',
        token = NULL, boot = NULL, claimed_at = NULL WHERE ${where}`,
      parameters: [of.now, ...boot],
    },
  ];
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
    sql: `UPDATE deliveries SET state = 'ready' WHERE state = 'blocked' AND seq = (
      SELECT min(d.seq) FROM deliveries AS of CROSS JOIN deliveries AS d
        ON d.queue = of.queue AND d.lane = of.lane AND d.lane IS NOT NULL AND d.finished_at IS NULL
      WHERE of.id = ?)`,
    parameters: [deliveryId],
  };
}

/** Reads the results of several plans that ran as one batch. */
export function splitResults(results: readonly Result[], counts: readonly number[]): Result[][] {
  let at = 0;
  return counts.map((count) => results.slice(at, at += count));
}
