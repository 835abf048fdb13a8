/**
 * What a new configuration means for the work that is already in the log: which of it has nowhere to go until its route
 * is back, and in how many lanes the order across the change is not promised.
 */

import { type Config, destinationOf, type Route } from "../domain/config.ts";
import type { QueueRow } from "../store/store.ts";

/** What a person should know after a reload. */
export interface ReloadEffect {
  /** Open deliveries whose route or target is not in the configuration any more. They wait. */
  readonly orphaned: number;
  /** Lanes with something open in them whose route orders new events by something else. */
  readonly reorderedLanes: number;
}

/** How many open deliveries of a queue there are. */
export function openCount(queue: QueueRow): number {
  return queue.ready + queue.blocked + queue.running + queue.parked;
}

/** Compares two configurations in the light of what is open. */
export function reloadEffect(before: Config, after: Config, queues: readonly QueueRow[]): ReloadEffect {
  let orphaned = 0;
  let reorderedLanes = 0;
  for (const queue of queues) {
    if (destinationOf(after, queue) === undefined) orphaned += openCount(queue);
    else if (laneRule(before, queue.route) !== laneRule(after, queue.route)) reorderedLanes += queue.lanes;
  }
  return { orphaned, reorderedLanes };
}

/** The text by which a route makes lanes. A route that was not there before had none to disturb, but for its orphans. */
function laneRule({ routes }: Config, name: string): string | undefined {
  const route: Route | undefined = routes.find((each) => each.name === name);
  const { orderBy, concurrencyKey } = route ?? {};
  return concurrencyKey === undefined ? orderBy?.text : `${concurrencyKey.limit} of ${concurrencyKey.key.text}`;
}
