/**
 * How rows leave the log: from the leaves inwards, so that whatever is left is whole at every moment. Retention and
 * purge choose what goes; both end with the statements of this file.
 */

import type { Retention } from "../domain/config.ts";
import type { Plan, Statement, Value } from "./database.ts";
import { createRowStatement } from "./rows.ts";

/** Most rows that one batch erases. */
export const eraseRowsMax = 250;

/** Most bytes of bodies, results and output that one batch erases; a single larger row goes alone. */
export const eraseBytesMax = 4_194_304;

/** Writes a plan, together with whatever else waits to be written. */
export type Submit = <Answer>(plan: Plan<Answer>) => Promise<Answer>;

/** How long things are kept, and what time it is. */
export interface Terms {
  readonly retention: Retention;
  readonly now: number;
}

/** One batch of retention: what went. */
export interface Expired {
  readonly events: number;
  readonly deliveries: number;
  readonly attempts: number;
  /** Idempotency keys whose window is over. */
  readonly keys: number;
  /** Marks of `skip_older` in lanes where nothing happens any more. */
  readonly marks: number;
  /** Pages given back to the disk. */
  readonly pages: number;
  /** Whether there is more to do at once. */
  readonly more: boolean;
}

/** What one batch of one stage of retention did, and whether the same stage is to go on. */
export type Step = Partial<Expired> & Pick<Expired, "more">;

/** An event that is to go, if it may. */
export interface DoomedEvent {
  readonly seq: number;
  readonly requestId: string;
}

/** What a row, with everything that goes with it, weighs against the limits of a batch. */
export interface Weight {
  readonly rows: number;
  readonly bytes: number;
}

/**
 * A request goes with its last event. Its events are neighbours in the log, because one statement list of one
 * transaction wrote them in order; so the nearest event that is left on either side tells whether another one lives,
 * and no index from requests to events has to be kept for every append.
 */
const deleteRequests = createRowStatement(
  2,
  (values) =>
    `DELETE FROM requests WHERE id IN (SELECT v.column2 FROM (${values}) AS v
     WHERE v.column2 IS NOT (SELECT e.request_id FROM events AS e WHERE e.seq <= v.column1 ORDER BY e.seq DESC LIMIT 1)
       AND v.column2 IS NOT (SELECT e.request_id FROM events AS e WHERE e.seq > v.column1 ORDER BY e.seq LIMIT 1))`,
);

/** Erases the attempts of deliveries. */
export function eraseAttempts(deliveries: readonly number[]): Statement {
  return {
    sql: "DELETE FROM attempts WHERE delivery IN (SELECT value FROM json_each(?))",
    parameters: [JSON.stringify(deliveries)],
  };
}

/** Erases finished deliveries; their attempts must be gone before. */
export function eraseDeliveries(deliveries: readonly number[]): Statement {
  return {
    sql: "DELETE FROM deliveries WHERE seq IN (SELECT value FROM json_each(?)) AND finished_at IS NOT NULL",
    parameters: [JSON.stringify(deliveries)],
  };
}

/**
 * Erases events of which no delivery is left, and then their requests.
 *
 * @param where a further condition on the event, with its values
 */
export function eraseEvents(
  events: readonly DoomedEvent[],
  where: { sql: string; parameters: readonly Value[] } = { sql: "true", parameters: [] },
): Statement[] {
  const seqs = JSON.stringify(events.map(({ seq }) => seq));
  return [
    {
      sql: `DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?)) AND ${where.sql}
        AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event_seq = events.seq)`,
      parameters: [seqs, ...where.parameters],
    },
    ...deleteRequests(events.map(({ seq, requestId }) => [seq, requestId])),
  ];
}

/** As many from the front as one batch erases: at least one, so that something always goes. */
export function takeBatch<Row extends Weight>(found: readonly Row[]): Row[] {
  let [rows, bytes] = [0, 0];
  const end = found.findIndex((row) => (rows += row.rows) > eraseRowsMax || (bytes += row.bytes) > eraseBytesMax);
  return found.slice(0, end === -1 ? found.length : Math.max(1, end));
}
