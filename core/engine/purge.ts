/**
 * Erases events by a person's word, in short batches with a pause between them, so that it holds up no commit. One call
 * does a bounded piece of a large purge and says where the next one goes on.
 */

import type { Clock } from "../domain/clock.ts";
import type { Purged, PurgeFilter, Store } from "../store/store.ts";

/** Batches of one call. */
export const purgeBatchesMax = 50;

/** Between two batches. */
const pauseMs = 10;

/** What to erase. */
export interface PurgeRequest {
  readonly filter: PurgeFilter;
  /** Only counts. */
  readonly dryRun?: boolean;
  /** An earlier answer's `next`. */
  readonly after?: number;
}

/** What a call did. */
export interface PurgeAnswer extends Purged {
  /** The filter's `until`, or else the time of the first call: what arrives meanwhile is not meant. Give it again. */
  readonly until: number;
}

/** What a purge acts on. */
export interface PurgeOptions {
  readonly store: Pick<Store, "purge">;
  readonly clock: Clock;
  /** Called when something may have become ready: what waited behind an erased delivery. */
  readonly wake: () => void;
}

/** Erases what a filter describes, or a piece of it. */
export async function purge(request: PurgeRequest, { store, clock, wake }: PurgeOptions): Promise<PurgeAnswer> {
  const { dryRun } = request;
  const until = request.filter.until ?? clock.now();
  const sum = { events: 0, deliveries: 0, running: 0 };
  let next = request.after;
  for (let batches = 1;; batches++) {
    const done = await store.purge({ ...request.filter, until }, { now: clock.now(), after: next, dryRun });
    sum.events += done.events;
    sum.deliveries += done.deliveries;
    sum.running += done.running;
    next = done.next;
    if (!dryRun && done.deliveries > 0) wake();
    if (next === undefined || batches === purgeBatchesMax) return { ...sum, next, until };
    await new Promise<void>((resolve) => clock.timer(pauseMs, resolve));
  }
}
