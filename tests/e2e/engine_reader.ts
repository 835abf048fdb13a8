/**
 * Reads an engine's log through its admin API, as records of a history.
 */

import { createHash } from "node:crypto";
import type { DeliveryRow, EventRow } from "weir";
import { createClient } from "../../cli/client.ts";
import type { DeliveryRecord, EventRecord, HistoryRecord } from "../support/history.ts";

const pageRows = 500;
/** How many events and deliveries are read one by one, for their bytes and results. */
const detailsMax = 1_000;
const readersMax = 8;
const lookEveryMs = 50;

/** One engine's log. */
export interface EngineReader {
  /** The newest finished deliveries: a look in passing. */
  finishedDeliveries(): Promise<DeliveryRecord[]>;
  /** Resolves when no delivery is open any more, or when nothing has moved for so long. */
  rest(patienceMs: number): Promise<void>;
  /** All there is. */
  everything(): Promise<HistoryRecord[]>;
}

/** Makes the reader of one engine. */
export function readEngine({ adminUrl, token }: { adminUrl: string; token: string }): EngineReader {
  const client = createClient(adminUrl, token);
  return {
    async finishedDeliveries() {
      const { rows } = await client.deliveries({ state: "succeeded", limit: 100 });
      return rows.map(toRecord);
    },

    async rest(patienceMs) {
      let open = Infinity;
      for (let since = performance.now(); open > 0 && performance.now() - since < patienceMs;) {
        const { queues } = await client.status();
        const now = queues.reduce(
          (sum, { ready, blocked, running, parked }) => sum + ready + blocked + running + parked,
          0,
        );
        if (now !== open) since = performance.now();
        open = now;
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    },

    async everything() {
      const events = await readAll((before) => client.events({ before, limit: pageRows }), toEvent);
      const deliveries = await readAll((before) => client.deliveries({ before, limit: pageRows }), toRecord);
      const details = new Map<string, HistoryRecord>();
      await each(spread(events), async (event) => {
        const { rawBase64 } = await client.event(event.id);
        const digest = createHash("sha256").update(rawBase64, "base64").digest("hex");
        details.set(event.id, { ...event, digest });
      });
      const scripts = deliveries.filter(({ state, queue }) => state === "succeeded" && !queue.includes("/"));
      await each(spread(scripts), async (delivery) => {
        const { result } = await client.delivery(delivery.id);
        details.set(delivery.id, { ...delivery, winner: result === undefined ? undefined : JSON.parse(result) });
      });
      return [...events, ...deliveries].map((record) => details.get(record.id) ?? record);
    },
  };
}

function toEvent({ id, seq, idempotencyKey }: EventRow): EventRecord {
  return { kind: "event", id, seq, key: idempotencyKey ?? "" };
}

/** A row of the API as a record. */
export function toRecord(row: DeliveryRow): DeliveryRecord {
  const { id, eventId, route, target, lane, seq, state, origin } = row;
  const queue = target === "" ? route : `${route}/${target}`;
  // A replay repeats no certain delivery, and like a redelivery it is not what the event itself brought.
  const redeliveryOf = row.redeliveryOf ?? (origin === "replay" ? "replay" : undefined);
  return { kind: "delivery", id, eventId, queue, lane, seq, state, redeliveryOf };
}

/** Every page, of which only the records are kept: of a large log the rows would not fit. */
async function readAll<Row, Found>(
  page: (before?: number) => Promise<{ rows: readonly Row[]; nextBefore?: number }>,
  toFound: (row: Row) => Found,
): Promise<Found[]> {
  const all: Found[] = [];
  let before: number | undefined;
  for (;;) {
    const { rows, nextBefore } = await page(before);
    for (const row of rows) all.push(toFound(row));
    if (nextBefore === undefined) return all;
    before = nextBefore;
  }
}

/** At most {@link detailsMax} of them, evenly. */
function spread<Row>(rows: readonly Row[]): Row[] {
  const step = Math.max(1, rows.length / detailsMax);
  return rows.filter((_, at) => at === 0 || Math.floor(at / step) !== Math.floor((at - 1) / step));
}

async function each<Row>(rows: readonly Row[], read: (row: Row) => Promise<void>): Promise<void> {
  const left = rows.values();
  await Promise.all(Array.from({ length: readersMax }, async () => {
    for (const row of left) await read(row);
  }));
}
