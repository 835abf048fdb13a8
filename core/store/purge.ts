/**
 * A person's word to erase events with everything that belongs to them, finished or not. An event of which something
 * runs stays: what is going on now would otherwise end nowhere. Idempotency keys stay, so that what was erased does
 * not run again when its sender repeats it.
 */

import type { Database, Plan, Value } from "./database.ts";
import { cancelEvents } from "./deliveries.ts";
import { type DoomedEvent, eraseEvents, type Submit, takeBatch, type Weight } from "./erase.ts";
import { storableText } from "./text.ts";

/** How many events one batch looks at. */
const lookRowsMax = 1_000;

/** Which events to erase; all that is given must hold. */
export interface PurgeFilter {
  readonly ids?: readonly string[];
  readonly source?: string;
  readonly type?: string;
  /** Only received at or after. Epoch milliseconds. */
  readonly since?: number;
  /** Only received before. Epoch milliseconds. */
  readonly until?: number;
}

/** Where one batch of a purge begins, and whether it only counts. */
export interface PurgeAt {
  readonly now: number;
  /** Only events after this position. */
  readonly after?: number;
  /** Only events before this position. */
  readonly before?: number;
  readonly dryRun?: boolean;
}

/** What one batch of a purge erased, or would. */
export interface Purged {
  readonly events: number;
  readonly deliveries: number;
  /** Of these deliveries: work that was acknowledged and had not come to its end. */
  readonly unfinished: number;
  /** Events that stay because something of theirs runs. */
  readonly running: number;
  /** There may be more: go on after this position. */
  readonly next?: number;
}

/** A row of the log that the filter was held against; the rest is read only where it fits. */
interface Looked extends Weight, DoomedEvent {
  readonly fits: 0 | 1;
  readonly deliveries: number;
  readonly unfinished: number;
  readonly running: 0 | 1;
}

/** Erases, or counts, one batch of what a filter describes. */
export async function purgeBatch(
  database: Database,
  filter: PurgeFilter,
  at: PurgeAt & { submit: Submit },
): Promise<Purged> {
  const looked = await look(database, filter, at);
  const fitting = looked.filter(({ fits }) => fits === 1);
  const free = fitting.filter(({ running }) => running === 0);
  const taken = at.dryRun ? free : takeBatch(free);
  const last = taken.length < free.length ? taken.at(-1)! : looked.at(-1);
  const sum = (of: "deliveries" | "unfinished") => taken.reduce((total, event) => total + event[of], 0);
  const counted = {
    events: taken.length,
    deliveries: sum("deliveries"),
    unfinished: sum("unfinished"),
    running: fitting.filter(({ seq, running }) => running === 1 && seq <= last!.seq).length,
    next: looked.length === lookRowsMax || last !== looked.at(-1) ? last?.seq : undefined,
  };
  if (at.dryRun || taken.length === 0) return counted;
  return { ...counted, ...await at.submit(planPurge(taken, at.now)) };
}

async function look(
  database: Database,
  filter: PurgeFilter,
  { after = 0, before = Number.MAX_SAFE_INTEGER }: PurgeAt,
): Promise<Looked[]> {
  const conditions: [sql: string, value: Value | undefined][] = [
    ["e.source = ?", filter.source],
    ["e.type = ?", storableText(filter.type) ?? undefined],
    ["e.received_at >= ?", filter.since],
    ["e.received_at < ?", filter.until],
  ];
  const given = conditions.filter(([, value]) => value !== undefined);
  const ids = filter.ids === undefined ? [] : [JSON.stringify(filter.ids)];
  const { rows } = await database.read({
    sql: `SELECT w.seq, w.request_id AS "requestId", w.fits,
        iif(w.fits, (SELECT count(*) FROM deliveries AS d WHERE d.event_seq = w.seq), 0) AS deliveries,
        iif(w.fits, (SELECT count(*) FROM deliveries AS d
          WHERE d.event_seq = w.seq AND d.finished_at IS NULL), 0) AS unfinished,
        iif(w.fits, EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event_seq = w.seq AND d.state = 'running'), 0) AS running,
        iif(w.fits, (SELECT count(*) FROM deliveries AS d JOIN attempts AS a ON a.delivery = d.seq
          WHERE d.event_seq = w.seq), 0) AS attempts,
        iif(w.fits, (SELECT length(r.raw) FROM requests AS r WHERE r.id = w.request_id), 0) AS bytes
      FROM (SELECT e.seq, e.request_id, ${["1", ...given.map(([sql]) => `(${sql})`)].join(" AND ")} AS fits
        FROM events AS e WHERE ${
      ids.length > 0 ? "e.id IN (SELECT value FROM json_each(?)) AND" : ""
    } e.seq > ? AND e.seq < ?
        ORDER BY e.seq LIMIT ?) AS w`,
    parameters: [...given.map(([, value]) => value!), ...ids, after, before, lookRowsMax],
  });
  return rows.map((row) => ({
    ...row as unknown as Looked,
    rows: 2 + (row.deliveries as number) + (row.attempts as number),
  }));
}

/** Everything is guarded by what the transaction itself finds: something may have begun to run since we looked. */
function planPurge(events: readonly Looked[], now: number): Plan<Omit<Purged, "running" | "next">> {
  const seqs = JSON.stringify(events.map(({ seq }) => seq));
  const ended = `SELECT d.seq FROM json_each(?) AS j CROSS JOIN deliveries AS d ON d.event_seq = j.value
    WHERE d.finished_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM deliveries AS r WHERE r.event_seq = d.event_seq AND r.state = 'running')`;
  const before = [
    ...cancelEvents(seqs, { now, reason: "purged" }),
    { sql: `DELETE FROM attempts WHERE delivery IN (${ended})`, parameters: [seqs] },
  ];
  return {
    statements: [
      ...before,
      { sql: `DELETE FROM deliveries WHERE seq IN (${ended})`, parameters: [seqs] },
      ...eraseEvents(events),
    ],
    read(results) {
      const [cancelled] = results;
      const [deliveries, gone] = results.slice(before.length);
      return { events: gone!.changes, deliveries: deliveries!.changes, unfinished: cancelled!.changes };
    },
  };
}
