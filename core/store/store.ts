/**
 * The face of the log: one method per transition of the state machine and one per read. Nothing outside this folder
 * knows SQL; every method is asynchronous, so that the storage can live on a thread or a server of its own.
 *
 * Every write is one atomic batch that is safe to repeat, because a reply of a remote server can be lost.
 */

import type { BreakerPolicy, BreakerState } from "../domain/breaker.ts";
import type { DeliveryState, Transition } from "../domain/delivery.ts";
import type { Rate } from "../domain/duration.ts";
import type { Event, HeaderMap } from "../domain/event.ts";
import type { Outcome } from "../domain/outcome.ts";
import type { Expired, Terms } from "./erase.ts";
import type { PurgeAt, Purged, PurgeFilter } from "./purge.ts";

export type { Expired, Purged, PurgeFilter };

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
  readonly version?: number;
  /** When it may first run; without it at once. */
  readonly dueAt?: number;
  /** Why it cannot run before a person has looked; without it the store decides between ready and blocked. */
  readonly parkedReason?: string;
}

/** Whether an event is new. A duplicate carries the id of the first event with its key. */
export interface Appended {
  readonly status: "accepted" | "duplicate";
  readonly eventId: string;
}

/** A queue's number in the log. */
export type QueueId = number;

/** What the scheduler may take at once from one queue. */
export interface Credit {
  readonly queue: QueueId;
  /** Most that this engine can start now. */
  readonly limit: number;
  /** Most that may run at once, over all engines; absent means any number. */
  readonly concurrency?: number;
  readonly rateLimit?: Rate;
  readonly breaker?: BreakerPolicy;
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

/** One line of `events list`. */
export interface EventRow {
  readonly seq: number;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly idempotencyKey?: string;
  readonly time?: number;
  readonly receivedAt: number;
  /** How often the same key came again. */
  readonly duplicates: number;
  /** How many of those had another body. */
  readonly mismatches: number;
  /** When the same key came last; absent without duplicates. */
  readonly lastDuplicateAt?: number;
  /** The event whose content came before under another id. */
  readonly replayOf?: string;
  /** How many deliveries it has in each state; empty when no route matched. */
  readonly deliveries: Readonly<Partial<Record<DeliveryState, number>>>;
}

/** Everything about one event. */
export interface EventDetail extends EventRow {
  readonly query: string;
  readonly headers: HeaderMap;
  readonly raw: Uint8Array;
  readonly item?: string;
  readonly deliveryRows: readonly DeliveryRow[];
}

/** One line of `deliveries list`. */
export interface DeliveryRow {
  readonly seq: number;
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly source: string;
  readonly route: string;
  /** Empty for a handler. */
  readonly target: string;
  readonly lane?: string;
  readonly state: DeliveryState;
  /** Why it is where it is: the last failure, what it waits for, why it was parked. */
  readonly reason?: string;
  /** When it may run next, while it is ready. */
  readonly dueAt?: number;
  /** The delivery at the head of its lane, while it is blocked. */
  readonly behind?: string;
  readonly executions: number;
  readonly failures: number;
  readonly createdAt: number;
  readonly finishedAt?: number;
  readonly lineage: string;
  /** The delivery that this one repeats. */
  readonly redeliveryOf?: string;
  readonly origin: "event" | "redelivery" | "replay";
  /** Others of its lane had passed when it was made. */
  readonly outOfOrder: boolean;
}

/** Everything about one delivery. */
export interface DeliveryDetail extends DeliveryRow {
  /** The handler's return value as JSON text, or the target's status line. */
  readonly result?: string;
  readonly attempts: readonly AttemptRow[];
}

/** One attempt as it is kept. */
export interface AttemptRow {
  readonly n: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly outcome: Outcome["kind"];
  readonly reason?: string;
  readonly output?: string;
  readonly codeHash?: string;
}

/**
 * A page of a listing: newest first, or oldest first when it was asked for by `after`. Hand `nextBefore` back as `before`,
 * or `nextAfter` as `after`, for the next one.
 */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextBefore?: number;
  readonly nextAfter?: number;
}

/** Which events to list. */
export interface EventFilter {
  readonly source?: string;
  readonly type?: string;
  /** Only received at or after. Epoch milliseconds. */
  readonly since?: number;
  /** Only received before. Epoch milliseconds. */
  readonly until?: number;
  readonly before?: number;
  /** Oldest first, and only those after this position. */
  readonly after?: number;
  readonly limit: number;
}

/** Which deliveries to list. */
export interface DeliveryFilter {
  readonly route?: string;
  readonly target?: string;
  readonly lane?: string;
  readonly state?: DeliveryState;
  readonly eventId?: string;
  /** Only events of this source. */
  readonly source?: string;
  /** Only created at or after. Epoch milliseconds. */
  readonly since?: number;
  /** Only created before. Epoch milliseconds. */
  readonly until?: number;
  /** Only those that nothing repeats yet. */
  readonly unrepeated?: boolean;
  readonly before?: number;
  /** Oldest first, and only those after this position. */
  readonly after?: number;
  readonly limit: number;
}

/** What decides whether a queue lets anything through now. */
export interface QueueGate {
  readonly route: string;
  readonly target: string;
  readonly running: number;
  /** Since when and why nothing is taken from it. */
  readonly paused?: Paused;
  readonly breaker: BreakerState;
  /** When the bucket of its rate limit would be empty, were it never refilled. */
  readonly rateAt: number;
}

/** The open deliveries of one queue, and its dead ones. */
export interface QueueRow extends QueueGate {
  readonly ready: number;
  readonly blocked: number;
  readonly parked: number;
  readonly dead: number;
  /** When the oldest open delivery was created. */
  readonly oldestAt?: number;
  /** Lanes with something open in them. */
  readonly lanes: number;
  /** Open deliveries of the longest of them. */
  readonly laneDepthMax: number;
  /** When the oldest head of a lane was created. */
  readonly laneHeadAt?: number;
}

/** Somebody, or `on_exhausted: halt`, stopped a queue or a source. */
export interface Paused {
  readonly at: number;
  readonly reason: string;
}

/** A source as the log knows it; most have no row. */
export interface SourceRow {
  readonly name: string;
  readonly paused?: Paused;
  /** The last tick of a cron source. */
  readonly cronAt?: number;
}

/** One lane with something in it. */
export interface LaneRow {
  readonly route: string;
  readonly target: string;
  readonly lane: string;
  /** Open deliveries, the head included. */
  readonly depth: number;
  /** The delivery that everything else of the lane waits for. */
  readonly head: string;
  readonly headState: DeliveryState;
  readonly headReason?: string;
  /** When the head may run next, while it is ready. */
  readonly headDueAt?: number;
  readonly headFailures: number;
  /** When the head was created. */
  readonly headAt: number;
}

/** Which lanes to list. */
export interface LaneFilter {
  readonly route?: string;
  readonly target?: string;
  readonly lane?: string;
  /** Only lanes whose head is in this state. */
  readonly headState?: DeliveryState;
  readonly limit: number;
}

/** The log could not be read or written; nothing may be acknowledged. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** The log. */
export interface Store {
  /** How many deliveries of the engine before this one were taken back when the log was opened. */
  readonly recovered: number;
  /** Makes sure that each queue has a row. Returns their numbers in the order asked for. */
  registerQueues(queues: readonly { route: string; target: string }[]): Promise<QueueId[]>;
  /**
   * Appends a request with its events and deliveries; concurrent appends share one commit.
   *
   * @returns one answer per event, only after it is durable
   * @throws StoreUnavailable when it may not be durable
   */
  append(request: NewRequest): Promise<Appended[]>;
  /** Takes due deliveries of the given queues, each under this claim's fresh token. */
  claim(credits: readonly Credit[], claim: { token: string; now: number }): Promise<Claim>;
  /** Ends an attempt. False when the lease was lost: nothing was written. */
  settle(settlement: Settlement): Promise<boolean>;
  /**
   * States that this engine lives, and takes over the work of engines that have stopped saying so. On a local file,
   * where the lock says it, there is nothing to do.
   *
   * @returns how many deliveries were taken over
   */
  beat(at: { now: number; monotonic: number }): Promise<number>;
  /** Cancels a delivery that is not running and not finished. False when it was one of these. */
  cancel(deliveryId: string, at: { now: number; reason: string }): Promise<boolean>;
  /**
   * Makes a new delivery from a finished one.
   *
   * @returns false when the old one is not finished or does not exist, or its event is gone
   */
  redeliver(deliveryId: string, made: { id: string; now: number }): Promise<boolean>;

  /** Ends a delivery that is neither running nor finished as skipped; its lane goes on. False when it was one of these. */
  skip(deliveryId: string, at: { now: number; reason: string }): Promise<boolean>;
  /** Makes a parked delivery ready, with fresh attempts. False when it is not parked. */
  resume(deliveryId: string, at: { now: number }): Promise<boolean>;
  /** Makes new deliveries of an event that is in the log, as new lineages. False when the event is gone. */
  replay(eventId: string, deliveries: readonly NewDelivery[], at: { now: number }): Promise<boolean>;
  /** Stops claiming from a queue, or goes on. False when there is no such queue. */
  pauseQueue(queue: { route: string; target: string }, paused: Paused | undefined): Promise<boolean>;
  /** Remembers that a source takes no requests, or takes them again. */
  pauseSource(name: string, paused: Paused | undefined): Promise<void>;

  /** Erases one short batch of what has aged out; see `retention.ts`. */
  expire(terms: Terms): Promise<Expired>;
  /** Erases one batch of the events that a filter describes, finished or not; see `purge.ts`. */
  purge(filter: PurgeFilter, at: PurgeAt): Promise<Purged>;

  event(id: string): Promise<EventDetail | undefined>;
  events(filter: EventFilter): Promise<Page<EventRow>>;
  delivery(id: string): Promise<DeliveryDetail | undefined>;
  deliveries(filter: DeliveryFilter): Promise<Page<DeliveryRow>>;
  countDeliveries(filter: Omit<DeliveryFilter, "limit" | "before" | "after">): Promise<number>;
  /** Cheap, however much waits. */
  gates(): Promise<QueueGate[]>;
  queues(): Promise<QueueRow[]>;
  sources(): Promise<SourceRow[]>;
  lanes(filter: LaneFilter): Promise<LaneRow[]>;
  /** Throws StoreUnavailable when the log cannot be read. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
