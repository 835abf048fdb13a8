/**
 * THE state machine. A delivery is one event for one handler or target; these are all the moves it can make, and
 * every one of them has one constructor here or one statement in `core/store/deliveries.ts`.
 *
 * | from            | on                                   | to        | who                        |
 * | --------------- | ------------------------------------ | --------- | -------------------------- |
 * | (none)          | appended, no lane or head of its lane | ready     | store.append               |
 * | (none)          | appended behind its lane's head      | blocked   | store.append               |
 * | (none)          | an expression failed                 | parked    | store.append               |
 * | blocked         | everything before it finished        | ready     | store (promotion)          |
 * | ready           | due and claimed                      | running   | store.claim                |
 * | running         | succeeded                            | succeeded | settle                     |
 * | running         | failed, attempts left                | ready     | settle, due later          |
 * | running         | failed, no attempts left             | dead, or parked by `on_exhausted` | settle     |
 * | running         | rejected                             | dead, or parked by `on_exhausted` | settle     |
 * | running         | died for the third time (poison)     | dead, or parked by `on_exhausted` | settle     |
 * | running         | interrupted                          | ready     | settle, due now            |
 * | running         | its engine is gone                   | ready     | store.open, store.beat; counted as a death if inline |
 * | running         | claimed again after the last death that it had left | dead, or parked by `on_exhausted` | settleDeaths |
 * | ready           | older than the last that finished in its lane (`skip_older`) | skipped | store.claim |
 * | parked          | resumed by a person                  | ready     | store.resume, fresh attempts |
 * | ready, blocked, parked | skipped by a person           | skipped   | store.skip                 |
 * | ready, blocked, parked | cancelled by a person         | cancelled | store.cancel               |
 *
 * succeeded, dead, cancelled and skipped are final: redelivering makes a new delivery.
 */

import type { OnExhausted } from "./config.ts";
import type { Outcome } from "./outcome.ts";
import { retryDelay, type RetryPolicy } from "./retry.ts";

/** Every state, in the order of a delivery's life. */
export const deliveryStates = [
  "blocked",
  "ready",
  "running",
  "parked",
  "succeeded",
  "dead",
  "cancelled",
  "skipped",
] as const;

export type DeliveryState = (typeof deliveryStates)[number];

/** The states that nothing leaves. */
export const finishedStates: readonly DeliveryState[] = ["succeeded", "dead", "cancelled", "skipped"];

/** How many times a delivery may take its process down before it is poison. */
export const deathsMax = 3;

/** What the decision needs to know of the delivery. */
export interface RunningDelivery {
  /** Counted failures before this attempt. */
  readonly failures: number;
  /** Processes that it has taken down before this attempt. */
  readonly deaths: number;
}

/** What the death of its engine leaves of a delivery that the engine itself was running. */
export interface CountedDeath extends RunningDelivery {
  /** How long it waits from the moment at which somebody finds it. */
  readonly delayMs: number;
}

/** What the decision needs to know of its route. */
export interface DeliveryPolicy {
  readonly retry: RetryPolicy;
  readonly onExhausted: OnExhausted;
}

/** Where a running delivery goes next. */
export type Transition =
  | { readonly state: "succeeded"; readonly failures: number; readonly deaths: number; readonly result?: string }
  | {
    readonly state: "ready";
    readonly failures: number;
    readonly deaths: number;
    readonly dueAt: number;
    readonly reason: string;
  }
  | { readonly state: "dead"; readonly failures: number; readonly deaths: number; readonly reason: string }
  | {
    readonly state: "parked";
    readonly failures: number;
    readonly deaths: number;
    readonly reason: string;
    /** Its whole queue pauses with it. */
    readonly halt: boolean;
  };

/**
 * Decides what follows from an outcome.
 *
 * @param delivery its counters before this attempt
 * @param outcome what came of the attempt
 * @param policy of its route, as configured now
 * @param at the time and a random number in [0, 1)
 */
export function settle(
  delivery: RunningDelivery,
  outcome: Outcome,
  policy: DeliveryPolicy,
  at: { now: number; random: number },
): Transition {
  const { failures, deaths } = delivery;
  switch (outcome.kind) {
    case "succeeded":
      return { state: "succeeded", failures, deaths, result: outcome.result };
    case "interrupted":
      return { state: "ready", failures, deaths, dueAt: at.now, reason: outcome.reason };
    case "rejected":
      return exhaust({ failures: failures + 1, deaths }, `rejected: ${outcome.reason}`, policy);
    case "failed":
      return settleFailure({ failures: failures + 1, deaths: deaths + (outcome.died ? 1 : 0) }, outcome, policy, at);
  }
}

function settleFailure(
  counted: RunningDelivery,
  outcome: Outcome & { kind: "failed" },
  policy: DeliveryPolicy,
  at: { now: number; random: number },
): Transition {
  const { reason, retryAfterMs } = outcome;
  const exhausted = exhaustCounted(counted, reason, policy);
  if (exhausted !== undefined) return exhausted;
  const delay = retryDelay(policy.retry, { failures: counted.failures, random: at.random, retryAfterMs });
  return { state: "ready", ...counted, dueAt: at.now + delay, reason };
}

/** The end of a delivery whose deaths or attempts are used up; undefined while it has some left. */
function exhaustCounted(counted: RunningDelivery, reason: string, policy: DeliveryPolicy): Transition | undefined {
  const { failures, deaths } = counted;
  if (deaths >= deathsMax) return exhaust(counted, `poison: took its process down ${deaths} times; ${reason}`, policy);
  if (failures < policy.retry.attempts) return undefined;
  return exhaust(counted, `failed ${failures} of ${policy.retry.attempts} attempts; ${reason}`, policy);
}

/** No attempt will follow: the route says whether that ends the delivery or waits for a person. */
function exhaust(counted: RunningDelivery, reason: string, { onExhausted }: DeliveryPolicy): Transition {
  if (onExhausted === "dead") return { state: "dead", ...counted, reason };
  return { state: "parked", ...counted, reason, halt: onExhausted === "halt" };
}

/** Why an attempt failed whose engine died while it ran it in its own process. */
export const engineDied = "the engine died while it ran";

/**
 * Counts the death of the engine against a delivery that it ran itself: a failed attempt. It is ready again whatever it
 * has left, because only who claims it next can end it; that is {@link settleDeaths}.
 *
 * @param policy of its route; undefined where the one who counts does not know the route, and so no schedule
 */
export function countDeath(
  delivery: RunningDelivery,
  policy: DeliveryPolicy | undefined,
  at: { now: number; random: number },
): CountedDeath {
  if (policy === undefined) return { failures: delivery.failures + 1, deaths: delivery.deaths + 1, delayMs: 0 };
  const transition = settle(delivery, { kind: "failed", reason: engineDied, died: true }, policy, at);
  const { failures, deaths } = transition;
  return { failures, deaths, delayMs: transition.state === "ready" ? transition.dueAt - at.now : 0 };
}

/** The end of a claimed delivery that must not run once more after what {@link countDeath} counted. */
export function settleDeaths(delivery: RunningDelivery, policy: DeliveryPolicy): Transition | undefined {
  return isSuspect(delivery) ? exhaustCounted(delivery, engineDied, policy) : undefined;
}

/** Whether an earlier attempt took its process down, so that the next one must not share a process. */
export function isSuspect(delivery: RunningDelivery): boolean {
  return delivery.deaths > 0;
}
