/**
 * Lanes as people see them. A lane is its open rows: what is at its head, why, and how many wait behind it.
 */

import type { Kysely } from "kysely";
import type { Tables } from "./schema.ts";
import type { LaneFilter, LaneRow } from "./view.ts";
import { storableText } from "./text.ts";

/** Most lanes of one listing. */
export const laneRowsMax = 500;

/** Lists lanes with something open in them, the longest first. They are counted along their index, then dressed. */
export async function listLanes(db: Kysely<Tables>, filter: LaneFilter): Promise<LaneRow[]> {
  let lanes = db.selectFrom("deliveries")
    .select((eb) => ["queue", "lane", eb.fn.min("seq").as("first"), eb.fn.countAll<number>().as("depth")])
    .where("lane", "is not", null).where("finished_at", "is", null)
    .groupBy(["queue", "lane"]);
  if (filter.route !== undefined || filter.target !== undefined) {
    let queues = db.selectFrom("queues").select("id");
    if (filter.route !== undefined) queues = queues.where("route", "=", filter.route);
    if (filter.target !== undefined) queues = queues.where("target", "=", filter.target);
    lanes = lanes.where("queue", "in", queues);
  }
  if (filter.lane !== undefined) lanes = lanes.where("lane", "=", storableText(filter.lane));
  const limit = Math.max(1, Math.min(filter.limit, laneRowsMax));
  // Which lanes are among the longest is known before their heads are looked at, unless the heads have a say in it.
  if (filter.headState === undefined) lanes = lanes.orderBy("depth", "desc").orderBy("first").limit(limit);
  let query = db.selectFrom(lanes.as("l"))
    .innerJoin("deliveries as h", "h.seq", "l.first")
    .innerJoin("queues as q", "q.id", "l.queue")
    .select(["q.route", "q.target", "l.lane", "l.depth", "h.id", "h.state", "h.reason", "h.due_at", "h.failures"])
    .select(["h.executions", "h.claimed_at", "h.created_at"])
    .orderBy("l.depth", "desc").orderBy("l.first").limit(limit);
  if (filter.headState !== undefined) query = query.where("h.state", "=", filter.headState);
  const rows = await query.execute();
  return rows.map((row): LaneRow => ({
    route: row.route,
    target: row.target,
    lane: row.lane!,
    depth: row.depth,
    head: row.id,
    headState: row.state,
    headReason: row.reason ?? undefined,
    headDueAt: row.state === "ready" ? row.due_at : undefined,
    headExecutions: row.executions,
    headFailures: row.failures,
    headClaimedAt: row.claimed_at ?? undefined,
    headAt: row.created_at,
  }));
}
