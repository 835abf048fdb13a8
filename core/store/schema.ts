/**
 * The tables as Kysely sees them. `migrations.ts` is what makes them; the two are held together by the Store's tests.
 */

import type { Generated } from "kysely";
import type { DeliveryState } from "../domain/delivery.ts";
import type { Outcome } from "../domain/outcome.ts";

/** A request byte for byte, apart from everything that is scanned. */
export interface RequestsTable {
  id: string;
  source: string;
  query: string;
  /** JSON object. */
  headers: string;
  raw: Uint8Array;
}

export interface EventsTable {
  seq: Generated<number>;
  id: string;
  request_id: string;
  source: string;
  type: string;
  idem_key: string | null;
  sha256: string;
  time: number | null;
  received_at: number;
  config_hash: string;
  /** The event's own body as JSON text, when it is not the whole request's. */
  item: string | null;
  /** The event whose content came before under another id. */
  replay_of: string | null;
  /** What its idempotency key counted until it left; what the key counts now stands there. */
  duplicates: Generated<number>;
  mismatches: Generated<number>;
  last_duplicate_at: number | null;
}

export interface IdempotencyTable {
  source: string;
  key: string;
  event_id: string;
  sha256: string;
  expires_at: number;
  seen: number;
  /** How many of those had another body. */
  mismatches: number;
  last_at: number;
  /**
   * 1 where its source looks for the same content under another id; only these are in the index of contents. 2 where the
   * event was refused for that: then `event_id` is the one that it repeats.
   */
  guarded: number;
}

export interface QueuesTable {
  id: Generated<number>;
  route: string;
  target: string;
  /** 1 where an engine runs the handler in its own process, so that its death may be the handler's doing. */
  inline: Generated<number>;
  paused_at: number | null;
  paused_reason: string | null;
  /** Breaker: failures in a row. */
  failures: number;
  open_until: number | null;
  /** Rate limit: when its bucket would be empty, were it never refilled (GCRA's theoretical arrival time). */
  rate_at: Generated<number>;
}

/** What a person or a clock has done to a source; most sources have no row. */
export interface SourcesTable {
  name: string;
  paused_at: number | null;
  paused_reason: string | null;
  /** The last tick of a cron source. */
  cron_at: number | null;
}

export interface DeliveriesTable {
  seq: Generated<number>;
  id: string;
  event_seq: number;
  queue: number;
  lane: string | null;
  version: number | null;
  /** Which `skip_older` of which `order_by` it is a version by. */
  version_rule: number | null;
  state: DeliveryState;
  due_at: number;
  executions: number;
  failures: number;
  deaths: number;
  token: string | null;
  boot: string | null;
  claimed_at: number | null;
  reason: string | null;
  result: string | null;
  lineage: string;
  redelivery_of: string | null;
  origin: Generated<"event" | "redelivery" | "replay">;
  out_of_order: number;
  created_at: number;
  finished_at: number | null;
}

export interface AttemptsTable {
  delivery: number;
  n: number;
  started_at: number;
  finished_at: number;
  outcome: Outcome["kind"];
  reason: string | null;
  output: string | null;
  code_hash: string | null;
}

/** The highest version of what finished in a lane, by each rule. */
export interface MarksTable {
  queue: number;
  lane: string;
  rule: number;
  version: number;
  at: number;
}

export interface EnginesTable {
  boot: string;
  beat: number;
  /** What its clock said at its last beat, or at its last claim if that came later. */
  at: number;
  /** The number of its last claim that has arrived. */
  claims: number;
}

export interface MetaTable {
  key: string;
  value: string;
}

/** Every table of the log. */
export interface Tables {
  requests: RequestsTable;
  events: EventsTable;
  idempotency: IdempotencyTable;
  queues: QueuesTable;
  sources: SourcesTable;
  deliveries: DeliveriesTable;
  attempts: AttemptsTable;
  marks: MarksTable;
  engines: EnginesTable;
  meta: MetaTable;
}
