/**
 * What an engine finds of one that died: deliveries that were running. Most were only interrupted and begin again; where
 * the engine itself ran the handler, its death may be the handler's doing and is judged as such.
 */

import type { CountedDeath, RunningDelivery } from "../domain/delivery.ts";
import type { Database } from "./database.ts";
import { type Death, planReclaim } from "./deliveries.ts";

/** Why a recovered attempt ended. */
export const lostReason = "the engine that ran it is gone";

/**
 * What the death of its engine counts against a delivery that ran in its process and has taken down none before. Who
 * judges may not know the route.
 */
export type JudgeLost = (delivery: RunningDelivery, route: string) => CountedDeath;

/** Takes back every claim there is, in one batch. Returns how many there were. */
export async function recoverClaims(database: Database, at: { now: number; judge?: JudgeLost }): Promise<number> {
  const deaths = await judgeRunning(database, { judge: at.judge });
  const plan = planReclaim({ of: "all", now: at.now, reason: lostReason, deaths });
  return plan.read(await database.write(plan.statements));
}

/**
 * The deaths to count against what one engine, or any, left running in its own process. A suspect is not judged here: its
 * death was counted before it began, or it never did.
 */
export async function judgeRunning(database: Database, lost: { judge?: JudgeLost; boot?: string }): Promise<Death[]> {
  const { judge, boot = null } = lost;
  if (judge === undefined) return [];
  const { rows } = await database.read({
    sql: `SELECT d.seq, d.token, d.failures, d.deaths, q.route
      FROM deliveries AS d CROSS JOIN queues AS q ON q.id = d.queue
      WHERE d.state = 'running' AND d.deaths = 0 AND q.inline = 1 AND (?1 IS NULL OR d.boot = ?1)`,
    parameters: [boot],
  });
  return rows.map((row): Death => {
    const { failures, deaths } = row as unknown as RunningDelivery;
    return { seq: row.seq as number, token: row.token as string, ...judge({ failures, deaths }, String(row.route)) };
  });
}
