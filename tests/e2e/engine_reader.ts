/**
 * Reads an engine's log through its admin API, as records of a history.
 */

import { createHash } from "node:crypto";
import type { DeliveryRow } from "weir";
import { createClient } from "../../cli/client.ts";
import type { DeliveryRecord, HistoryRecord } from "../support/history.ts";

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
      return rows.map((row) => toRecord(row));
    },

    async rest(patienceMs) {
      let open = Infinity;
      for (let since = performance.now(); open > 0 && performance.now() - since < patienceMs;) {
        const { queues } = await client.status();
        const now = queues.reduce((sum, { ready, blocked, running }) => sum + ready + blocked + running, 0);
        if (now !== open) since = performance.now();
        open = now;
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    },

    async everything() {
      const events = await readAll((before) => client.events({ before, limit: pageRows }));
      const deliveries = await readAll((before) => client.deliveries({ before, limit: pageRows }));
      const records = new Map<string, HistoryRecord>();
      for (const { id, seq, idempotencyKey } of events) {
        records.set(id, { kind: "event", id, seq, key: idempotencyKey ?? "" });
      }
      for (const row of deliveries) records.set(row.id, toRecord(row));
      await each(spread(events), async ({ id, seq, idempotencyKey }) => {
        const { rawBase64 } = await client.event(id);
        const digest = createHash("sha256").update(rawBase64, "base64").digest("hex");
        records.set(id, { kind: "event", id, seq, key: idempotencyKey ?? "", digest });
      });
      const scripts = deliveries.filter(({ state, target }) => state === "succeeded" && target === "");
      await each(spread(scripts), async (row) => {
        const { result } = await client.delivery(row.id);
        records.set(row.id, { ...toRecord(row), winner: result === undefined ? undefined : JSON.parse(result) });
      });
      return [...records.values()];
    },
  };
}

function toRecord(row: DeliveryRow): DeliveryRecord {
  const { id, eventId, route, target, lane, seq, state, redeliveryOf } = row;
  const queue = target === "" ? route : `${route}/${target}`;
  return { kind: "delivery", id, eventId, queue, lane, seq, state, redeliveryOf };
}

async function readAll<Row>(
  page: (before?: number) => Promise<{ rows: readonly Row[]; nextBefore?: number }>,
): Promise<Row[]> {
  const all: Row[] = [];
  let before: number | undefined;
  for (;;) {
    const { rows, nextBefore } = await page(before);
    all.push(...rows);
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
