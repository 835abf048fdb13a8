/**
 * What a queue lets through, asked and counted inside the transaction that claims or settles, so that it holds over all
 * engines of a log: pause, concurrency, rate limit and breaker. A closed queue is one row read, never a scan.
 */

import { clockSkewMsMax } from "../domain/clock.ts";
import { spacingMs } from "../domain/throttle.ts";
import type { Statement, Value } from "./database.ts";
import { createRowStatement } from "./rows.ts";
import type { Credit, Settlement } from "./record.ts";

/** Stands for no limit where SQL wants a number. */
const anyNumber = 2_147_483_647;

/** Doublings after which a breaker stays open no longer. */
const doublingsMax = 20;

/**
 * The latest time that anybody at work knows. On a shared log a batch can arrive long after it was made: by its own time
 * alone, what others have written meanwhile would look as if it came from before a clock was set back.
 */
const latest = (now: string): string => `max(${now}, (SELECT coalesce(max(at), 0) FROM engines))`;

/**
 * To when a bucket is spent, which is now at most, by the clock that wrote it. Further ahead than clocks differ it was
 * written before the clock was set back: then the bucket is empty, and fills from now on.
 */
const spentTo = (now: string, rateAt: string): string =>
  `iif(${rateAt} > ${latest(now)} + ${clockSkewMsMax}, ${now}, ${rateAt})`;

/** Whether a breaker's time is not over. An end beyond its longest opening was written before the clock was set back. */
const isHeld = (now: string, longest: string): string =>
  `coalesce(open_until, 0) > ${now} AND open_until <= ${latest(now)} + ${longest} + ${clockSkewMsMax}`;

/**
 * How many starts a bucket holds. Sums of spacings are rounded, so that a start may seem to lack a trifle when its time
 * has come: a thousandth of a millisecond is given. Nothing adds up from it, because what starts is taken out in full.
 */
const startsHeld = (now: string, of: { rateAt: string; spacing: string; period: string }): string =>
  `CAST((${now} - max(${spentTo(now, of.rateAt)}, ${now} - ${of.period}) + 0.001) / ${of.spacing} AS INTEGER)`;

/** Suspects have an index of their own, which is nearly always empty: nobody looks through a backlog for one. */
const suspects = `FROM deliveries INDEXED BY deliveries_suspect WHERE deaths > 0 AND`;

/** Where starts are rationed, the others would take each one that a suspect of their queue waits for. */
const othersInTurn = `FROM deliveries WHERE deaths = 0
  AND NOT EXISTS (SELECT 1 ${suspects} queue = ?4 AND state = 'ready' AND due_at <= ?3) AND`;

/** Which of a queue's deliveries a credit is for. */
function rowsOf(credit: Credit): string {
  if (credit.suspects === undefined) return "FROM deliveries WHERE";
  if (credit.suspects === "only") return suspects;
  return credit.rateLimit === undefined ? "FROM deliveries WHERE deaths = 0 AND" : othersInTurn;
}

/**
 * How many deliveries may be claimed from a queue now, as a scalar over its row of `queues`. Parameters: `?3` now, `?4`
 * queue, `?5` this engine's limit, `?6` concurrency, `?7` the breaker's failures, `?8` and `?9` spacing and period of the
 * rate limit, `?10` how long the breaker stays open at most; the last four may be NULL. Below the breaker's failures
 * everything passes; above, nothing until its time is over, and then one at a time.
 */
const creditOf = `max(0, min(?5,
  ?6 - (SELECT count(*) FROM deliveries WHERE queue = ?4 AND state = 'running'),
  CASE WHEN paused_at IS NOT NULL OR (failures >= ?7 AND ${isHeld("?3", "?10")}) THEN 0
    WHEN failures >= ?7 THEN 1 - (SELECT count(*) FROM deliveries WHERE queue = ?4 AND state = 'running')
    ELSE ?5 END,
  CASE WHEN ?8 IS NULL THEN ?5 ELSE ${startsHeld("?3", { rateAt: "rate_at", spacing: "?8", period: "?9" })} END))`;

/**
 * On a shared log a claim can arrive long after it was sent, and its time is long past then: by that, a bucket that has
 * been spent from since looks like one from before a clock was set back. It can also arrive twice, and would take twice as
 * much. So it counts only in its turn, which begins with its time and is over with the last of its statements.
 */
const beginTurn = "UPDATE engines SET at = ?3 WHERE boot = ?1 AND claims < ?2";
const endTurn = "UPDATE engines SET claims = ?2 WHERE boot = ?1 AND claims < ?2";

/** Whoever was fenced takes nothing more, nor does a claim that came before or that a later one has overtaken. */
const isInTurn = (boot: string, turn: string): string =>
  `EXISTS (SELECT 1 FROM engines WHERE boot = ${boot} AND claims < ${turn})`;

const claimDue = (rows: string, inTurn: string): string =>
  `UPDATE deliveries SET state = 'running', token = ?1, boot = ?2, claimed_at = ?3, executions = executions + 1
  WHERE seq IN (SELECT seq ${rows} queue = ?4 AND state = 'ready' AND due_at <= ?3
    ORDER BY due_at, seq LIMIT (SELECT ${creditOf} ${inTurn} FROM queues WHERE id = ?4))`;

const countDue = (rows: string): string =>
  `SELECT count(*) AS due FROM (SELECT 1 ${rows}
    queue = ?4 AND state = 'ready' AND due_at <= ?3 LIMIT (SELECT ${creditOf} FROM queues WHERE id = ?4)) AS limited`;

/** What was claimed is taken out of the bucket, which holds one period's worth; one that is outdated begins to fill. */
const spendRate = (inTurn: string): string =>
  `UPDATE queues SET rate_at = max(${spentTo("?2", "rate_at")}, ?2 - ?4) + ?3 *
    (SELECT count(*) FROM deliveries WHERE queue = ?1 AND state = 'running' AND token = ?5)
  WHERE id = ?1 ${inTurn}`;

/** Who claims, and when. */
export interface Claimant {
  readonly token: string;
  readonly boot: string;
  readonly now: number;
  /**
   * On a log on which other engines may work: the number of this claim among those of its engine, which has a row in the
   * log for as long as the others take it to live.
   */
  readonly turn?: number;
}

/** The statements that a claim begins with. */
export function beginClaim({ boot, now, turn }: Claimant): Statement[] {
  return turn === undefined ? [] : [{ sql: beginTurn, parameters: [boot, turn, now] }];
}

/** The statements that claim from one queue. Its bucket is seen to even when nothing may be taken. */
export function claimFrom(credit: Credit, claim: Claimant): Statement[] {
  const { queue, limit, rateLimit } = credit;
  const { token, boot, now, turn } = claim;
  const spending = {
    sql: spendRate(turn === undefined ? "" : `AND ${isInTurn("?6", "?7")}`),
    parameters: [queue, now, ...rateOf(credit), token, ...turn === undefined ? [] : [boot, turn]],
  };
  const claiming = {
    sql: claimDue(rowsOf(credit), turn === undefined ? "" : `* ${isInTurn("?2", "?11")}`),
    parameters: [...creditParameters(credit, claim), ...turn === undefined ? [] : [turn]],
  };
  return [...limit > 0 ? [claiming] : [], ...rateLimit === undefined ? [] : [spending]];
}

/** The statements that a claim ends with, when it has taken from each of its queues. */
export function endClaim({ boot, turn }: Claimant): Statement[] {
  return turn === undefined ? [] : [{ sql: endTurn, parameters: [boot, turn] }];
}

/** The statement that answers, in a row `due`, how many {@link claimFrom} would take. */
export function countDueOf(credit: Credit, now: number): Statement {
  return { sql: countDue(rowsOf(credit)), parameters: creditParameters(credit, { token: null, boot: null, now }) };
}

function creditParameters(credit: Credit, claim: { token: Value; boot: Value; now: number }): Value[] {
  const { queue, limit, concurrency = anyNumber, breaker } = credit;
  return [
    claim.token,
    claim.boot,
    claim.now,
    queue,
    limit,
    concurrency,
    breaker?.failures ?? null,
    ...rateOf(credit),
    breaker?.openMsMax ?? null,
  ];
}

const spentNow = spentTo("v.column2", "q.rate_at");
const heldNow = startsHeld("v.column2", { rateAt: "q.rate_at", spacing: "v.column4", period: "v.column5" });

/**
 * Of each queue, whether it holds something due, and when the next delivery may be claimed, of those that cannot be now.
 * While a breaker or a rate limit holds the queue: the end of that (always after now: who comes too early would not be told
 * again), or the first delivery's own time if it is later. Else the next delivery's own time; what is due already only
 * waits for others to end, and is woken by their end. Where suspects are claimed by themselves, also whether one may be.
 */
const readNext = createRowStatement(
  7,
  (values) =>
    `SELECT id AS queue, CASE WHEN gate > now
      THEN max(gate, (SELECT min(d.due_at) FROM deliveries AS d WHERE d.queue = open.id AND d.state = 'ready'))
      ELSE (SELECT min(d.due_at) FROM deliveries AS d WHERE d.queue = open.id AND d.state = 'ready' AND d.due_at > now)
    END AS next,
      EXISTS (SELECT 1 FROM deliveries AS d WHERE d.queue = open.id AND d.state = 'ready' AND d.due_at <= now
        AND (d.deaths = 0 OR NOT apart)) AS due,
      apart AND gate <= now AND EXISTS (SELECT 1 FROM deliveries AS d INDEXED BY deliveries_suspect
        WHERE d.queue = open.id AND d.state = 'ready' AND d.deaths > 0 AND d.due_at <= now) AS suspect
    FROM (SELECT q.id, v.column2 AS now, v.column7 AS apart, max(
        iif(q.failures >= v.column3 AND ${isHeld("v.column2", "v.column6")}, q.open_until, 0),
        iif(v.column4 IS NULL OR ${heldNow} >= 1, 0, max(v.column2 + 1, ${spentNow} + v.column4))) AS gate
      FROM (${values}) AS v CROSS JOIN queues AS q ON q.id = v.column1 WHERE q.paused_at IS NULL) AS open`,
);

/**
 * The statements that answer, in a row for each queue that is not paused, `next` (when to claim again), `due` and `suspect`
 * (0 or 1).
 */
export function nextDue(credits: readonly Credit[], now: number): Statement[] {
  return readNext(credits.map((credit) => {
    const { queue, breaker, suspects } = credit;
    const apart = suspects === undefined ? 0 : 1;
    return [queue, now, breaker?.failures ?? null, ...rateOf(credit), breaker?.openMsMax ?? null, apart];
  }));
}

/** Attempts that were under way when the breaker opened say nothing new: they must not keep it open for longer. */
const countFailure = `UPDATE queues SET failures = failures + 1, open_until = iif(failures + 1 < ?2, NULL,
    ?3 + min(?5, ?4 * (1 << min(failures + 1 - ?2, ${doublingsMax}))))
  WHERE id = ?1 AND NOT (failures >= ?2 AND ${isHeld("?3", "?5")})
    AND EXISTS (SELECT 1 FROM deliveries WHERE seq = ?6 AND token = ?7)`;

/** The first value is the queue. Asks nothing of the deliveries unless it has failures to clear. */
const clearFailures = createRowStatement(
  2,
  (values) =>
    `UPDATE queues SET failures = 0, open_until = NULL WHERE id = ? AND failures > 0 AND EXISTS (
     SELECT 1 FROM (${values}) AS v CROSS JOIN deliveries AS d ON d.seq = v.column1 AND d.token = v.column2)`,
);

/** The statements that count outcomes against their queues' breakers, in order; valid while the deliveries' leases hold. */
export function countOutcomes(settlements: readonly Settlement[]): Statement[] {
  const statements: Statement[] = [];
  const succeeded = new Map<number, [number, string][]>();
  const clear = (): void => {
    for (const [queue, leases] of succeeded) {
      for (const { sql, parameters } of clearFailures(leases)) {
        statements.push({ sql, parameters: [queue, ...parameters] });
      }
    }
    succeeded.clear();
  };
  for (const { delivery: { queue, seq, token }, breaker, attempt } of settlements) {
    if (breaker === undefined) continue;
    if (attempt.outcome === "succeeded") {
      const leases = succeeded.get(queue);
      if (leases === undefined) succeeded.set(queue, [[seq, token]]);
      else leases.push([seq, token]);
    }
    if (attempt.outcome !== "failed") continue;
    clear(); // what succeeded before it is no part of the row that it may begin
    const { failures, openMs, openMsMax } = breaker;
    statements.push({
      sql: countFailure,
      parameters: [queue, failures, attempt.finishedAt, openMs, openMsMax, seq, token],
    });
  }
  clear();
  return statements;
}

function rateOf({ rateLimit }: Credit): [Value, Value] {
  return rateLimit === undefined ? [null, null] : [spacingMs(rateLimit), rateLimit.perMs];
}
