/**
 * One attempt from claim to settlement: run it, decide what follows, write that under the lease, say so in one line.
 */

import { isSuspect, settle, type Transition } from "../domain/delivery.ts";
import type { Clock, Random } from "../domain/clock.ts";
import { describeError } from "../domain/error.ts";
import type { AttemptReport } from "../domain/outcome.ts";
import type { ClaimedDelivery, Settlement, Store } from "../store/store.ts";
import type { Queue } from "./generation.ts";
import type { Observer } from "./observer.ts";

/** Longest wait between two tries to write a settlement that the log would not take. */
const settleRetryMsMax = 5_000;

/** What executing needs. */
export interface Executor {
  readonly store: Pick<Store, "settle">;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observer;
  /** The queue as it is configured now: a reload may have changed the policy while the attempt ran. */
  readonly queueNow: (queue: Queue) => Queue;
  /** Called whenever the settlement has been handed to the log: a claim from now on shares its commit and sees what it freed. */
  readonly settling: (transition: Transition) => void;
}

/**
 * Executes one claimed delivery. Never throws.
 *
 * @param stop aborts when the engine shuts down
 */
export async function execute(
  delivery: ClaimedDelivery,
  queue: Queue,
  executor: Executor & { stop: AbortSignal },
): Promise<void> {
  const { clock, observe } = executor;
  const startedAt = clock.now();
  const started = clock.monotonic();
  const { outcome, output, codeHash } = await run(delivery, queue, executor.stop);
  const finishedAt = clock.now();
  const { route, destination } = executor.queueNow(queue);
  const transition = settle(delivery, outcome, route, {
    now: finishedAt,
    random: executor.random(),
  });
  const reason = outcome.kind === "succeeded" ? undefined : outcome.reason;
  // If the process dies before this line is durable, the attempt happened and is repeated: at least once.
  const held = await settleDurably({
    delivery,
    breaker: destination.breaker,
    transition,
    attempt: { n: delivery.executions, startedAt, finishedAt, outcome: outcome.kind, reason, output, codeHash },
  }, executor);
  if (!held) return observe({ kind: "lease.lost", at: finishedAt, deliveryId: delivery.id, queue: queue.name });
  observe({
    kind: "delivery.attempted",
    at: finishedAt,
    deliveryId: delivery.id,
    eventId: delivery.event.id,
    eventType: delivery.event.type,
    source: delivery.event.source,
    queue: queue.name,
    lane: delivery.lane,
    attempt: delivery.failures + 1,
    durationMs: clock.monotonic() - started,
    outcome: outcome.kind,
    state: transition.state,
    reason: transition.state === "succeeded" ? undefined : transition.reason,
    dueAt: transition.state === "ready" ? transition.dueAt : undefined,
  });
}

async function run(delivery: ClaimedDelivery, queue: Queue, stop: AbortSignal): Promise<AttemptReport> {
  try {
    return await queue.runner.run({
      deliveryId: delivery.id,
      idempotencyKey: delivery.lineage,
      attempt: delivery.failures + 1,
      route: queue.route.name,
      target: queue.destination.kind === "target" ? queue.destination.name : undefined,
      orderingKey: delivery.lane,
      event: delivery.event,
      suspect: isSuspect(delivery),
    }, stop);
  } catch (thrown) {
    return { outcome: { kind: "failed", reason: describeError(thrown) } };
  }
}

/**
 * Writes the settlement, however long the log needs to come back: the work is done, and only this line says so. When the
 * engine is told to stop meanwhile, the next one takes the delivery back and repeats it.
 */
async function settleDurably(settlement: Settlement, executor: Executor & { stop: AbortSignal }): Promise<boolean> {
  for (let waitMs = 50;; waitMs = Math.min(waitMs * 2, settleRetryMsMax)) {
    try {
      const settled = executor.store.settle(settlement);
      executor.settling(settlement.transition);
      return await settled;
    } catch (error) {
      executor.observe({
        kind: "engine",
        at: executor.clock.now(),
        level: "error",
        message: `cannot settle ${settlement.delivery.id}: ${describeError(error)}`,
      });
      if (executor.stop.aborted) return false;
      await new Promise<void>((resolve) => void executor.clock.timer(waitMs, resolve));
    }
  }
}
