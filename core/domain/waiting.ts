/**
 * Why a delivery that is neither running nor finished does not run now. One pure function says it, in the order in which
 * the scheduler would find out; every listing and `explain` show its answer.
 */

import { breakerPhase, type BreakerState } from "./breaker.ts";
import type { Destination } from "./config.ts";
import { type DeliveryState, finishedStates } from "./delivery.ts";
import { rateOpensAt } from "./throttle.ts";

/** What a delivery can wait for. */
export const waitingKinds = [
  "orphaned",
  "parked",
  "behind",
  "paused",
  "due",
  "breaker",
  "probe",
  "rate_limit",
  "concurrency",
  "alone",
  "turn",
] as const;

export type WaitingKind = (typeof waitingKinds)[number];

/** What a delivery waits for. */
export interface Waiting {
  readonly kind: WaitingKind;
  /** The same in words. */
  readonly reason: string;
  /** When that will be over, where it is known. */
  readonly until?: number;
  /** The delivery at the head of its lane. */
  readonly head?: string;
}

/** What has to be known of a delivery. */
export interface WaitingDelivery {
  readonly state: DeliveryState;
  readonly reason?: string;
  readonly dueAt?: number;
  /** The head of its lane, where somebody has looked. */
  readonly behind?: string;
  /** Processes that it has taken down. */
  readonly deaths?: number;
}

/** What has to be known of its queue. */
export interface WaitingQueue {
  /** The route, and the target where there is one. */
  readonly name: string;
  /** As it is configured now; without it the route or the target is gone. */
  readonly destination?: Destination;
  readonly running: number;
  readonly paused?: { readonly reason: string };
  readonly breaker: BreakerState;
  /** When the bucket of its rate limit would be empty, were it never refilled. */
  readonly rateAt: number;
}

/**
 * Says what a delivery waits for.
 *
 * @returns undefined when it runs or has finished
 */
export function waitingFor(delivery: WaitingDelivery, queue: WaitingQueue, now: number): Waiting | undefined {
  const { state, behind } = delivery;
  if (state === "running" || finishedStates.includes(state)) return undefined;
  if (queue.destination === undefined) {
    return { kind: "orphaned", reason: `${queue.name} is not in the configuration` };
  }
  if (state === "parked") return { kind: "parked", reason: `parked: ${delivery.reason ?? "a person has to look"}` };
  if (state === "blocked") {
    return { kind: "behind", reason: `behind ${behind ?? "the head of its lane"}`, head: behind };
  }
  if (queue.paused !== undefined) {
    return { kind: "paused", reason: `${queue.name} is paused: ${queue.paused.reason}` };
  }
  return waitsForTime(delivery, queue, now) ?? waitsForCredit(queue, queue.destination, now) ??
    waitsToBeAlone(delivery, queue) ?? { kind: "turn", reason: `next when ${queue.name} is looked at again` };
}

/**
 * Says it of one that stands behind the head of its lane, once somebody has looked at the head too: how that one is.
 *
 * @param head with what it waits for itself; absent while it runs
 */
export function waitingBehind(
  waiting: Waiting,
  head: { readonly state: DeliveryState; readonly reason?: string; readonly waiting?: Waiting },
): Waiting {
  const why = head.waiting?.kind === "parked" ? head.reason : head.waiting?.reason;
  return { ...waiting, reason: `${waiting.reason}, ${head.state}${why === undefined ? "" : `: ${why}`}` };
}

/** In the engine's own process what may have taken one down runs when nothing else does. */
function waitsToBeAlone({ deaths = 0 }: WaitingDelivery, { destination }: WaitingQueue): Waiting | undefined {
  if (destination!.kind !== "inline" || deaths === 0) return undefined;
  return {
    kind: "alone",
    reason: "the engine died while it ran; it runs when nothing else runs in the engine's process",
  };
}

/** Its own time or the breaker's, whichever is later: that is when anything can change. */
function waitsForTime({ dueAt = 0, reason }: WaitingDelivery, queue: WaitingQueue, now: number): Waiting | undefined {
  const { breaker } = queue.destination!;
  const open = breaker !== undefined && breakerPhase(queue.breaker, breaker, now) === "open";
  const openUntil = open ? queue.breaker.openUntil! : 0;
  if (dueAt > now && dueAt >= openUntil) {
    return { kind: "due", reason: reason === undefined ? "not due yet" : `tried again later: ${reason}`, until: dueAt };
  }
  if (!open) return undefined;
  const { failures } = queue.breaker;
  return {
    kind: "breaker",
    reason: `${queue.name} failed ${failures} times in a row and is left alone`,
    until: openUntil,
  };
}

/** The limits of its queue, the strictest first. */
function waitsForCredit(queue: WaitingQueue, destination: Destination, now: number): Waiting | undefined {
  const { breaker, concurrency, rateLimit } = destination;
  const probing = breaker !== undefined && breakerPhase(queue.breaker, breaker, now) === "half-open";
  if (probing && queue.running > 0) return { kind: "probe", reason: `${queue.name} is tried with one delivery first` };
  if (queue.running >= concurrency) {
    return { kind: "concurrency", reason: `${queue.name} runs ${queue.running} at once, at most ${concurrency}` };
  }
  if (rateLimit === undefined) return undefined;
  const until = rateOpensAt(queue.rateAt, rateLimit, now);
  if (until <= now) return undefined;
  return {
    kind: "rate_limit",
    reason: `${queue.name} runs at most ${rateLimit.count} in ${rateLimit.perMs} ms`,
    until,
  };
}
