/**
 * Taking work: one statement per queue that has credit, then one that reads what was taken. Bodies are read beside it
 * when they are large, because a server refuses to answer with more than some megabytes at once.
 */

import type { Database, Plan, Value } from "./database.ts";
import { beginClaim, type Claimant, claimFrom, countDueOf, endClaim, nextDue } from "./flow.ts";
import { createRowStatement } from "./rows.ts";
import type { Claim, ClaimedDelivery, Credit, QueueId } from "./record.ts";

/** Most bytes of requests that come along with a claim; a delivery whose share is larger has its request read by itself. */
export const claimBytesMax = 4_194_304;

/** `length` of a BLOB and `octet_length` of a text read the row's header, not the value. */
const fits = "octet_length(r.headers) + octet_length(r.query) + length(r.raw) <= v.column3";

const readClaimed = createRowStatement(
  3,
  (values) =>
    `SELECT d.seq, d.id, d.queue, d.token, d.lane, d.version, d.executions, d.failures, d.deaths, d.lineage,
     e.id AS event_id, e.request_id, e.source, e.type, e.idem_key, e.time, e.received_at,
     iif(${fits}, r.headers, NULL) AS headers, iif(${fits}, r.query, NULL) AS query, iif(${fits}, r.raw, NULL) AS raw,
     iif(octet_length(e.item) <= v.column3, e.item, NULL) AS item, e.item IS NOT NULL AS has_item
   FROM (${values}) AS v
   CROSS JOIN deliveries AS d ON d.queue = v.column1 AND d.state = 'running' AND d.token = v.column2
   CROSS JOIN events AS e ON e.seq = d.event_seq CROSS JOIN requests AS r ON r.id = e.request_id`,
);

type Row = Record<string, Value>;

/** What a claim took, not yet complete. */
export interface ClaimedRows extends Omit<Claim, "deliveries"> {
  readonly rows: readonly Row[];
}

/** Plans one claim per queue with credit, and the question when to ask again. */
export function planClaim(
  credits: readonly Credit[],
  claim: Claimant,
): Plan<ClaimedRows> {
  const { token, now } = claim;
  const open = credits.filter(({ limit }) => limit > 0);
  const share = Math.floor(claimBytesMax / open.reduce((sum, { limit }) => sum + limit, 1));
  const claims = [...beginClaim(claim), ...credits.flatMap((credit) => claimFrom(credit, claim)), ...endClaim(claim)];
  const reads = readClaimed(open.map(({ queue }) => [queue, token, share]));
  const nexts = nextDue(credits, now);
  return {
    statements: [...claims, ...reads, ...nexts],
    read(results) {
      const rows = results.slice(claims.length, claims.length + reads.length).flatMap((result) => result.rows);
      const asked = results.slice(claims.length + reads.length).flatMap((result) => result.rows);
      const nextDueAt = Math.min(...asked.flatMap(({ next }) => next === null ? [] : [Number(next)]));
      return {
        rows,
        nextDueAt: Number.isFinite(nextDueAt) ? Math.ceil(nextDueAt) : undefined,
        waiting: asked.flatMap(({ queue, due }) => due === 1 ? [queue as QueueId] : []),
        suspects: asked.flatMap(({ queue, suspect }) => suspect === 1 ? [queue as QueueId] : []),
      };
    },
  };
}

/** Plans the question how many deliveries each credit would bring now. */
export function planCountDue(credits: readonly Credit[], now: number): Plan<number[]> {
  return {
    statements: credits.map((credit) => countDueOf(credit, now)),
    read: (results) => results.map(({ rows }) => Number(rows[0]!.due)),
  };
}

/** Reads the requests that did not come along, each once, and puts the claim together in log order. */
export async function completeClaim(database: Database, claimed: ClaimedRows): Promise<Claim> {
  const apart = new Map<Value | undefined, Row>();
  const deliveries: ClaimedDelivery[] = [];
  for (const row of claimed.rows) {
    let request = row.raw === null ? apart.get(row.request_id) : row;
    if (request === undefined) {
      request = await readRow(database, "SELECT headers, query, raw FROM requests WHERE id = ?", row.request_id!);
      apart.set(row.request_id, request);
    }
    const { item } = row.has_item && row.item === null
      ? await readRow(database, "SELECT item FROM events WHERE id = ?", row.event_id!)
      : row;
    deliveries.push(toClaimed({ ...row, ...request, item: item! }));
  }
  const { rows: _, ...rest } = claimed;
  return { ...rest, deliveries: deliveries.sort((a, b) => a.seq - b.seq) };
}

async function readRow(database: Database, sql: string, id: Value): Promise<Row> {
  return (await database.read({ sql, parameters: [id] })).rows[0]!;
}

function toClaimed(row: Row): ClaimedDelivery {
  return {
    seq: row.seq as number,
    id: row.id as string,
    queue: row.queue as number,
    token: row.token as string,
    lane: (row.lane as string | null) ?? undefined,
    version: (row.version as number | null) ?? undefined,
    executions: row.executions as number,
    failures: row.failures as number,
    deaths: row.deaths as number,
    lineage: row.lineage as string,
    event: {
      id: row.event_id as string,
      source: row.source as string,
      type: row.type as string,
      idempotencyKey: (row.idem_key as string | null) ?? undefined,
      time: (row.time as number | null) ?? undefined,
      receivedAt: row.received_at as number,
      headers: JSON.parse(row.headers as string),
      query: row.query as string,
      raw: row.raw as Uint8Array,
      item: (row.item as string | null) ?? undefined,
    },
  };
}
