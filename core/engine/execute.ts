/**
 * One attempt from claim to settlement: run it, decide what follows, write that under the lease, say so in one line.
 */

import { countDeath, engineDied, isSuspect, settle, settleDeaths, type Transition } from "../domain/delivery.ts";
import type { Clock, Random } from "../domain/clock.ts";
import { describeError } from "../domain/error.ts";
import { type AttemptReport, withShortReason } from "../domain/outcome.ts";
import type { ClaimedDelivery, Settlement, Store } from "../store/store.ts";
import type { Queue } from "./generation.ts";
import type { Observer } from "./observer.ts";

/** Longest wait between two tries to write what the log would not take. */
const writeRetryMsMax = 5_000;

/** What executing needs. */
export interface Executor {
  readonly store: Pick<Store, "begin" | "settle">;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observer;
  /** The queue as it is configured now: a reload may have changed the policy while the attempt ran. */
  readonly queueNow: (queue: Queue) => Queue;
  /** Called whenever the settlement has been handed to the log: a claim from now on shares its commit and sees what it freed. */
  readonly settling: (transition: Transition) => void;
}

type StoppableExecutor = Executor & { readonly stop: AbortSignal };

/**
 * Executes one claimed delivery. Never throws.
 *
 * @param executor its `stop` aborts when the engine shuts down
 */
export async function execute(delivery: ClaimedDelivery, queue: Queue, executor: StoppableExecutor): Promise<void> {
  const { clock, observe } = executor;
  const { ending, begin } = workOf(delivery, queue, executor);
  const startedAt = clock.now();
  const started = clock.monotonic();
  const { output, codeHash, ...report } = await begin();
  const outcome = withShortReason(report.outcome);
  const finishedAt = clock.now();
  const { route, destination } = executor.queueNow(queue);
  const transition = ending ?? settle(delivery, outcome, route, { now: finishedAt, random: executor.random() });
  const reason = outcome.kind === "succeeded" ? undefined : outcome.reason;
  // If the process dies before this line is durable, the attempt happened and is repeated: at least once.
  const held = await settleDurably({
    delivery,
    breaker: ending === undefined ? destination.breaker : undefined,
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
    attempt: ending?.failures ?? delivery.failures + 1,
    durationMs: clock.monotonic() - started,
    outcome: outcome.kind,
    state: transition.state,
    reason: transition.state === "succeeded" ? undefined : transition.reason,
    dueAt: transition.state === "ready" ? transition.dueAt : undefined,
  });
}

/** What is to be done for a delivery, and what follows when that is already settled and nothing runs. */
interface Work {
  readonly ending?: Transition;
  begin(): Promise<AttemptReport>;
}

function workOf(delivery: ClaimedDelivery, queue: Queue, executor: StoppableExecutor): Work {
  const { stop } = executor;
  if (queue.destination.kind !== "inline" || !isSuspect(delivery)) return { begin: () => run(delivery, queue, stop) };
  const ending = settleDeaths(delivery, executor.queueNow(queue).route);
  if (ending === undefined) return { begin: () => runSuspect(delivery, queue, executor) };
  return { ending, begin: () => Promise.resolve({ outcome: { kind: "failed", reason: engineDied } }) };
}

/**
 * Runs an inline handler that may have taken an engine down. The death of this engine is counted against it beforehand:
 * whatever takes the engine down now is its doing, and nobody is left to say so afterwards.
 */
async function runSuspect(
  delivery: ClaimedDelivery,
  queue: Queue,
  executor: StoppableExecutor,
): Promise<AttemptReport> {
  const { store, clock, random, stop } = executor;
  const death = countDeath(delivery, executor.queueNow(queue).route, { now: clock.now(), random: random() });
  const begin = (): Promise<boolean> => store.begin(delivery, { death, monotonic: () => clock.monotonic() });
  if (!await writeDurably(begin, { ...executor, doing: `begin ${delivery.id}` })) {
    return { outcome: { kind: "interrupted", reason: "its lease was lost before it began" } };
  }
  if (stop.aborted) return { outcome: { kind: "interrupted", reason: "the engine is shutting down" } };
  return await run(delivery, queue, stop);
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
function settleDurably(settlement: Settlement, executor: StoppableExecutor): Promise<boolean> {
  const write = (): Promise<boolean> => {
    const settled = executor.store.settle(settlement);
    executor.settling(settlement.transition);
    return settled;
  };
  return writeDurably(write, { ...executor, doing: `settle ${settlement.delivery.id}` });
}

async function writeDurably(
  write: () => Promise<boolean>,
  executor: StoppableExecutor & { doing: string },
): Promise<boolean> {
  for (let waitMs = 50;; waitMs = Math.min(waitMs * 2, writeRetryMsMax)) {
    try {
      return await write();
    } catch (error) {
      executor.observe({
        kind: "engine",
        at: executor.clock.now(),
        level: "error",
        message: `cannot ${executor.doing}: ${describeError(error)}`,
      });
      if (executor.stop.aborted) return false;
      await new Promise<void>((resolve) => void executor.clock.timer(waitMs, resolve));
    }
  }
}
