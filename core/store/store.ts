/**
 * The face of the log: one method per transition of the state machine and one per read. Nothing outside this folder
 * knows SQL; every method is asynchronous, so that the storage can live on a thread or a server of its own.
 *
 * Every write is one atomic batch that is safe to repeat, because a reply of a remote server can be lost.
 */

import type { CountedDeath } from "../domain/delivery.ts";
import type { Expired, Terms } from "./erase.ts";
import type { PurgeAt, Purged, PurgeFilter } from "./purge.ts";
import type {
  Appended,
  Claim,
  Credit,
  Lease,
  NewDelivery,
  NewRequest,
  QueueDefinition,
  QueueId,
  Redelivery,
  Settlement,
} from "./record.ts";
import type {
  DeliveryDetail,
  DeliveryFilter,
  DeliveryRow,
  EventDetail,
  EventFilter,
  EventRow,
  LaneFilter,
  LaneRow,
  Page,
  Paused,
  QueueGate,
  QueueRow,
  SourceRow,
} from "./view.ts";

export type { Expired, Purged, PurgeFilter };
export type * from "./record.ts";
export type * from "./view.ts";

/** The log could not be read or written; nothing may be acknowledged. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** The same, for want of space. The message may be shown to people. */
export class DiskFull extends StoreUnavailable {}

/** The log. */
export interface Store {
  /** How many deliveries of the engine before this one were taken back when the log was opened. */
  readonly recovered: number;
  /** Makes sure that each queue has a row. Returns their numbers in the order asked for. */
  registerQueues(queues: readonly QueueDefinition[]): Promise<QueueId[]>;
  /**
   * Appends a request with its events and deliveries; concurrent appends share one commit.
   *
   * @returns one answer per event, only after it is durable
   * @throws StoreUnavailable when it may not be durable
   */
  append(request: NewRequest): Promise<Appended[]>;
  /** How many deliveries each credit would bring now; at most its limit. For sharing out what not all can have. */
  countDue(credits: readonly Credit[], at: { now: number }): Promise<number[]>;
  /**
   * Takes due deliveries of the given queues, each under this claim's fresh token. A credit of nothing takes nothing, and
   * still has its say in when to ask again. On a remote log `monotonic` tells whether an answer came so late that others
   * may have taken the work over: then it is given back instead.
   */
  claim(
    credits: readonly Credit[],
    claim: { token: string; now: number; monotonic?: () => number },
  ): Promise<Claim>;
  /**
   * Writes what the death of this engine shall count against a delivery that is about to begin; its settlement takes that
   * back. False when the lease was lost, or may be by the time of the answer.
   */
  begin(delivery: Lease, begun: { death: CountedDeath; monotonic: () => number }): Promise<boolean>;
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
   * @returns false when the old one is not finished or does not exist, its event is gone, or something repeats it already
   *   and that was not wanted
   */
  redeliver(deliveryId: string, made: Redelivery): Promise<boolean>;

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
  countDeliveries(filter: Omit<DeliveryFilter, "limit" | "after">): Promise<number>;
  /** Cheap, however much waits. */
  gates(): Promise<QueueGate[]>;
  queues(): Promise<QueueRow[]>;
  sources(): Promise<SourceRow[]>;
  lanes(filter: LaneFilter): Promise<LaneRow[]>;
  /** Throws StoreUnavailable when the log cannot be read. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
