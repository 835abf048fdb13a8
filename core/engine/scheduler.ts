/**
 * Keeps every queue as full as it may be: claim what is due, run it, and wake up when something ends, arrives or falls
 * due. {@link Scheduler.tick} is the unit of progress; nothing here polls.
 */

import type { Clock, Random } from "../domain/clock.ts";
import { describeError } from "../domain/error.ts";
import type { Runner } from "../domain/handler.ts";
import { shareOut } from "../domain/throttle.ts";
import type { ClaimedDelivery, Credit, QueueId, Store } from "../store/store.ts";
import { execute } from "./execute.ts";
import type { Generation, Queue } from "./generation.ts";
import type { Observer } from "./observer.ts";

/** Most attempts at once over all queues. */
export const runningMax = 512;

/** How long before the end of the grace an attempt is told to stop. */
const abortMarginMs = 3_000;

/** Longest time until the clock on the wall is read again: how late a jump of it forward is noticed. */
const wallStepMs = 60_000;

/** How long to wait before asking a log again that could not be read. */
const unavailableRetryMs = 1_000;

/** Options of {@link createScheduler}. */
export interface SchedulerOptions {
  readonly store: Pick<Store, "countDue" | "claim" | "settle">;
  /** The configuration at work now. */
  readonly generation: () => Generation;
  readonly clock: Clock;
  readonly random: Random;
  /** A fresh lease token, unguessable and never repeated. */
  readonly makeToken: () => string;
  readonly observe: Observer;
}

/** The loop that makes the work finish. */
export interface Scheduler {
  /** Lets it claim. */
  start(): void;
  /** Something may be ready: look soon. Cheap; many calls make one look. */
  wake(): void;
  /** Claims once what is due and starts it. Resolves when the attempts have been started, not when they have ended. */
  tick(): Promise<void>;
  /** Attempts that run now. */
  readonly running: number;
  /** Resolves when nothing that a generation before the present one started runs on `runner` any more. */
  whenFree(runner: Runner): Promise<void>;
  /** Resolves when no attempt runs. */
  idle(): Promise<void>;
  /** Stops claiming, waits for what runs, and aborts it when the grace is nearly over. */
  stop(graceMs: number): Promise<void>;
}

/** Makes a scheduler; it does nothing until it is started or ticked. */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { store, clock, observe } = options;
  const inFlight = new Map<Promise<void>, Queue>();
  const runningOf = new Map<QueueId, number>();
  const stopping = new AbortController();
  let open = false;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  let cancelTimer = (): void => {};

  /** What each queue may start: its own limits first, and its share of what the engine can still run if that is less. */
  async function credits({ queues }: Generation): Promise<Credit[]> {
    const free = runningMax - inFlight.size;
    const own = [...queues.values()].map(({ id, destination }): Credit => {
      const { concurrency, rateLimit, breaker } = destination;
      return { queue: id, limit: concurrency - (runningOf.get(id) ?? 0), concurrency, rateLimit, breaker };
    }).filter(({ limit }) => limit > 0);
    if (own.reduce((sum, { limit }) => sum + limit, 0) <= free) return own;
    // Not all can have what they may: only who has work takes part, or the idle would keep the busy from it.
    const due = await store.countDue(own, { now: clock.now() });
    const wants = own.map(({ queue }, at) => {
      return { key: queue, limit: due[at]!, priority: queues.get(queue)!.route.priority ?? 0 };
    });
    const shares = shareOut(wants, free);
    return own.map((credit) => ({ ...credit, limit: shares.get(credit.queue) ?? 0 }));
  }

  async function tick(): Promise<void> {
    const generation = options.generation();
    const wanted = inFlight.size < runningMax ? await credits(generation) : [];
    if (wanted.length === 0) return; // whatever ends next wakes us
    const claim = await store.claim(wanted, { token: options.makeToken(), now: clock.now() });
    for (const delivery of claim.deliveries) launch(delivery, generation.queues.get(delivery.queue)!);
    if (claim.nextDueAt === undefined) return;
    if (claim.nextDueAt > clock.now()) lookAt(claim.nextDueAt);
    else wake(); // it fell due while we asked
  }

  function launch(delivery: ClaimedDelivery, queue: Queue): void {
    runningOf.set(queue.id, (runningOf.get(queue.id) ?? 0) + 1);
    const queueNow = (): Queue => options.generation().queues.get(queue.id) ?? queue;
    const ended = execute(delivery, queue, { ...options, queueNow, stop: stopping.signal }).then(() => {
      inFlight.delete(ended);
      runningOf.set(queue.id, runningOf.get(queue.id)! - 1);
      wake();
    });
    inFlight.set(ended, queue);
  }

  /** Waits for a time of the clock on the wall, in steps: somebody may set it. */
  function lookAt(dueAt: number): void {
    cancelTimer();
    const waitMs = Math.max(1, Math.min(dueAt - clock.now(), wallStepMs));
    cancelTimer = clock.timer(waitMs, () => clock.now() >= dueAt ? wake() : lookAt(dueAt));
  }

  function wake(): void {
    if (!open) return;
    if (looking === undefined) looking = look();
    else lookAgain = true;
  }

  async function look(): Promise<void> {
    do {
      lookAgain = false;
      try {
        await tick();
      } catch (error) {
        observe({ kind: "engine", at: clock.now(), level: "error", message: `cannot claim: ${describeError(error)}` });
        lookAgain = false;
        cancelTimer();
        cancelTimer = clock.timer(unavailableRetryMs, wake);
      }
    } while (lookAgain && open);
    looking = undefined;
    if (!open) cancelTimer();
  }

  async function idle(): Promise<void> {
    await looking;
    while (inFlight.size > 0) await Promise.all(inFlight.keys());
  }

  return {
    start() {
      open = true;
      wake();
    },
    wake,
    tick,
    get running() {
      return inFlight.size;
    },
    async whenFree(runner) {
      await looking; // a claim under way may still start attempts of the generation that it began with
      await Promise.all([...inFlight].flatMap(([ended, queue]) => queue.runner === runner ? [ended] : []));
    },
    idle,
    async stop(graceMs) {
      open = false;
      cancelTimer();
      const cancelAbort = clock.timer(Math.max(0, graceMs - abortMarginMs), () => stopping.abort());
      await idle();
      cancelAbort();
      stopping.abort();
    },
  };
}
