/**
 * What people read of the log: events, deliveries, attempts, lanes, queues and sources, and the filters and pages of
 * their listings.
 */

import type { BreakerState } from "../domain/breaker.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import type { HeaderMap } from "../domain/event.ts";
import type { Outcome } from "../domain/outcome.ts";

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
  /** When the execution that goes on was claimed, while it runs. */
  readonly claimedAt?: number;
  readonly executions: number;
  readonly failures: number;
  /** Processes that it has taken down. */
  readonly deaths: number;
  readonly createdAt: number;
  readonly finishedAt?: number;
  readonly lineage: string;
  /** The delivery that this one repeats. */
  readonly redeliveryOf?: string;
  readonly origin: "event" | "redelivery" | "replay";
  /** Others of its lane may have passed before it was made; assumed after 1,000 later deliveries of any lane. */
  readonly outOfOrder: boolean;
}

/** Everything about one delivery. */
export interface DeliveryDetail extends DeliveryRow {
  /** The handler's return value as JSON text, or the target's status line. */
  readonly result?: string;
  readonly attempts: readonly AttemptRow[];
  /** The latest of those that were made from it, at once or by way of others. */
  readonly redeliveredAs?: { readonly id: string; readonly state: DeliveryState };
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
  readonly headExecutions: number;
  readonly headFailures: number;
  /** When the execution of the head that goes on was claimed, while it runs. */
  readonly headClaimedAt?: number;
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
