/**
 * Whose turn it is. There is no table of lanes: a lane is its open rows, and whatever changes it ends with making the lowest
 * of them live.
 */

import type { DeliveryState } from "../domain/delivery.ts";
import type { Statement } from "./database.ts";
import type { NewDelivery } from "./record.ts";
import { createRowStatement } from "./rows.ts";

/**
 * What a blocked delivery becomes when its turn comes; the value is the time. One with a reason was parked on arrival and
 * waits for a person. The others go behind whatever waits in their queue, or a long lane would keep every short one
 * waiting. It is a place that they get and not the time: a clock that runs ahead must not hold up what is due.
 */
const promoted = `state = iif(reason IS NULL, 'ready', 'parked'), due_at = max(due_at, coalesce((
    SELECT r.due_at + 1 FROM deliveries AS r WHERE r.queue = deliveries.queue AND r.state = 'ready' AND r.due_at < ?
    ORDER BY r.due_at DESC LIMIT 1), 0))`;

/** The first value is the time. */
const promoteLanes = createRowStatement(
  2,
  (values) =>
    `UPDATE deliveries SET ${promoted} WHERE state = 'blocked' AND seq IN (
     SELECT (SELECT min(d.seq) FROM deliveries AS d
             WHERE d.queue = v.column1 AND d.lane = v.column2 AND d.lane IS NOT NULL AND d.finished_at IS NULL)
     FROM (${values}) AS v)`,
);

/**
 * `skip_older`: followers that are older than the last delivery that finished in their lane. Only these are read, however
 * many wait in the lane; the first value is the time.
 */
const skipOlder = createRowStatement(
  2,
  (values) =>
    `UPDATE deliveries SET state = 'skipped', finished_at = ?, reason = 'older than the last one that finished in its lane'
   WHERE seq IN (
     SELECT d.seq FROM (${values}) AS v CROSS JOIN marks AS m ON m.queue = v.column1 AND m.lane = v.column2
     CROSS JOIN deliveries AS d INDEXED BY deliveries_version ON d.queue = v.column1 AND d.lane = v.column2
       AND d.version_rule = m.rule AND d.version IS NOT NULL AND d.state = 'blocked' AND d.version < m.version)`,
);

/** In a lane everything starts blocked, and {@link skipAndPromote} decides what its head becomes. */
export function firstState(delivery: NewDelivery): DeliveryState {
  if (delivery.lane !== undefined) return "blocked";
  return delivery.parkedReason === undefined ? "ready" : "parked";
}

/** A place in a lane; without a lane there is nothing to promote. */
interface LanePlace {
  readonly queue: number;
  readonly lane?: string | null;
}

/** Makes the lowest open delivery of each lane live if it is blocked. Every change of a lane ends with it. */
function promote(lanes: readonly LanePlace[], now: number): Statement[] {
  return atTime(now, promoteLanes(distinctLanes(lanes)));
}

/**
 * The same for a group's lanes, in some of which something with a version arrived or finished: what is outdated is skipped
 * first. What is promoted is due from the earliest of the group's times on, since the claim that shares its commit may be
 * as old as that.
 */
export function skipAndPromote(
  lanes: readonly (LanePlace & { versioned: boolean })[],
  times: readonly number[],
): Statement[] {
  const versioned = distinctLanes(lanes.filter((lane) => lane.versioned));
  return [...atTime(Math.max(...times), skipOlder(versioned)), ...promote(lanes, Math.min(...times))];
}

function atTime(now: number, statements: readonly Statement[]): Statement[] {
  return statements.map(({ sql, parameters }) => ({ sql, parameters: [now, ...parameters] }));
}

function distinctLanes(lanes: readonly LanePlace[]): [number, string][] {
  const distinct = new Map<string, [number, string]>();
  for (const { queue, lane } of lanes) if (typeof lane === "string") distinct.set(`${queue}\0${lane}`, [queue, lane]);
  return [...distinct.values()];
}

/** What finished here sets the mark that `skip_older` holds followers against: those whose version is by the same rule. */
export const setMarks = createRowStatement(2, (values) =>
  `INSERT INTO marks (queue, lane, rule, version, at)
   SELECT d.queue, d.lane, d.version_rule, d.version, d.finished_at FROM (${values}) AS v CROSS JOIN deliveries AS d
     ON d.seq = v.column1 AND d.finished_at = v.column2
   WHERE d.version IS NOT NULL AND d.version_rule IS NOT NULL AND d.lane IS NOT NULL
   ON CONFLICT (queue, lane, rule) DO UPDATE SET version = max(version, excluded.version), at = excluded.at`);

/** The same for the lane of one delivery. */
export function promoteLaneOf(deliveryId: string, now: number): Statement {
  return {
    sql: `UPDATE deliveries SET ${promoted} WHERE state = 'blocked' AND seq = (
      SELECT min(d.seq) FROM deliveries AS of CROSS JOIN deliveries AS d
        ON d.queue = of.queue AND d.lane = of.lane AND d.lane IS NOT NULL AND d.finished_at IS NULL
      WHERE of.id = ?)`,
    parameters: [now, deliveryId],
  };
}

/**
 * The same for the lanes of some events.
 *
 * @param eventSeqs a JSON list of positions
 */
export function promoteLanesOf(eventSeqs: string, now: number): Statement {
  return {
    sql: `UPDATE deliveries SET ${promoted} WHERE state = 'blocked' AND seq IN (
      SELECT (SELECT min(d.seq) FROM deliveries AS d
              WHERE d.queue = c.queue AND d.lane = c.lane AND d.lane IS NOT NULL AND d.finished_at IS NULL)
      FROM json_each(?) AS j CROSS JOIN deliveries AS c ON c.event_seq = j.value WHERE c.lane IS NOT NULL)`,
    parameters: [now, eventSeqs],
  };
}
