/**
 * Reads an engine's log through its admin API, as records of a history.
 */

import { createHash } from "node:crypto";
import type { DeliveryRow, EventRow } from "weir";
import { createClient } from "../../cli/client.ts";
import { createRandom, type SeededRandom } from "../support/seeded_random.ts";
import type { DeliveryRecord, EventRecord, HistoryRecord } from "../support/history.ts";

const pageRows = 500;
/** How many events and deliveries are read one by one, for their bytes and results, unless something else is said. */
const detailsUsual = 1_000;
const readersMax = 8;
const lookEveryMs = 50;

/** One engine's log. */
export interface EngineReader {
  /** The newest finished deliveries: a look in passing. */
  finishedDeliveries(): Promise<DeliveryRecord[]>;
  /** Resolves when no delivery is open any more, or when nothing has moved for so long. */
  rest(patienceMs: number): Promise<void>;
  /** All there is; of so many of them, drawn by the seed, with the bytes and the result. */
  everything(): Promise<HistoryRecord[]>;
  /** How large the samples of the last {@link everything} were. */
  readonly sampled: string;
}

/** Options of {@link readEngine}. */
export interface EngineReaderOptions {
  readonly adminUrl: string;
  readonly token: string;
  readonly seed: number;
  readonly detailsMax?: number;
}

/** Makes the reader of one engine. */
export function readEngine({ adminUrl, token, seed, detailsMax = detailsUsual }: EngineReaderOptions): EngineReader {
  const client = createClient(adminUrl, token);
  const random = createRandom(seed);
  let sampled = "nothing";
  return {
    get sampled() {
      return sampled;
    },

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
      const ofEvents = draw(events, detailsMax, random);
      await each(ofEvents, async (event) => {
        const { rawBase64 } = await client.event(event.id);
        const digest = createHash("sha256").update(rawBase64, "base64").digest("hex");
        details.set(event.id, { ...event, digest });
      });
      const scripts = deliveries.filter(({ state, queue }) => state === "succeeded" && !queue.includes("/"));
      const ofScripts = draw(scripts, detailsMax, random);
      sampled =
        `bytes of ${ofEvents.length} of ${events.length} events, results of ${ofScripts.length} of ${scripts.length}`;
      await each(ofScripts, async (delivery) => {
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

/** At most so many of them, each as likely as any other. */
export function draw<Row>(rows: readonly Row[], count: number, random: SeededRandom): Row[] {
  const left = [...rows];
  for (let at = 0; at < Math.min(count, left.length); at++) {
    const other = at + random.below(left.length - at);
    [left[at], left[other]] = [left[other]!, left[at]!];
  }
  return left.slice(0, count);
}

async function each<Row>(rows: readonly Row[], read: (row: Row) => Promise<void>): Promise<void> {
  const left = rows.values();
  await Promise.all(Array.from({ length: readersMax }, async () => {
    for (const row of left) await read(row);
  }));
}
