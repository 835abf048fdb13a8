/** The transitions of a delivery as SQL, one statement list per row of the state machine's table. */

import { type CountedDeath, finishedStates } from "../domain/delivery.ts";
import type { Database, Plan, Result, Statement, Value } from "./database.ts";
import { countOutcomes } from "./flow.ts";
import { firstState, promoteLaneOf, promoteLanesOf, setMarks, skipAndPromote } from "./promotion.ts";
import { createRowStatement } from "./rows.ts";
import type { Lease, NewDelivery, Redelivery, Settlement } from "./record.ts";
import { storableText } from "./text.ts";

const haltQueue = `UPDATE queues SET paused_at = ?, paused_reason = ?
  WHERE id = ? AND paused_at IS NULL AND EXISTS (SELECT 1 FROM deliveries WHERE seq = ? AND token = ?)`;

/** The attempt is written only while the lease holds: its token is still on the row. */
const insertAttempts = createRowStatement(
  9,
  (values) =>
    `INSERT INTO attempts (delivery, n, started_at, finished_at, outcome, reason, output, code_hash)
   SELECT v.column1, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9 FROM (${values}) AS v
   CROSS JOIN deliveries AS d ON d.seq = v.column1 AND d.token = v.column2 WHERE true
   ON CONFLICT (delivery, n) DO NOTHING`,
);

/** One statement for many rows costs half of what a statement a row does. */
const settleRunning = createRowStatement(
  9,
  (values) =>
    `UPDATE deliveries SET state = v.column3, due_at = coalesce(v.column4, due_at), failures = v.column5, deaths = v.column6,
     reason = v.column7, result = v.column8, finished_at = v.column9, token = NULL, boot = NULL, claimed_at = NULL
   FROM (${values}) AS v WHERE deliveries.seq = v.column1 AND deliveries.token = v.column2
   RETURNING seq`,
);

/** Plans the end of attempts; answers, for each, whether its lease still held. */
export function planSettle(submitted: readonly Settlement[]): Plan<boolean[]> {
  // Of the ends of one delivery in one group only one of its latest claim can hold, and of those the first does.
  const bySeq = new Map<number, Settlement>();
  for (const settlement of submitted) {
    const { delivery: { seq }, attempt: { n } } = settlement;
    if (n > (bySeq.get(seq)?.attempt.n ?? 0)) bySeq.set(seq, settlement);
  }
  const settlements = [...bySeq.values()];
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
  const updates = settleRunning(settlements.map(({ delivery, transition, attempt }) => [
    delivery.seq,
    delivery.token,
    transition.state,
    transition.state === "ready" ? transition.dueAt : null,
    transition.failures,
    transition.deaths,
    storableText(transition.state === "succeeded" ? undefined : transition.reason),
    storableText(transition.state === "succeeded" ? transition.result : undefined),
    finishedStates.includes(transition.state) ? attempt.finishedAt : null,
  ]));
  // While the tokens still stand: they tell whether an outcome counts.
  const outcomes = [...countOutcomes(settlements), ...settlements.flatMap(haltStatements)];
  const finished = settlements.filter(({ transition }) => finishedStates.includes(transition.state));
  const marks = finished.filter(({ delivery }) => delivery.version !== undefined);
  const lanes = finished.map(({ delivery }) => ({ ...delivery, versioned: delivery.version !== undefined }));
  const before = [...attempts, ...outcomes];
  return {
    statements: [
      ...before,
      ...updates,
      ...setMarks(marks.map(({ delivery, attempt }) => [delivery.seq, attempt.finishedAt])),
      ...skipAndPromote(lanes, finished.map(({ attempt }) => attempt.finishedAt)),
    ],
    read(results) {
      const rows = results.slice(before.length, before.length + updates.length).flatMap((result) => result.rows);
      const settled = new Set(rows.map((row) => row.seq));
      return submitted.map((each) => bySeq.get(each.delivery.seq) === each && settled.has(each.delivery.seq));
    },
  };
}

/** Whether this very end is in the log already: it was written, and the answer to that was lost. */
export async function wasSettled(database: Database, { delivery, attempt }: Settlement): Promise<boolean> {
  const { rows } = await database.read({
    sql: `SELECT 1 FROM attempts WHERE delivery = ? AND n = ? AND started_at = ? AND finished_at = ? AND outcome = ?`,
    parameters: [delivery.seq, attempt.n, attempt.startedAt, attempt.finishedAt, attempt.outcome],
  });
  return rows.length > 0;
}

function haltStatements({ delivery, transition, attempt }: Settlement): Statement[] {
  if (transition.state !== "parked" || !transition.halt) return [];
  const reason = storableText(`halted by ${delivery.id}: ${transition.reason}`);
  return [{
    sql: haltQueue,
    parameters: [attempt.finishedAt, reason, delivery.queue, delivery.seq, delivery.token],
  }];
}

/**
 * Writes on running rows what the death of their engine counts. Such a row is due after it was claimed, as no other
 * running row is, by as long as it shall wait once it is found: by that the one who takes it back knows. If its engine
 * lives, its settlement writes the true counts over it.
 */
const countDeaths = (fence: string) =>
  createRowStatement(
    5,
    (values) =>
      `UPDATE deliveries SET failures = v.column3, deaths = v.column4, due_at = claimed_at + max(v.column5, 1)
   FROM (${values}) AS v WHERE deliveries.token = v.column2 AND deliveries.seq = v.column1 ${fence} RETURNING seq`,
  );

const countOwn = countDeaths("");
const countFenced = countDeaths("AND deliveries.boot NOT IN (SELECT boot FROM engines)");

/** A death to count against a delivery, for as long as its token is in the log. */
export type Death = Pick<Lease, "seq" | "token"> & CountedDeath;

function deathValues({ seq, token, failures, deaths, delayMs }: Death): Value[] {
  return [seq, token, failures, deaths, delayMs];
}

/** Plans the beginning of a suspect, with what its engine's death shall count; answers whether its lease holds. */
export function planBegin({ seq, token }: Pick<Lease, "seq" | "token">, death: CountedDeath): Plan<boolean> {
  return {
    statements: countOwn([deathValues({ seq, token, ...death })]),
    read: ([result]) => result!.rows.length > 0,
  };
}

/** Whose claims to take back: those of one engine that is fenced, those under some tokens, or all there are. */
export interface Reclaim {
  readonly of: { readonly boot: string } | { readonly tokens: readonly string[] } | "all";
  readonly now: number;
  readonly reason: string;
  /** What the end of their engine counts against some of them. */
  readonly deaths?: readonly Death[];
}

/**
 * Plans the return of claims that nobody will settle; answers how many there were. The interrupted attempt is recorded
 * and does not count, unless a death was counted. The claims of an engine whose row is (back) in the log stay with it.
 */
export function planReclaim(reclaim: Reclaim): Plan<number> {
  const { of, now, reason, deaths = [] } = reclaim;
  const [where, values] = of === "all"
    ? ["", []]
    : "boot" in of
    ? ["AND boot = ? AND boot NOT IN (SELECT boot FROM engines)", [of.boot]]
    : ["AND token IN (SELECT value FROM json_each(?))", [JSON.stringify(of.tokens)]];
  const counts = (of !== "all" && "boot" in of ? countFenced : countOwn)(deaths.map(deathValues));
  return {
    statements: [
      ...counts,
      {
        sql: `INSERT INTO attempts (delivery, n, started_at, finished_at, outcome, reason)
          SELECT seq, executions, claimed_at, ?, iif(due_at > claimed_at, 'failed', 'interrupted'), ?
          FROM deliveries WHERE state = 'running' ${where} ON CONFLICT (delivery, n) DO NOTHING`,
        parameters: [now, reason, ...values],
      },
      {
        sql: `UPDATE deliveries SET state = 'ready', due_at = ? + max(0, due_at - claimed_at), reason = ?, token = NULL,
            boot = NULL, claimed_at = NULL
          WHERE state = 'running' ${where}`,
        parameters: [now, reason, ...values],
      },
    ],
    read: (results) => results.at(-1)!.changes,
  };
}

/** Plans the end of a delivery that is neither running nor finished, by a person's word. */
export function planEnd(
  deliveryId: string,
  end: { state: "cancelled" | "skipped"; now: number; reason: string },
): Plan<boolean> {
  return {
    statements: [
      {
        sql: `UPDATE deliveries SET state = ?, finished_at = ?, reason = ?
          WHERE id = ? AND state IN ('blocked', 'ready', 'parked')`,
        parameters: [end.state, end.now, storableText(end.reason), deliveryId],
      },
      promoteLaneOf(deliveryId, end.now),
    ],
    read: (results) => results[0]!.changes > 0,
  };
}

/**
 * Cancels what is open of events, unless something of the same event runs. Their lanes go on.
 *
 * @param eventSeqs a JSON list of positions
 */
export function cancelEvents(eventSeqs: string, end: { now: number; reason: string }): Statement[] {
  return [
    {
      sql: `UPDATE deliveries SET state = 'cancelled', finished_at = ?, reason = ?
        WHERE event_seq IN (SELECT value FROM json_each(?)) AND state IN ('blocked', 'ready', 'parked')
          AND NOT EXISTS (SELECT 1 FROM deliveries AS r WHERE r.event_seq = deliveries.event_seq AND r.state = 'running')`,
      parameters: [end.now, end.reason, eventSeqs],
    },
    promoteLanesOf(eventSeqs, end.now),
  ];
}

/** Plans the release of a parked delivery: it keeps its place and begins its attempts anew. */
export function planResume(deliveryId: string, at: { now: number }): Plan<boolean> {
  return {
    statements: [{
      sql: `UPDATE deliveries SET state = 'ready', due_at = ?, failures = 0, deaths = 0, reason = NULL
        WHERE id = ? AND state = 'parked'`,
      parameters: [at.now, deliveryId],
    }],
    read: (results) => results[0]!.changes > 0,
  };
}

/**
 * Plans a new delivery of a finished one's event: at the tail of its lane, fresh counters, the same lineage. It has no
 * version: somebody asked for it by name, so `skip_older` does not apply.
 */
export function planRedeliver(deliveryId: string, made: Redelivery): Plan<boolean> {
  return {
    statements: [
      {
        sql:
          `INSERT INTO deliveries (id, event_seq, queue, lane, version, state, due_at, lineage, redelivery_of, origin,
            out_of_order, created_at)
          SELECT ?1, d.event_seq, d.queue, d.lane, NULL, iif(d.lane IS NULL, 'ready', 'blocked'), ?2, d.lineage, d.id,
            'redelivery', ${hasBeenPassed}, ?2
          FROM deliveries AS d WHERE d.id = ?3 AND d.finished_at IS NOT NULL
            ${made.unrepeated ? `AND ${isUnrepeated}` : ""} ON CONFLICT (id) DO NOTHING`,
        parameters: [made.id, made.now, deliveryId],
      },
      promoteLaneOf(made.id, made.now),
    ],
    read: (results) => results[0]!.changes > 0,
  };
}

/** Whether nothing repeats `d` yet. Whoever has only read it may have read it twice, so the write that repeats it asks again. */
const isUnrepeated = `NOT EXISTS (
  SELECT 1 FROM deliveries AS r WHERE r.event_seq = d.event_seq AND r.redelivery_of = d.id)`;

/**
 * Whether others of its lane have passed `d`: something open or finished that came after it. Only the next thousand
 * deliveries of the log are looked through, because finished ones are in no lane index; beyond that it is assumed.
 */
const hasBeenPassed = `(d.lane IS NOT NULL AND (
  EXISTS (SELECT 1 FROM (SELECT n.queue, n.lane FROM deliveries AS n WHERE n.seq > d.seq ORDER BY n.seq LIMIT 1000) AS thousand
    WHERE thousand.queue = d.queue AND thousand.lane = d.lane)
  OR EXISTS (SELECT 1 FROM deliveries AS p WHERE p.seq > d.seq + 1000)))`;

const insertReplays = createRowStatement(
  10,
  (values) =>
    `INSERT INTO deliveries (id, event_seq, queue, lane, version, version_rule, state, due_at, reason, lineage, origin,
     created_at)
   SELECT v.column1, e.seq, v.column3, v.column4, v.column5, v.column10, v.column6, v.column7, v.column8, v.column1, 'replay',
     v.column9
   FROM (${values}) AS v CROSS JOIN events AS e ON e.id = v.column2 WHERE true
   ON CONFLICT (id) DO NOTHING`,
);

/**
 * Plans new deliveries of an event that is in the log, as new lineages. Today's routes hold for them as they do for an
 * append: what its lane is already beyond is skipped, whether something is open there or not.
 */
export function planReplay(eventId: string, deliveries: readonly NewDelivery[], at: { now: number }): Plan<boolean> {
  const rows = deliveries.map((delivery) => [
    delivery.id,
    eventId,
    delivery.queue,
    storableText(delivery.lane),
    delivery.version?.value ?? null,
    firstState(delivery),
    delivery.dueAt ?? at.now,
    storableText(delivery.parkedReason),
    at.now,
    delivery.version?.rule ?? null,
  ]);
  const lanes = deliveries.map(({ queue, lane, version }) => ({
    queue,
    lane: storableText(lane),
    versioned: version !== undefined,
  }));
  return {
    statements: [
      { sql: "SELECT 1 FROM events WHERE id = ?", parameters: [eventId] },
      ...insertReplays(rows),
      ...skipAndPromote(lanes, [at.now]),
    ],
    read: (results) => results[0]!.rows.length > 0,
  };
}

/** Deals the results of a batch out to the plans that it was made of, by the number of statements of each. */
export function splitResults(results: readonly Result[], counts: readonly number[]): Result[][] {
  let at = 0;
  return counts.map((count) => results.slice(at, at += count));
}
