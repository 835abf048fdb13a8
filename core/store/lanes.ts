/**
 * Lanes as people see them. A lane is its open rows: what is at its head, why, and how many wait behind it.
 */

import { type Kysely, sql } from "kysely";
import type { DeliveryState } from "../domain/delivery.ts";
import type { Tables } from "./schema.ts";
import type { LaneFilter, LaneRow } from "./store.ts";

/** Most lanes of one listing. */
export const laneRowsMax = 500;

/** Lists lanes with something open in them, the longest first. */
export async function listLanes(db: Kysely<Tables>, filter: LaneFilter): Promise<LaneRow[]> {
  let query = db.selectFrom("deliveries as d")
    .innerJoin("queues as q", "q.id", "d.queue")
    .innerJoin(
      "deliveries as h",
      (join) =>
        join.on("h.seq", "=", (eb) =>
          eb.selectFrom("deliveries as o").select((o) => o.fn.min("o.seq").as("seq"))
            .whereRef("o.queue", "=", "d.queue").whereRef("o.lane", "=", "d.lane").where("o.finished_at", "is", null)),
    )
    .select(["q.route", "q.target", "d.lane", "h.id as head", "h.state as head_state", "h.reason as head_reason"])
    .select(["h.due_at as head_due_at", "h.failures as head_failures", "h.created_at as head_at"])
    .select(sql<number>`count(*)`.as("depth"))
    .where("d.lane", "is not", null).where("d.finished_at", "is", null)
    .groupBy(["d.queue", "d.lane"])
    .orderBy("depth", "desc").orderBy("h.created_at").limit(Math.max(1, Math.min(filter.limit, laneRowsMax)));
  if (filter.route !== undefined) query = query.where("q.route", "=", filter.route);
  if (filter.target !== undefined) query = query.where("q.target", "=", filter.target);
  if (filter.lane !== undefined) query = query.where("d.lane", "=", filter.lane);
  if (filter.headState !== undefined) query = query.where("h.state", "=", filter.headState);
  return (await query.execute()).map((row): LaneRow => ({
    route: row.route,
    target: row.target,
    lane: row.lane!,
    depth: row.depth,
    head: row.head,
    headState: row.head_state as DeliveryState,
    headReason: row.head_reason ?? undefined,
    headDueAt: row.head_state === "ready" ? row.head_due_at : undefined,
    headFailures: row.head_failures,
    headAt: row.head_at,
  }));
}
