/**
 * The append transaction: idempotency keys, requests, events and deliveries of every request in the group, all or
 * nothing. Which of two events with one key wins is decided inside it, by the statement that writes the key.
 */

import { clockSkewMsMax } from "../domain/clock.ts";
import type { Plan, Statement, Value } from "./database.ts";
import { firstState, skipAndPromote } from "./promotion.ts";
import { createRowStatement } from "./rows.ts";
import type { Appended, NewRequest } from "./record.ts";
import { storableText } from "./text.ts";

/**
 * An expired key is taken over by the statement that would refuse it. The same event again (a batch repeated because
 * its reply was lost) keeps the key that it won.
 */
const upsertKeys = createRowStatement(
  7,
  (values) =>
    `INSERT INTO idempotency (source, key, event_id, sha256, expires_at, seen, last_at, guarded)
   SELECT v.column1, v.column2, v.column3, v.column4, v.column5, 1, v.column6, v.column7 FROM (${values}) AS v WHERE true
   ON CONFLICT (source, key) DO UPDATE SET
     event_id = iif(expires_at <= excluded.last_at, excluded.event_id, event_id),
     sha256 = iif(expires_at <= excluded.last_at, excluded.sha256, sha256),
     seen = CASE WHEN expires_at <= excluded.last_at THEN 1 WHEN event_id = excluded.event_id THEN seen ELSE seen + 1 END,
     mismatches = CASE WHEN expires_at <= excluded.last_at THEN 0
       WHEN event_id = excluded.event_id THEN mismatches ELSE mismatches + (sha256 <> excluded.sha256) END,
     last_at = max(last_at, excluded.last_at),
     guarded = iif(guarded = 2 AND expires_at > excluded.last_at, 2, excluded.guarded),
     expires_at = iif(expires_at <= excluded.last_at, excluded.expires_at, expires_at)
   RETURNING source, key, event_id`,
);

/**
 * The first event that brought the same content under another id, within the window. Of two that arrive in one group the
 * one with the lower id counts as first; whatever is in the log already came before.
 */
const firstWithContent = `(SELECT i.event_id FROM idempotency AS i INDEXED BY idempotency_content
  WHERE i.guarded = 1 AND i.source = v.column3 AND i.sha256 = v.column6 AND i.key <> v.column5 AND i.expires_at > v.column8
    AND (i.event_id < v.column1 OR EXISTS (SELECT 1 FROM events AS e WHERE e.id = i.event_id)) LIMIT 1)`;

const insertEvents = createRowStatement(
  11,
  (values) =>
    `INSERT INTO events (id, request_id, source, type, idem_key, sha256, time, received_at, config_hash, item, replay_of)
   SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, v.column10,
     iif(v.column11 = 'flag', ${firstWithContent}, NULL)
   FROM (${values}) AS v
   WHERE v.column5 IS NULL OR (EXISTS (
     SELECT 1 FROM idempotency AS i WHERE i.source = v.column3 AND i.key = v.column5 AND i.event_id = v.column1)
     AND (v.column11 IS NOT 'refuse' OR ${firstWithContent} IS NULL))
   ON CONFLICT (id) DO NOTHING`,
);

/** Whose content a replay is, as a scalar over a row of source, key, content, event and time. */
const ownerOfContent = (within: string): string =>
  `(SELECT i.event_id FROM idempotency AS i INDEXED BY idempotency_content
    WHERE i.guarded = 1 AND i.source = v.column1 AND i.sha256 = v.column3 AND i.key <> v.column2 ${within}
    ORDER BY EXISTS (SELECT 1 FROM events AS e WHERE e.id = i.event_id) DESC, i.event_id LIMIT 1)`;

/**
 * A key whose event was refused as a replay belongs to the event that it replays: the next repeat finds that one. A purge
 * may have erased that event and kept its key; then it is the oldest that is known. From then on it only counts for that
 * event (`guarded` is 2): nothing is refused because of it, or replays would prolong the window in which they are refused.
 */
const yieldKeys = createRowStatement(
  5,
  (values) =>
    `UPDATE idempotency SET guarded = 2,
       event_id = coalesce(${ownerOfContent("AND i.expires_at > v.column5")}, ${ownerOfContent("")})
     FROM (${values}) AS v
     WHERE idempotency.source = v.column1 AND idempotency.key = v.column2 AND idempotency.event_id = v.column4
       AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.id = v.column4)
     RETURNING source, key, event_id`,
);

/** A request of which every event is a duplicate is not kept. */
const insertRequests = createRowStatement(6, (values) =>
  `INSERT INTO requests (id, source, query, headers, raw)
   SELECT v.column1, v.column2, v.column3, v.column4, v.column5 FROM (${values}) AS v
   WHERE EXISTS (SELECT 1 FROM json_each(v.column6) AS j CROSS JOIN events AS e ON e.id = j.value)
   ON CONFLICT (id) DO NOTHING`);

/** Deliveries of a duplicate find no event to join and are dropped with it. */
const insertDeliveries = createRowStatement(
  10,
  (values) =>
    `INSERT INTO deliveries (id, event_seq, queue, lane, version, version_rule, state, due_at, reason, lineage, origin,
     created_at)
   SELECT v.column1, e.seq, v.column3, v.column4, v.column5, v.column10, v.column6, v.column7, v.column8, v.column1, 'event',
     v.column9
   FROM (${values}) AS v CROSS JOIN events AS e ON e.id = v.column2 WHERE true
   ON CONFLICT (id) DO NOTHING`,
);

/** Of several engines the last tick counts, unless it is further ahead than clocks differ: then one was set back since. */
const rememberTick = `INSERT INTO sources (name, cron_at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE
  SET cron_at = iif(cron_at > ?3 + ${clockSkewMsMax}, ?2, max(coalesce(cron_at, 0), ?2))`;

/** A tick is known by its key alone, whatever the window of others: no outage and no clock that is shorter repeats it. */
const tickKeyMsMin = 7 * 86_400_000;

/** How long a key is remembered, from the moment its event arrived. */
export interface AppendOptions {
  readonly idempotencyMs: number;
}

/**
 * Plans the append of a group of requests.
 *
 * @returns a plan that answers with one list per request, in order
 */
export function planAppend(requests: readonly NewRequest[], options: AppendOptions): Plan<Appended[][]> {
  const keys = upsertKeys(requests.flatMap((request) => keyRows(request, options)));
  const yields = yieldKeys(requests.flatMap(guardedRows));
  const events = insertEvents(requests.flatMap(eventRows));
  const statements = [
    ...keys,
    ...events,
    ...yields,
    ...insertRequests(requests.map(requestRow)),
    ...insertDeliveries(requests.flatMap(deliveryRows)),
    ...skipAndPromote(requests.flatMap(laneRows), requests.map(({ receivedAt }) => receivedAt)),
    ...requests.flatMap(tickStatements),
  ];
  return {
    statements,
    read(results) {
      const winners = new Map<string, string>();
      const yielded = results.slice(keys.length + events.length, keys.length + events.length + yields.length);
      for (const { rows } of [...results.slice(0, keys.length), ...yielded]) {
        for (const row of rows) winners.set(keyName(String(row.source), String(row.key)), String(row.event_id));
      }
      return requests.map((request) =>
        request.events.map((event): Appended => {
          const winner = event.idempotencyKey === undefined
            ? event.id
            : winners.get(keyName(request.source, storableText(event.idempotencyKey)!));
          if (winner === event.id) return { status: "accepted", eventId: event.id };
          return { status: "duplicate", eventId: winner ?? event.id };
        })
      );
    },
  };
}

function keyName(source: string, key: string): string {
  return `${source}\0${key}`;
}

function keyRows(request: NewRequest, { idempotencyMs }: AppendOptions): Value[][] {
  const windowMs = request.cronAt === undefined ? idempotencyMs : Math.max(idempotencyMs, tickKeyMsMin);
  return request.events.filter((event) => event.idempotencyKey !== undefined).map((event) => [
    request.source,
    storableText(event.idempotencyKey),
    event.id,
    event.sha256,
    request.receivedAt + windowMs,
    request.receivedAt,
    request.replays === undefined ? 0 : 1,
  ]);
}

function eventRows(request: NewRequest): Value[][] {
  return request.events.map((event) => [
    event.id,
    request.id,
    request.source,
    storableText(event.type),
    storableText(event.idempotencyKey),
    event.sha256,
    storableTime(event.time),
    request.receivedAt,
    request.configHash,
    storableText(event.item),
    request.replays ?? null,
  ]);
}

function guardedRows(request: NewRequest): Value[][] {
  if (request.replays !== "refuse") return [];
  return request.events.filter((event) => event.idempotencyKey !== undefined)
    .map((event) => [request.source, storableText(event.idempotencyKey), event.sha256, event.id, request.receivedAt]);
}

function tickStatements({ source, cronAt, receivedAt }: NewRequest): Statement[] {
  return cronAt === undefined ? [] : [{ sql: rememberTick, parameters: [source, cronAt, receivedAt] }];
}

/**
 * The sender's time in whole milliseconds. One that no number holds exactly (nanoseconds, say) is not kept: SQLite
 * would give back an integer that cannot be read, and with it no row of its page could.
 */
function storableTime(time: number | undefined): number | null {
  const whole = Math.trunc(time ?? NaN);
  return Number.isSafeInteger(whole) ? whole : null;
}

function requestRow(request: NewRequest): Value[] {
  const eventIds = JSON.stringify(request.events.map((event) => event.id));
  return [
    request.id,
    request.source,
    storableText(request.query),
    JSON.stringify(request.headers),
    request.raw,
    eventIds,
  ];
}

function deliveryRows(request: NewRequest): Value[][] {
  return request.events.flatMap((event) =>
    event.deliveries.map((delivery): Value[] => [
      delivery.id,
      event.id,
      delivery.queue,
      storableText(delivery.lane),
      delivery.version?.value ?? null,
      firstState(delivery),
      delivery.dueAt ?? request.receivedAt,
      storableText(delivery.parkedReason),
      request.receivedAt,
      delivery.version?.rule ?? null,
    ])
  );
}

function laneRows(request: NewRequest): { queue: number; lane: string | null; versioned: boolean }[] {
  return request.events.flatMap((event) =>
    event.deliveries.map(({ queue, lane, version }) => ({
      queue,
      lane: storableText(lane),
      versioned: version !== undefined,
    }))
  );
}
