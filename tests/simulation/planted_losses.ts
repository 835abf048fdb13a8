/**
 * Planted bugs of an engine that loses what it knew: which lane something is in, and that it is done. What it says itself
 * agrees with what it does, so only somebody who knows better can tell.
 */

import type { NewDelivery, NewRequest } from "../../core/store/store.ts";
import type { PlantedBug } from "./planted_bugs.ts";

function withLanes(request: NewRequest, laneOf: (delivery: NewDelivery) => string | undefined): NewRequest {
  const events = request.events.map((event) => ({
    ...event,
    deliveries: event.deliveries.map((delivery) => ({ ...delivery, lane: laneOf(delivery) })),
  }));
  return { ...request, events };
}

/** Every one of them. */
export const plantedLosses: readonly PlantedBug[] = [
  {
    name: "lanes lost",
    seed: 0,
    store: (store) => ({ ...store, append: (request) => store.append(withLanes(request, () => undefined)) }),
  },
  {
    name: "one lane in ten lost",
    seed: 0,
    store: (store, { random }) => ({
      ...store,
      append: (request) => store.append(withLanes(request, ({ lane }) => random() < 0.1 ? undefined : lane)),
    }),
  },
  {
    name: "all keys in one lane",
    seed: 0,
    store: (store) => ({
      ...store,
      append: (request) => store.append(withLanes(request, ({ lane }) => lane && "the only one")),
    }),
  },
  {
    name: "the newest success forgotten at a restart",
    seed: 0,
    store(store, { database }) {
      database.write([{
        sql: `UPDATE deliveries SET state = 'ready', finished_at = NULL WHERE seq = (
          SELECT max(seq) FROM deliveries WHERE state = 'succeeded' AND lane IS NULL)`,
        parameters: [],
      }]).catch(() => {});
      return store;
    },
  },
];
