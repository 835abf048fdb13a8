/**
 * Erases events by a person's word, in short batches with a pause between them, so that it holds up no commit. One call
 * does a bounded piece of a large purge and says where the next one goes on.
 */

import type { Clock } from "../domain/clock.ts";
import type { Purged, PurgeFilter, Store } from "../store/store.ts";
import { readEventsEnd } from "./replay.ts";

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
  /** An earlier answer's `before`. Default: what is in the log now. */
  readonly before?: number;
}

/** What a call did. */
export interface PurgeAnswer extends Purged {
  /** Where it ends: what arrives after the first call is not meant. Give it again. */
  readonly before: number;
  /** The filter's `until`, where it has one; give it again, because one that is told as so long ago would move. */
  readonly until?: number;
}

/** What a purge acts on. */
export interface PurgeOptions {
  readonly store: Pick<Store, "purge" | "events">;
  readonly clock: Clock;
  /** Called when something may have become ready: what waited behind an erased delivery. */
  readonly wake: () => void;
}

/** Erases what a filter describes, or a piece of it. */
export async function purge(request: PurgeRequest, { store, clock, wake }: PurgeOptions): Promise<PurgeAnswer> {
  const { filter, dryRun, before = await readEventsEnd(store) } = request;
  const sum = { events: 0, deliveries: 0, unfinished: 0, running: 0 };
  let next = request.after;
  for (let batches = 1;; batches++) {
    const done = await store.purge(filter, { now: clock.now(), after: next, before, dryRun });
    sum.events += done.events;
    sum.deliveries += done.deliveries;
    sum.unfinished += done.unfinished;
    sum.running += done.running;
    next = done.next;
    if (!dryRun && done.deliveries > 0) wake();
    if (next === undefined || batches === purgeBatchesMax) return { ...sum, next, before, until: filter.until };
    await new Promise<void>((resolve) => clock.timer(pauseMs, resolve));
  }
}
