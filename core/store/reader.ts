/**
 * The reads of the log whose queries depend on what somebody asks for. Loaded when somebody first asks: an engine at work
 * does without them, and they bring Kysely along, 10 MiB of it.
 */

import type { Database } from "./database.ts";
import { createKysely } from "./kysely.ts";
import { listLanes } from "./lanes.ts";
import {
  countDeliveries,
  listDeliveries,
  listEvents,
  listGates,
  listQueues,
  readDelivery,
  readEvent,
} from "./listings.ts";
import type { Store } from "./store.ts";

/** The part of the log's face that only reads, for people. */
export type Reader = Pick<
  Store,
  "event" | "events" | "delivery" | "deliveries" | "countDeliveries" | "gates" | "queues" | "lanes"
>;

/** Makes the reader of a database. */
export function createReader(database: Database): Reader {
  const db = createKysely(database);
  return {
    event: (id) => readEvent(db, id),
    events: (filter) => listEvents(db, filter),
    delivery: (id) => readDelivery(db, id),
    deliveries: (filter) => listDeliveries(db, filter),
    countDeliveries: (filter) => countDeliveries(db, filter),
    gates: () => listGates(db),
    queues: () => listQueues(db),
    lanes: (filter) => listLanes(db, filter),
  };
}
