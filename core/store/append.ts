/**
 * The append transaction: idempotency keys, requests, events and deliveries of every request in the group, all or
 * nothing. Which of two events with one key wins is decided inside it, by the statement that writes the key.
 */

import type { DeliveryState } from "../domain/delivery.ts";
import type { Plan, Value } from "./database.ts";
import { promote } from "./deliveries.ts";
import { createRowStatement } from "./rows.ts";
import type { Appended, NewDelivery, NewRequest } from "./store.ts";
import { storableText } from "./text.ts";

/**
 * An expired key is taken over by the statement that would refuse it. The same event again (a batch repeated because
 * its reply was lost) keeps the key that it won.
 */
const upsertKeys = createRowStatement(
  6,
  (values) =>
    `INSERT INTO idempotency (source, key, event_id, sha256, expires_at, seen, last_at)
   SELECT v.column1, v.column2, v.column3, v.column4, v.column5, 1, v.column6 FROM (${values}) AS v WHERE true
   ON CONFLICT (source, key) DO UPDATE SET
     event_id = iif(expires_at <= excluded.last_at, excluded.event_id, event_id),
     sha256 = iif(expires_at <= excluded.last_at, excluded.sha256, sha256),
     seen = CASE WHEN expires_at <= excluded.last_at THEN 1 WHEN event_id = excluded.event_id THEN seen ELSE seen + 1 END,
     last_at = max(last_at, excluded.last_at),
     expires_at = iif(expires_at <= excluded.last_at, excluded.expires_at, expires_at)
   RETURNING source, key, event_id`,
);

const insertEvents = createRowStatement(
  10,
  (values) =>
    `INSERT INTO events (id, request_id, source, type, idem_key, sha256, time, received_at, config_hash, item)
   SELECT * FROM (${values}) AS v
   WHERE v.column5 IS NULL OR EXISTS (
     SELECT 1 FROM idempotency AS i WHERE i.source = v.column3 AND i.key = v.column5 AND i.event_id = v.column1)
   ON CONFLICT (id) DO NOTHING`,
);

/** A request of which every event is a duplicate is not kept. */
const insertRequests = createRowStatement(6, (values) =>
  `INSERT INTO requests (id, source, query, headers, raw)
   SELECT v.column1, v.column2, v.column3, v.column4, v.column5 FROM (${values}) AS v
   WHERE EXISTS (SELECT 1 FROM json_each(v.column6) AS j CROSS JOIN events AS e ON e.id = j.value)
   ON CONFLICT (id) DO NOTHING`);

/** Deliveries of a duplicate find no event to join and are dropped with it. */
const insertDeliveries = createRowStatement(
  7,
  (values) =>
    `INSERT INTO deliveries (id, event_seq, queue, lane, state, due_at, reason, lineage, created_at)
   SELECT v.column1, e.seq, v.column3, v.column4, v.column5, v.column6, v.column7, v.column1, v.column6
   FROM (${values}) AS v CROSS JOIN events AS e ON e.id = v.column2 WHERE true
   ON CONFLICT (id) DO NOTHING`,
);

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
  const keyStatements = upsertKeys(requests.flatMap((request) => keyRows(request, options)));
  const statements = [
    ...keyStatements,
    ...insertEvents(requests.flatMap(eventRows)),
    ...insertRequests(requests.map(requestRow)),
    ...insertDeliveries(requests.flatMap(deliveryRows)),
    ...promote(requests.flatMap(laneRows)),
  ];
  return {
    statements,
    read(results) {
      const winners = new Map<string, string>();
      for (const { rows } of results.slice(0, keyStatements.length)) {
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

function keyRows(request: NewRequest, options: AppendOptions): Value[][] {
  return request.events.filter((event) => event.idempotencyKey !== undefined).map((event) => [
    request.source,
    storableText(event.idempotencyKey),
    event.id,
    event.sha256,
    request.receivedAt + options.idempotencyMs,
    request.receivedAt,
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
  ]);
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
      firstState(delivery),
      request.receivedAt,
      storableText(delivery.parkedReason),
    ])
  );
}

/** In a lane everything starts blocked, and {@link promote} decides what its head becomes. */
function firstState(delivery: NewDelivery): DeliveryState {
  if (delivery.lane !== undefined) return "blocked";
  return delivery.parkedReason === undefined ? "ready" : "parked";
}

function laneRows(request: NewRequest): { queue: number; lane: string | null }[] {
  return request.events.flatMap((event) =>
    event.deliveries.map(({ queue, lane }) => ({ queue, lane: storableText(lane) }))
  );
}
