/**
 * What people ask of the log: one event, one delivery, pages of either, and the state of the queues. Every query reads
 * a bounded number of rows in a single statement, so that no reader holds up the WAL.
 */

import { type Kysely, type RawBuilder, type Selectable, sql } from "kysely";
import type { DeliveryState } from "../domain/delivery.ts";
import { toPaused } from "./pauses.ts";
import type { QueuesTable, Tables } from "./schema.ts";
import type {
  AttemptRow,
  DeliveryDetail,
  DeliveryFilter,
  DeliveryRow,
  EventDetail,
  EventFilter,
  EventRow,
  Page,
  QueueGate,
  QueueRow,
} from "./view.ts";
import { storableText } from "./text.ts";

/** Most rows of one page. */
export const pageRowsMax = 500;

/** Most attempts shown of one delivery, the latest; each can carry tens of kilobytes of output. */
export const attemptsShownMax = 50;

/** Reads a page of events, newest first. */
export async function listEvents(db: Kysely<Tables>, filter: EventFilter): Promise<Page<EventRow>> {
  const ascending = filter.after !== undefined;
  let query = selectEvents(db).orderBy("e.seq", ascending ? "asc" : "desc").limit(pageLimit(filter.limit));
  if (filter.source !== undefined) query = query.where("e.source", "=", filter.source);
  if (filter.type !== undefined) query = query.where("e.type", "=", storableText(filter.type)!);
  if (filter.since !== undefined) query = query.where("e.received_at", ">=", filter.since);
  if (filter.until !== undefined) query = query.where("e.received_at", "<", filter.until);
  if (filter.before !== undefined) query = query.where("e.seq", "<", filter.before);
  if (filter.after !== undefined) query = query.where("e.seq", ">", filter.after);
  const found = await query.execute();
  const states = await countStates(db, found.map(({ seq }) => seq));
  return toPage(found.map((row) => toEventRow(row, states.get(row.seq) ?? {})), filter);
}

/** Reads one event with the request that carried it and its deliveries. */
export async function readEvent(db: Kysely<Tables>, id: string): Promise<EventDetail | undefined> {
  const row = await selectEvents(db)
    .innerJoin("requests as r", "r.id", "e.request_id")
    .select(["e.item", "r.headers", "r.query", "r.raw"])
    .where("e.id", "=", id)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { rows } = await listDeliveries(db, { eventId: id, limit: pageRowsMax });
  const states: Partial<Record<DeliveryState, number>> = {};
  for (const { state } of rows) states[state] = (states[state] ?? 0) + 1;
  return {
    ...toEventRow(row, states),
    query: row.query,
    headers: JSON.parse(row.headers),
    raw: row.raw,
    item: row.item ?? undefined,
    deliveryRows: rows,
  };
}

/** States with a partial index of their own. Their rows are few beside the finished ones, so they are sorted, not searched for. */
const indexedStates: ReadonlySet<DeliveryState | undefined> = new Set(["ready", "running", "parked", "dead"] as const);

/** "+" keeps SQLite from walking the whole table backwards; a state as a literal lets it use that state's index. */
function seqOf({ state }: { state?: DeliveryState }): RawBuilder<number> {
  return sql.raw(indexedStates.has(state) ? "+seq" : "seq");
}

/** Reads a page of deliveries. The page is found first and dressed afterwards. */
export async function listDeliveries(db: Kysely<Tables>, filter: DeliveryFilter): Promise<Page<DeliveryRow>> {
  const seq = seqOf(filter);
  const order = filter.after === undefined ? "desc" : "asc";
  let found = selectMatching(db, filter).select("seq").orderBy(seq, order).limit(pageLimit(filter.limit));
  if (filter.after !== undefined) found = found.where(seq, ">", filter.after);
  const rows = await selectDeliveries(db).where("d.seq", "in", found).orderBy("d.seq", order).execute();
  return toPage(rows.map(toDeliveryRow), filter);
}

/** Counts what a filter matches. */
export async function countDeliveries(
  db: Kysely<Tables>,
  filter: Omit<DeliveryFilter, "limit" | "after">,
): Promise<number> {
  const { count } = await selectMatching(db, filter)
    .select((eb) => eb.fn.countAll<number>().as("count")).executeTakeFirstOrThrow();
  return count;
}

// deno-lint-ignore explicit-function-return-type -- Kysely infers the row, no one could write it out
function selectMatching(db: Kysely<Tables>, filter: Omit<DeliveryFilter, "limit" | "after">) {
  let found = db.selectFrom("deliveries");
  if (filter.route !== undefined || filter.target !== undefined) {
    let queues = db.selectFrom("queues").select("id");
    if (filter.route !== undefined) queues = queues.where("route", "=", filter.route);
    if (filter.target !== undefined) queues = queues.where("target", "=", filter.target);
    found = found.where("queue", "in", queues);
  }
  if (filter.lane !== undefined) found = found.where("lane", "=", storableText(filter.lane));
  if (filter.state !== undefined) found = found.where("state", "=", sql.lit(filter.state));
  // Nothing new is said here; it is what the index of lanes is to be recognised by.
  if (filter.state === "blocked") found = found.where("lane", "is not", null).where("finished_at", "is", null);
  if (filter.eventId !== undefined) {
    found = found.where("event_seq", "=", db.selectFrom("events").select("seq").where("id", "=", filter.eventId));
  }
  if (filter.source !== undefined) {
    found = found.where((eb) =>
      eb.exists(
        eb.selectFrom("events as e").select(sql.lit(1).as("one"))
          .whereRef("e.seq", "=", "deliveries.event_seq").where("e.source", "=", filter.source!),
      )
    );
  }
  if (filter.since !== undefined) found = found.where("created_at", ">=", filter.since);
  if (filter.until !== undefined) found = found.where("created_at", "<", filter.until);
  if (filter.before !== undefined) found = found.where(seqOf(filter), "<", filter.before);
  if (filter.unrepeated) {
    found = found.where(({ not, exists, selectFrom }) =>
      not(exists(
        selectFrom("deliveries as r").select(sql.lit(1).as("one"))
          .whereRef("r.event_seq", "=", "deliveries.event_seq").whereRef("r.redelivery_of", "=", "deliveries.id"),
      ))
    );
  }
  return found;
}

/** Reads one delivery with its attempts. */
export async function readDelivery(db: Kysely<Tables>, id: string): Promise<DeliveryDetail | undefined> {
  const row = await selectDeliveries(db).select(["d.result", "d.event_seq"]).where("d.id", "=", id).executeTakeFirst();
  if (row === undefined) return undefined;
  const attempts = await db.selectFrom("attempts").selectAll()
    .where("delivery", "=", row.seq).orderBy("n", "desc").limit(attemptsShownMax).execute();
  return {
    ...toDeliveryRow(row),
    result: row.result ?? undefined,
    redeliveredAs: await readSuccessor(db, row),
    attempts: attempts.reverse().map((attempt): AttemptRow => ({
      n: attempt.n,
      startedAt: attempt.started_at,
      finishedAt: attempt.finished_at,
      outcome: attempt.outcome,
      reason: attempt.reason ?? undefined,
      output: attempt.output ?? undefined,
      codeHash: attempt.code_hash ?? undefined,
    })),
  };
}

/** Reads what came after a delivery in its lineage, which is as long as people have made it, and takes the latest of its own. */
async function readSuccessor(
  db: Kysely<Tables>,
  { id, seq, lineage, event_seq }: { id: string; seq: number; lineage: string; event_seq: number },
): Promise<DeliveryDetail["redeliveredAs"]> {
  const later = await db.selectFrom("deliveries").select(["id", "state", "redelivery_of"])
    .where("event_seq", "=", event_seq).where("lineage", "=", lineage).where("seq", ">", seq).orderBy("seq").execute();
  const line = new Set<string | null>([id]);
  let latest: DeliveryDetail["redeliveredAs"];
  for (const { id, state, redelivery_of } of later) {
    if (!line.has(redelivery_of)) continue;
    line.add(id);
    latest = { id, state };
  }
  return latest;
}

/** Each line reads one partial index and nothing else, so finished work and, but for its index entry, waiting work cost nothing. */
const queueCounts = sql<
  { queue: number; of: keyof QueueRow; count: number; oldest: number | null }
>`
  SELECT queue, 'ready' AS of, count(*) AS count, min(created_at) AS oldest FROM deliveries WHERE state = 'ready' GROUP BY queue
  UNION ALL SELECT queue, 'running', count(*), min(created_at) FROM deliveries WHERE state = 'running' GROUP BY queue
  UNION ALL SELECT queue, 'parked', count(*), min(created_at) FROM deliveries WHERE state = 'parked' GROUP BY queue
  UNION ALL SELECT queue, 'dead', count(*), NULL FROM deliveries WHERE state = 'dead' GROUP BY queue`;

/** One walk along the index of lanes. The oldest head is the one that came first: position is the order of the log. */
const laneCounts = sql<{ queue: number; lanes: number; open: number; depth: number; head: number }>`
  SELECT totals.*, d.created_at AS head
  FROM (SELECT queue, count(*) AS lanes, sum(depth) AS open, max(depth) AS depth, min(first) AS first
    FROM (SELECT queue, count(*) AS depth, min(seq) AS first FROM deliveries
      WHERE lane IS NOT NULL AND finished_at IS NULL GROUP BY queue, lane) AS lanes GROUP BY queue) AS totals
  CROSS JOIN deliveries AS d ON d.seq = totals.first`;

/** Reads what decides whether a queue lets anything through. */
export async function listGates(db: Kysely<Tables>): Promise<QueueGate[]> {
  const queues = await db.selectFrom("queues").selectAll()
    .select((eb) =>
      eb.selectFrom("deliveries").select((d) => d.fn.countAll<number>().as("count"))
        .whereRef("queue", "=", "queues.id").where("state", "=", sql.lit<DeliveryState>("running")).as("running")
    )
    .orderBy("route").orderBy("target").execute();
  return queues.map((queue) => ({ ...toGate(queue), running: queue.running ?? 0 }));
}

/** Counts the open and the dead deliveries of every queue. The oldest open one is never blocked: what blocks it is older. */
export async function listQueues(db: Kysely<Tables>): Promise<QueueRow[]> {
  const queues = await db.selectFrom("queues").selectAll().orderBy("route").orderBy("target").execute();
  const { rows } = await queueCounts.execute(db);
  const { rows: laneRows } = await laneCounts.execute(db);
  return queues.map((queue) => {
    const laned = laneRows.find((row) => row.queue === queue.id);
    const own = rows.filter((row) => row.queue === queue.id);
    const count = (of: (typeof rows)[number]["of"]): number => own.find((row) => row.of === of)?.count ?? 0;
    const oldest = own.flatMap((row) => row.oldest ?? []);
    return {
      ...toGate(queue),
      ready: count("ready"),
      // Every lane with something open in it has one head, which is not blocked.
      blocked: laned === undefined ? 0 : laned.open - laned.lanes,
      running: count("running"),
      parked: count("parked"),
      dead: count("dead"),
      oldestAt: oldest.length > 0 ? Math.min(...oldest) : undefined,
      lanes: laned?.lanes ?? 0,
      laneDepthMax: laned?.depth ?? 0,
      laneHeadAt: laned?.head,
    };
  });
}

function toGate(queue: Selectable<QueuesTable>): Omit<QueueGate, "running"> {
  return {
    route: queue.route,
    target: queue.target,
    paused: toPaused(queue),
    breaker: { failures: queue.failures, openUntil: queue.open_until ?? undefined },
    rateAt: queue.rate_at,
  };
}

/** What the keys of refused replays count for the event that they repeat. */
const refused = {
  seen: sql<number>`(SELECT total(r.seen) FROM idempotency AS r WHERE r.event_id = e.id AND r.guarded = 2)`,
  mismatches: sql<number>`(SELECT total(r.mismatches) FROM idempotency AS r WHERE r.event_id = e.id AND r.guarded = 2)`,
  lastAt: sql<number | null>`(SELECT max(r.last_at) FROM idempotency AS r WHERE r.event_id = e.id AND r.guarded = 2)`,
};

// deno-lint-ignore explicit-function-return-type -- Kysely infers the row, no one could write it out
function selectEvents(db: Kysely<Tables>) {
  return db.selectFrom("events as e")
    .leftJoin(
      "idempotency as i",
      (join) =>
        join.onRef("i.source", "=", "e.source").onRef("i.key", "=", "e.idem_key").onRef("i.event_id", "=", "e.id"),
    )
    .select(["e.seq", "e.id", "e.source", "e.type", "e.idem_key", "e.time", "e.received_at", "e.replay_of"])
    .select(["e.duplicates", "e.mismatches", "e.last_duplicate_at"])
    .select(["i.seen as key_seen", "i.mismatches as key_mismatches", "i.last_at as key_last_at"])
    .select([
      refused.seen.as("refused_seen"),
      refused.mismatches.as("refused_mismatches"),
      refused.lastAt.as("refused_last_at"),
    ]);
}

/** What a blocked delivery waits for: the lowest open one of its lane. */
const headOfLane = sql<string | null>`CASE WHEN d.state = 'blocked' THEN (SELECT h.id FROM deliveries AS h
  WHERE h.queue = d.queue AND h.lane = d.lane AND h.lane IS NOT NULL AND h.finished_at IS NULL ORDER BY h.seq LIMIT 1) END`;

// deno-lint-ignore explicit-function-return-type -- as above
function selectDeliveries(db: Kysely<Tables>) {
  return db.selectFrom("deliveries as d")
    .innerJoin("queues as q", "q.id", "d.queue")
    .innerJoin("events as e", "e.seq", "d.event_seq")
    .select(["d.seq", "d.id", "d.queue", "d.lane", "d.state", "d.due_at", "d.executions", "d.failures", "d.reason"])
    .select([
      "d.claimed_at",
      "d.deaths",
      "d.lineage",
      "d.redelivery_of",
      "d.created_at",
      "d.finished_at",
      "d.origin",
      "d.out_of_order",
      "q.route",
      "q.target",
    ])
    .select(["e.id as event_id", "e.type as event_type", "e.source"])
    .select(headOfLane.as("behind"));
}

async function countStates(
  db: Kysely<Tables>,
  seqs: number[],
): Promise<Map<number, Partial<Record<DeliveryState, number>>>> {
  const states = new Map<number, Partial<Record<DeliveryState, number>>>();
  if (seqs.length === 0) return states;
  const counts = await db.selectFrom("deliveries")
    .select((eb) => ["event_seq", "state", eb.fn.countAll<number>().as("count")])
    .where("event_seq", "in", sql<number>`(SELECT value FROM json_each(${JSON.stringify(seqs)}))`)
    .groupBy(["event_seq", "state"])
    .execute();
  for (const { event_seq, state, count } of counts) {
    states.set(event_seq, { ...states.get(event_seq), [state]: count });
  }
  return states;
}

function pageLimit(limit: number): number {
  return Math.max(1, Math.min(limit, pageRowsMax));
}

function toPage<Row extends { seq: number }>(
  rows: Row[],
  { after, limit }: { after?: number; limit: number },
): Page<Row> {
  const next = rows.length === pageLimit(limit) ? rows.at(-1)!.seq : undefined;
  return after === undefined ? { rows, nextBefore: next } : { rows, nextAfter: next };
}

function toEventRow(
  row: Awaited<ReturnType<ReturnType<typeof selectEvents>["executeTakeFirstOrThrow"]>>,
  deliveries: Partial<Record<DeliveryState, number>>,
): EventRow {
  // What its keys count while they live comes on top of what was counted before they left the event.
  const repeats = (row.key_seen ?? 1) - 1;
  const repeatedAt = Math.max(
    row.last_duplicate_at ?? 0,
    row.refused_last_at ?? 0,
    repeats > 0 ? row.key_last_at! : 0,
  );
  return {
    seq: row.seq,
    id: row.id,
    source: row.source,
    type: row.type,
    idempotencyKey: row.idem_key ?? undefined,
    time: row.time ?? undefined,
    receivedAt: row.received_at,
    duplicates: row.duplicates + repeats + row.refused_seen,
    mismatches: row.mismatches + (row.key_mismatches ?? 0) + row.refused_mismatches,
    lastDuplicateAt: repeatedAt === 0 ? undefined : repeatedAt,
    replayOf: row.replay_of ?? undefined,
    deliveries,
  };
}

function toDeliveryRow(
  row: Awaited<ReturnType<ReturnType<typeof selectDeliveries>["executeTakeFirstOrThrow"]>>,
): DeliveryRow {
  return {
    seq: row.seq,
    id: row.id,
    eventId: row.event_id,
    eventType: row.event_type,
    source: row.source,
    route: row.route,
    target: row.target,
    lane: row.lane ?? undefined,
    state: row.state,
    reason: row.reason ?? undefined,
    dueAt: row.state === "ready" ? row.due_at : undefined,
    behind: row.behind ?? undefined,
    claimedAt: row.claimed_at ?? undefined,
    executions: row.executions,
    failures: row.failures,
    deaths: row.deaths,
    createdAt: row.created_at,
    finishedAt: row.finished_at ?? undefined,
    lineage: row.lineage,
    redeliveryOf: row.redelivery_of ?? undefined,
    origin: row.origin,
    outOfOrder: row.out_of_order === 1,
  };
}
