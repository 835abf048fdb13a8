/**
 * What the simulation asks of the database itself once all is at rest, besides what the history checker sees from the
 * outside; and the final read that the checker needs.
 */

import type { Database, Value } from "../../core/store/database.ts";
import type { HistoryRecord } from "../support/history.ts";
import type { Confirmed } from "./operator.ts";
import type { Ended } from "./work.ts";
import type { Finding, World } from "./world.ts";

type Row = Record<string, Value>;

async function readAll(disk: Database, sql: string): Promise<readonly Row[]> {
  return (await disk.read({ sql, parameters: [] })).rows;
}

/** Whether every delivery has ended. */
export async function isAtRest(disk: Database): Promise<boolean> {
  return (await readAll(disk, "SELECT 1 FROM deliveries WHERE finished_at IS NULL LIMIT 1")).length === 0;
}

/** Reads everything there is and was, as the last records of the history. */
export async function readFinally(disk: Database): Promise<HistoryRecord[]> {
  const events = await readAll(
    disk,
    `SELECT e.id, e.seq, e.item, r.raw FROM all_events AS e LEFT JOIN all_requests AS r ON r.id = e.request_id ORDER BY e.seq`,
  );
  const deliveries = await readAll(
    disk,
    `SELECT d.id, e.id AS event, q.route, q.target, d.lane, d.seq, d.state, coalesce(d.redelivery_of, iif(d.origin = 'replay', 'replay', NULL)) AS redelivery_of, d.result
      FROM all_deliveries AS d JOIN queues AS q ON q.id = d.queue LEFT JOIN all_events AS e ON e.seq = d.event_seq ORDER BY d.seq`,
  );
  return [
    { kind: "final" },
    ...events.map((row): HistoryRecord => {
      const text = (row.item as string | null) ?? new TextDecoder().decode(row.raw as Uint8Array);
      // The key is read from the body: what the engine made of it is what is being judged.
      return { kind: "event", id: row.id as string, seq: row.seq as number, key: JSON.parse(text).id, digest: text };
    }),
    ...deliveries.map((row): HistoryRecord => ({
      kind: "delivery",
      id: row.id as string,
      eventId: row.event as string,
      queue: row.target === "" ? row.route as string : `${row.route}/${row.target}`,
      lane: (row.lane as string | null) ?? undefined,
      seq: row.seq as number,
      state: row.state as string,
      redeliveryOf: (row.redelivery_of as string | null) ?? undefined,
      winner: row.state === "succeeded" && row.result !== null ? JSON.parse(row.result as string) : undefined,
    })),
  ];
}

/** The lanes must hold at every moment: one live delivery, and it is the first that is open. */
export async function checkLaneHeads(disk: Database): Promise<Finding[]> {
  const wrong = await readAll(
    disk,
    `SELECT queue, lane, sum(state <> 'blocked') AS live, min(seq) AS first,
      min(CASE WHEN state <> 'blocked' THEN seq END) AS head
      FROM deliveries WHERE lane IS NOT NULL AND finished_at IS NULL GROUP BY queue, lane
      HAVING live <> 1 OR head <> first`,
  );
  return wrong.map((row) => ({
    name: "LANE",
    subject: `queue ${row.queue} ${row.lane}`,
    detail: `${row.live} live deliveries; the first open one is ${row.first}, the live one ${row.head}`,
  }));
}

/** Holds the rows at the end against what was confirmed and what work was seen. */
export async function checkFinally(
  world: World,
  seen: { confirmed: Confirmed; outcomes: ReadonlyMap<string, readonly Ended[]> },
): Promise<Finding[]> {
  const { disk } = world;
  const findings: Finding[] = [];
  const report = (name: string, subject: string, detail: string): void => void findings.push({ name, subject, detail });
  for (const row of await readAll(disk, "PRAGMA integrity_check")) {
    if (row.integrity_check !== "ok") report("CORRUPT", "database", String(row.integrity_check));
  }
  for (const row of await readAll(disk, "PRAGMA foreign_key_check")) report("CORRUPT", String(row.table), "orphan row");

  const rows = await readAll(
    disk,
    `WITH versioned AS MATERIALIZED (
        SELECT v.seq, v.version = json_extract(coalesce(e.item, CAST(r.raw AS TEXT)), '$.version') AS on_first_scale
        FROM all_deliveries AS v JOIN all_events AS e ON e.seq = v.event_seq JOIN all_requests AS r ON r.id = e.request_id)
      SELECT d.id, d.state, d.executions, d.failures, d.reason, q.route,
      EXISTS (SELECT 1 FROM all_deliveries AS n WHERE n.queue = d.queue AND n.lane = d.lane AND n.version > d.version
        AND (SELECT on_first_scale FROM versioned WHERE seq = n.seq) = (SELECT on_first_scale FROM versioned WHERE seq = d.seq)
        AND n.finished_at IS NOT NULL AND n.state IN ('succeeded', 'dead')) AS outdated,
      (SELECT count(*) FROM all_attempts AS a WHERE a.delivery = d.seq) AS attempts,
      (SELECT count(*) FROM all_attempts AS a WHERE a.delivery = d.seq AND a.outcome = 'failed'
        AND a.reason = 'the engine that ran it is gone') AS lost
      FROM all_deliveries AS d JOIN queues AS q ON q.id = d.queue`,
  );
  const { confirmed, outcomes } = seen;
  const known = new Set(rows.map(({ id }) => id as string));
  for (const id of confirmed.redelivered) {
    if (!known.has(id)) report("LOST", id, "its redelivery was confirmed, and it is not in the log");
  }
  for (const row of rows) {
    const id = row.id as string;
    const ended = outcomes.get(id) ?? [];
    // An inline handler is judged for the death of its engine, whatever it had done by then and even if nobody saw it.
    const lost = row.lost as number;
    const told = [...ended, ...Array<Ended>(lost).fill("cut")];
    if (lost > 0 && !(row.route as string).startsWith("inline")) {
      report("BLAMED", id, `the death of its engine counted ${lost} times against what cannot have caused it`);
    }
    const reason = `${row.state}: ${row.reason}; its runs: ${ended.join(", ")}`;
    if (row.state === "dead" && !mayBeDead(told, attemptsMin(world, row.route as string))) {
      report("EARLY-DEAD", id, reason);
    }
    if (row.state === "dead" && world.swarm.policies[row.route as string]!.onExhausted !== "dead") {
      report("UNPARKED", id, reason);
    }
    if (row.state === "skipped" && !confirmed.skipAsked.has(id) && row.outdated === 0) {
      report("INVENTED", id, `is skipped, and nobody asked for it: ${row.reason}`);
    }
    if (row.state === "cancelled" && !confirmed.cancelled.has(id) && !confirmed.cancelDoubted.get(id)) {
      report("INVENTED", id, "is cancelled, and nobody asked for it");
    }
    if (confirmed.cancelled.has(id) && row.state !== "cancelled") report("LOST", id, `its cancellation: ${reason}`);
    if (row.attempts !== row.executions) {
      report("TORN", id, `was claimed ${row.executions} times and has ${row.attempts} attempts`);
    }
    if (ended.length > (row.executions as number)) {
      report("TORN", id, `ran ${ended.length} times and was claimed ${row.executions} times`);
    }
  }
  return findings;
}

/** Dead is allowed after a rejection, as poison, or when the attempts of the strictest configuration are used up. */
function mayBeDead(ended: readonly Ended[], attempts: number): boolean {
  const count = (...kinds: Ended[]): number => ended.filter((each) => kinds.includes(each)).length;
  return count("rejected") > 0 || count("died", "cut") >= 3 || count("failed", "died", "cut") >= attempts;
}

function attemptsMin(world: World, route: string): number {
  const routes = world.configs.flatMap((config) => config.routes.filter(({ name }) => name === route));
  return Math.min(...routes.map(({ retry }) => retry.attempts));
}
