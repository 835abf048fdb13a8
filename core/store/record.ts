/**
 * What is written to the log: requests with their events and deliveries on the way in, claims of work, and the ends of
 * attempts.
 */

import type { BreakerPolicy } from "../domain/breaker.ts";
import type { Transition } from "../domain/delivery.ts";
import type { Rate } from "../domain/duration.ts";
import type { Event, HeaderMap } from "../domain/event.ts";
import type { Outcome } from "../domain/outcome.ts";
import type { EventVersion } from "../domain/route.ts";

/** A verified request and the events in it, as the intake hands them over. All of it commits together. */
export interface NewRequest {
  readonly id: string;
  readonly source: string;
  readonly query: string;
  readonly headers: HeaderMap;
  readonly raw: Uint8Array;
  readonly receivedAt: number;
  readonly configHash: string;
  readonly events: readonly NewEvent[];
  /**
   * What becomes of an event whose content came before under another id, where the sender does not sign its id: it is
   * flagged and runs, or it is a duplicate. Absent: nobody looks.
   */
  readonly replays?: "flag" | "refuse";
  /** The tick that this request is, for a cron source; remembered in the same transaction. */
  readonly cronAt?: number;
}

/** One event of a request. */
export interface NewEvent {
  readonly id: string;
  /** The event's own body as JSON text, when it is not simply the whole request's. */
  readonly item?: string;
  readonly type: string;
  readonly idempotencyKey?: string;
  readonly time?: number;
  /** Hex SHA-256 of the event's content: of `item`, or else of the request's bytes. */
  readonly sha256: string;
  readonly deliveries: readonly NewDelivery[];
}

/** One delivery of a new event. */
export interface NewDelivery {
  readonly id: string;
  readonly queue: QueueId;
  readonly lane?: string;
  /** For `skip_older`. */
  readonly version?: EventVersion;
  /** When it may first run; without it at once. */
  readonly dueAt?: number;
  /** Why it cannot run before a person has looked; without it the store decides between ready and blocked. */
  readonly parkedReason?: string;
}

/** A new delivery of a finished one's event. */
export interface Redelivery {
  readonly id: string;
  readonly now: number;
  /** Only when nothing repeats the old one yet. A person may ask for one as often as they like; a filter means each once. */
  readonly unrepeated?: boolean;
}

/** Whether an event is new. A duplicate carries the id of the first event with its key. */
export interface Appended {
  readonly status: "accepted" | "duplicate";
  readonly eventId: string;
}

/** A queue's number in the log. */
export type QueueId = number;

/** What the log knows of a queue from the configuration. */
export interface QueueDefinition {
  readonly route: string;
  /** Empty where the route has a handler. */
  readonly target: string;
  /** The handler runs in the process of the engine. */
  readonly isInline?: boolean;
}

/** What the scheduler may take at once from one queue. */
export interface Credit {
  readonly queue: QueueId;
  /** Most that this engine can start now. */
  readonly limit: number;
  /** Most that may run at once, over all engines; absent means any number. */
  readonly concurrency?: number;
  readonly rateLimit?: Rate;
  readonly breaker?: BreakerPolicy;
  /**
   * Deliveries that took their process down before: of a handler in the engine's own process they are claimed apart. Absent:
   * whichever is due.
   */
  readonly suspects?: "only" | "none";
}

/** The right to settle a delivery, for as long as its token is in the log. */
export interface Lease {
  /** Position of the delivery: the order of the log. */
  readonly seq: number;
  readonly id: string;
  readonly queue: QueueId;
  readonly token: string;
  readonly lane?: string;
  readonly version?: number;
}

/** A delivery that now belongs to this engine until it is settled. */
export interface ClaimedDelivery extends Lease {
  /** Claims so far, this one included: the attempt's number in the log. */
  readonly executions: number;
  readonly failures: number;
  readonly deaths: number;
  /** The delivery that this one, through any number of redeliveries, goes back to. */
  readonly lineage: string;
  readonly event: Event;
}

/** What a claim brought, and when it is worth asking again. */
export interface Claim {
  readonly deliveries: readonly ClaimedDelivery[];
  /** When the earliest delivery that is not due yet will be; undefined when there is none. */
  readonly nextDueAt?: number;
  /** Which of the queues that were asked still hold something that is due. */
  readonly waiting: readonly QueueId[];
  /** Which of those whose suspects are claimed apart hold one that may be claimed now. */
  readonly suspects: readonly QueueId[];
}

/** The end of one attempt. */
export interface Settlement {
  readonly delivery: Lease;
  /** Of its queue; counts this outcome. */
  readonly breaker?: BreakerPolicy;
  readonly transition: Transition;
  readonly attempt: {
    readonly n: number;
    readonly startedAt: number;
    readonly finishedAt: number;
    readonly outcome: Outcome["kind"];
    readonly reason?: string;
    readonly output?: string;
    readonly codeHash?: string;
  };
}
