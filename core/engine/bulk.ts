/**
 * One word of a person for many deliveries: redeliver or cancel whatever a filter matches, in the order of the log and
 * in bounded pieces. What the work itself creates is never part of it, however long it takes.
 */

import type { Clock } from "../domain/clock.ts";
import { type DeliveryState, finishedStates } from "../domain/delivery.ts";
import type { DeliveryFilter, DeliveryRow, Store } from "../store/store.ts";

/** Most deliveries of one call. */
export const bulkRowsMax = 1_000;

/** Which deliveries. */
export type BulkFilter = Pick<DeliveryFilter, "route" | "target" | "lane" | "state" | "source" | "since" | "until">;

/** What to do with them. */
export interface BulkRequest {
  readonly filter: BulkFilter;
  /** Only says how many there are. */
  readonly dryRun?: boolean;
  /** Only those after this position: an earlier answer's `nextAfter`. */
  readonly after?: number;
  /** Only those before this position: an earlier answer's `before`. Default: what is in the log now. */
  readonly before?: number;
  readonly limit?: number;
}

/** What came of it. */
export interface Bulk {
  /** How many the filter matches, before anything was done; absent where `after` was given. */
  readonly matched?: number;
  readonly done: number;
  /** There are more: ask again with this as `after`, and with `before`. */
  readonly nextAfter?: number;
  /** Where it ends. A position and no time: what it makes itself comes after it even if the clock is set back. */
  readonly before: number;
  /** The filter's `until`, where it has one; give it again, because one that is told as so long ago would move. */
  readonly until?: number;
}

/** What came of it, or why nothing can be done in the state that the filter names. */
export type BulkAnswer = { readonly ok: true; readonly bulk: Bulk } | { readonly ok: false; readonly reason: string };

/** What a person can do to many deliveries. */
export interface BulkActions {
  /** Makes new deliveries from finished ones, each the latest of its lineage. */
  redeliver(request: BulkRequest): Promise<BulkAnswer>;
  /** Cancels what is neither running nor finished. */
  cancel(request: BulkRequest): Promise<BulkAnswer>;
}

/** What it acts on. */
export interface BulkOptions {
  readonly store: Pick<Store, "deliveries" | "countDeliveries" | "redeliver" | "cancel">;
  readonly clock: Clock;
  readonly makeDeliveryId: () => string;
  /** Called when something may have become ready. */
  readonly wake: () => void;
}

/** States in which a delivery can be cancelled. */
const waitingStates: readonly DeliveryState[] = ["blocked", "ready", "parked"];

/** Makes the actions. */
export function createBulkActions({ store, clock, makeDeliveryId, wake }: BulkOptions): BulkActions {
  async function run(
    request: BulkRequest,
    states: readonly DeliveryState[],
    act: (row: DeliveryRow) => Promise<boolean>,
    unrepeated = false,
  ): Promise<BulkAnswer> {
    const { state, ...rest } = request.filter;
    if (state !== undefined && !states.includes(state)) {
      return { ok: false, reason: `state must be one of ${states.join(", ")} for this, got ${state}` };
    }
    const before = request.before ?? await readEnd();
    const filters = (state === undefined ? states : [state]).map((each) => ({
      ...rest,
      before,
      state: each,
      unrepeated,
    }));
    const matched = request.after === undefined ? await count(filters) : undefined;
    if (request.dryRun) return { ok: true, bulk: { matched, done: 0, before, until: rest.until } };
    const page = await read(filters, { after: request.after ?? 0, limit: request.limit ?? bulkRowsMax });
    // All at once: the log takes them in this order, and shares its commits among them.
    const acting = Promise.all(page.rows.map(act));
    wake(); // now: should one of them fail, what the others have made ready is looked at all the same
    const done = await acting;
    const bulk = { matched, done: done.filter(Boolean).length, nextAfter: page.nextAfter, before, until: rest.until };
    return { ok: true, bulk };
  }

  /** The position after the last delivery that there is now. */
  async function readEnd(): Promise<number> {
    const { rows: [newest] } = await store.deliveries({ limit: 1 });
    return (newest?.seq ?? 0) + 1;
  }

  async function count(filters: readonly Omit<DeliveryFilter, "limit">[]): Promise<number> {
    let sum = 0;
    for (const filter of filters) sum += await store.countDeliveries(filter);
    return sum;
  }

  /** One page over several states: each has an index of its own, and together they are in the order of the log. */
  async function read(
    filters: readonly Omit<DeliveryFilter, "limit">[],
    { after, limit }: { after: number; limit: number },
  ): Promise<{ rows: DeliveryRow[]; nextAfter?: number }> {
    const found: DeliveryRow[] = [];
    for (const filter of filters) {
      for (let next: number | undefined = after, left = limit; next !== undefined && left > 0;) {
        const page = await store.deliveries({ ...filter, after: next, limit: left });
        found.push(...page.rows);
        left -= page.rows.length;
        next = page.nextAfter;
      }
    }
    const rows = found.sort((a, b) => a.seq - b.seq).slice(0, limit);
    return { rows, nextAfter: rows.length === limit ? rows.at(-1)!.seq : undefined };
  }

  return {
    redeliver: (request) =>
      run(
        request,
        finishedStates,
        // Somebody else's call may have read the same ones: what is repeated by then is left alone.
        ({ id }) => store.redeliver(id, { id: makeDeliveryId(), now: clock.now(), unrepeated: true }),
        true,
      ),
    cancel: (request) =>
      run(request, waitingStates, ({ id }) => store.cancel(id, { now: clock.now(), reason: "cancelled by a person" })),
  };
}
