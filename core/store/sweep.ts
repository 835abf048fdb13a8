/**
 * The sweeps of retention: each goes through finished deliveries, or events, from the oldest on, erases what is old
 * enough, and remembers where it stands, so that what has to stay is looked at once and not every time.
 *
 * Where a sweep stands is kept in memory alone: an engine that starts again begins again and finds what is left.
 */

import type { Database, Plan, Value } from "./database.ts";
import {
  type DoomedEvent,
  eraseAttempts,
  eraseDeliveries,
  eraseEvents,
  eraseRowsMax,
  type Expired,
  type Step,
  type Submit,
  takeBatch,
  type Terms,
} from "./erase.ts";

/** How many rows a sweep looks at in one batch. */
const lookRowsMax = 500;

/** One batch of a sweep. */
export type Sweep = (terms: Terms) => Promise<Step>;

/** Makes the sweeps, each at its beginning. In this order what one sets free is found by the next. */
export function createSweeps(database: Database, submit: Submit): readonly Sweep[] {
  return [
    sweepFinished(database, submit, attemptsOfKept),
    sweepFinished(database, submit, deliveriesThatEnded),
    sweepFinished(database, submit, deadLetters),
    sweepEvents(database, submit),
  ];
}

/** What a sweep over finished deliveries looks for. */
interface Sought {
  /** Only what finished before. */
  before(terms: Terms): number;
  isSought(state: string): boolean;
  /** `?1` is a JSON list of deliveries; answers their weight, and whatever `erase` needs. */
  readonly weigh: string;
  /** Undefined when there is nothing to erase. */
  erase(found: readonly Found[], terms: Terms): Plan<Partial<Expired>> | undefined;
}

/** A finished delivery on the way of a sweep. */
interface Found {
  readonly seq: number;
  readonly rows: number;
  readonly bytes: number;
  readonly eventSeq: number;
  readonly requestId: string;
}

const attemptsOf = "(SELECT count(*) FROM attempts AS a WHERE a.delivery = d.seq)";
const outputOf = "(SELECT coalesce(sum(octet_length(a.output)), 0) FROM attempts AS a WHERE a.delivery = d.seq)";

/** The history of deliveries that stay themselves; of one delivery it goes all at once. */
const attemptsOfKept: Sought = {
  before: ({ now, retention }) => now - retention.attemptsMs,
  isSought: () => true,
  weigh: `SELECT d.seq, ${attemptsOf} AS rows, ${outputOf} AS bytes
    FROM json_each(?1) AS j CROSS JOIN deliveries AS d ON d.seq = j.value`,
  erase(found) {
    const tried = found.filter(({ rows }) => rows > 0).map(({ seq }) => seq);
    if (tried.length === 0) return undefined;
    return { statements: [eraseAttempts(tried)], read: ([gone]) => ({ attempts: gone!.changes }) };
  },
};

const weighDeliveries = `SELECT d.seq, e.seq AS "eventSeq", e.request_id AS "requestId", ${attemptsOf} + 3 AS rows,
    ${outputOf} + coalesce(octet_length(d.result), 0) + coalesce(octet_length(e.item), 0) + length(r.raw) AS bytes
  FROM json_each(?1) AS j CROSS JOIN deliveries AS d ON d.seq = j.value
  CROSS JOIN events AS e ON e.seq = d.event_seq CROSS JOIN requests AS r ON r.id = e.request_id`;

/**
 * Deliveries with their attempts. An event that is old enough goes with the last of its deliveries. What repeats a dead
 * letter stays for as long as that does: without it the dead letter would look as if nobody had seen to it.
 */
const deliveriesThatEnded: Sought = {
  before: ({ now, retention }) => now - retention.eventsMs,
  isSought: (state) => state !== "dead",
  weigh: `${weighDeliveries} WHERE NOT EXISTS (SELECT 1 FROM deliveries AS p WHERE p.id = d.redelivery_of)`,
  erase(found, { now, retention }) {
    if (found.length === 0) return undefined;
    const seqs = found.map(({ seq }) => seq);
    const events = planEvents(found.map((row) => ({ ...row, seq: row.eventSeq })), now - retention.eventsMs);
    return {
      statements: [eraseAttempts(seqs), eraseDeliveries(seqs), ...events.statements],
      read: ([attempts, deliveries, ...rest]) => ({
        attempts: attempts!.changes,
        deliveries: deliveries!.changes,
        ...events.read(rest),
      }),
    };
  },
};

const deadLetters: Sought = {
  ...deliveriesThatEnded,
  weigh: weighDeliveries,
  before: ({ now, retention }) => now - retention.deadMs,
  isSought: (state) => state === "dead",
};

const weighEvents =
  `SELECT e.seq, e.request_id AS "requestId", 2 AS rows, coalesce(octet_length(e.item), 0) + length(r.raw) AS bytes
  FROM json_each(?1) AS j CROSS JOIN events AS e ON e.seq = j.value CROSS JOIN requests AS r ON r.id = e.request_id`;

function planEvents(events: readonly DoomedEvent[], before: number): Plan<{ events: number }> {
  return {
    statements: eraseEvents(events, { sql: "received_at <= ?", parameters: [before] }),
    read: ([gone]) => ({ events: gone!.changes }),
  };
}

/** Goes along the index of what has finished, by time and then by position. */
function sweepFinished(database: Database, submit: Submit, sought: Sought): Sweep {
  let [afterAt, afterSeq] = [Number.MIN_SAFE_INTEGER, 0];

  return async (terms) => {
    const { rows: passed } = await database.read({
      sql: `SELECT seq, finished_at, state FROM deliveries
        WHERE (finished_at, seq) > (?, ?) AND finished_at <= ? ORDER BY finished_at, seq LIMIT ?`,
      parameters: [afterAt, afterSeq, sought.before(terms), lookRowsMax],
    });
    const hits = passed.filter(({ state }) => sought.isSought(state as string)).slice(0, eraseRowsMax);
    const weighed = await weigh(database, sought.weigh, hits);
    const found = takeBatch(weighed);
    const plan = sought.erase(found, terms);
    const done = plan === undefined ? {} : await submit(plan);
    // Only now: a batch that failed is tried again.
    const last = found.length < weighed.length
      ? found.at(-1)
      : hits.length < eraseRowsMax
      ? passed.at(-1)
      : hits.at(-1);
    if (last !== undefined) {
      const { seq, finished_at } = passed.find(({ seq }) => seq === last.seq)!;
      [afterAt, afterSeq] = [finished_at as number, seq as number];
    }
    return { ...done, more: passed.length === lookRowsMax || last?.seq !== passed.at(-1)?.seq };
  };
}

/**
 * Goes through the log in its order, for events that no delivery took with it: no route matched, or they were not old
 * enough when the last one went. Whatever it passes with a delivery left goes with that.
 */
function sweepEvents(database: Database, submit: Submit): Sweep {
  let after = 0;

  return async ({ now, retention }) => {
    const before = now - retention.eventsMs;
    const { rows: passed } = await database.read({
      sql: `SELECT e.seq, e.received_at, NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event_seq = e.seq) AS bare
        FROM events AS e WHERE e.seq > ? ORDER BY e.seq LIMIT ?`,
      parameters: [after, lookRowsMax],
    });
    // What came later is younger. What came in the future, by a clock that was wrong, says nothing about the rest.
    const young = passed.findIndex((row) => (row.received_at as number) > before && (row.received_at as number) <= now);
    const old = young === -1 ? passed : passed.slice(0, young);
    const hits = old.filter((row) => row.bare === 1 && (row.received_at as number) <= before).slice(0, eraseRowsMax);
    const weighed = await weigh(database, weighEvents, hits);
    const found = takeBatch(weighed);
    const done = found.length === 0 ? {} : await submit(planEvents(found, before));
    const last = found.length < weighed.length ? found.at(-1) : hits.length < eraseRowsMax ? old.at(-1) : hits.at(-1);
    if (last !== undefined) after = last.seq as number;
    return { ...done, more: old.length === lookRowsMax || last?.seq !== old.at(-1)?.seq };
  };
}

async function weigh(database: Database, sql: string, hits: readonly Record<string, Value>[]): Promise<Found[]> {
  if (hits.length === 0) return [];
  const { rows } = await database.read({ sql, parameters: [JSON.stringify(hits.map(({ seq }) => seq))] });
  return rows as unknown as Found[];
}
