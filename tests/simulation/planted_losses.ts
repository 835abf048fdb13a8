/**
 * Planted bugs of an engine that loses what it knew: which lane something is in, and that it is done. What it says itself
 * agrees with what it does, so only somebody who knows better can tell.
 */

import type { NewDelivery, NewRequest, Settlement, Store } from "../../core/store/store.ts";
import type { PlantedBug, Soil } from "./planted_bugs.ts";

function withLanes(request: NewRequest, laneOf: (delivery: NewDelivery) => string | undefined): NewRequest {
  const events = request.events.map((event) => ({
    ...event,
    deliveries: event.deliveries.map((delivery) => ({ ...delivery, lane: laneOf(delivery) })),
  }));
  return { ...request, events };
}

/** Beats of an engine between two times at which the bug below writes what it has kept. */
const beatsKept = 12;

/** Successes without a lane are written down as waiting, and only now and then as what they are. */
function keepSuccesses(store: Store, { database }: Soil): Store {
  const kept = new Set<number>();
  let beats = 0;
  return {
    ...store,
    async settle(settlement) {
      const { delivery, transition, attempt } = settlement;
      if (transition.state !== "succeeded" || delivery.lane !== undefined) return await store.settle(settlement);
      const dueAt = attempt.finishedAt + 600_000;
      const waits: Settlement = {
        ...settlement,
        transition: { ...transition, state: "ready", dueAt, reason: "almost" },
      };
      const held = await store.settle(waits);
      if (held) kept.add(delivery.seq);
      return held;
    },
    async beat(at) {
      if (++beats % beatsKept === 0 && kept.size > 0) {
        const sql = `UPDATE deliveries SET state = 'succeeded', finished_at = ?, reason = NULL
          WHERE state = 'ready' AND seq IN (SELECT value FROM json_each(?))`;
        const parameters = [at.now, JSON.stringify([...kept])];
        await database.write([{ sql, parameters }]).then(() => kept.clear(), () => {});
      }
      return await store.beat(at);
    },
  };
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
    seed: 8,
    store(store, { database }) {
      database.write([{
        sql: `UPDATE deliveries SET state = 'ready', finished_at = NULL WHERE seq = (
          SELECT max(seq) FROM deliveries WHERE state = 'succeeded' AND lane IS NULL)`,
        parameters: [],
      }]).catch(() => {});
      return store;
    },
  },
  {
    name: "successes kept in memory for a minute",
    seed: 2,
    store: keepSuccesses,
  },
];
