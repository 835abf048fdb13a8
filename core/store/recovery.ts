/**
 * What an engine finds of the one before it: deliveries that were running when it died. Most were only interrupted and
 * begin again; where the engine itself ran the handler, its death may be the handler's doing and is judged as such.
 */

import type { RunningDelivery, Transition } from "../domain/delivery.ts";
import type { Database } from "./database.ts";
import { planReclaim, planSettle } from "./deliveries.ts";
import type { Settlement } from "./record.ts";

/** Why a recovered attempt ended. */
const lostReason = "the engine that ran it is gone";

/**
 * What becomes of a delivery whose engine died while it ran.
 *
 * @returns undefined when it was only interrupted
 */
export type JudgeLost = (
  delivery: RunningDelivery,
  queue: { readonly route: string; readonly target: string },
) => Transition | undefined;

/** Takes back every claim there is, in one batch. Returns how many there were. */
export async function recoverClaims(database: Database, at: { now: number; judge?: JudgeLost }): Promise<number> {
  const { rows } = await database.read({
    sql: `SELECT d.seq, d.id, d.queue, d.token, d.lane, d.version, d.executions, d.failures, d.deaths, d.claimed_at,
        q.route, q.target
      FROM deliveries AS d CROSS JOIN queues AS q ON q.id = d.queue WHERE d.state = 'running'`,
    parameters: [],
  });
  const judged = rows.flatMap((row): Settlement[] => {
    const { failures, deaths } = row as unknown as RunningDelivery;
    const transition = at.judge?.({ failures, deaths }, { route: String(row.route), target: String(row.target) });
    if (transition === undefined) return [];
    return [{
      delivery: {
        seq: row.seq as number,
        id: row.id as string,
        queue: row.queue as number,
        token: row.token as string,
        lane: (row.lane as string | null) ?? undefined,
        version: (row.version as number | null) ?? undefined,
      },
      transition,
      attempt: {
        n: row.executions as number,
        startedAt: row.claimed_at as number,
        finishedAt: at.now,
        outcome: "failed",
        reason: lostReason,
      },
    }];
  });
  const settle = planSettle(judged);
  const reclaim = planReclaim({ of: "all", now: at.now, reason: lostReason });
  await database.write([...settle.statements, ...reclaim.statements]);
  return rows.length;
}
