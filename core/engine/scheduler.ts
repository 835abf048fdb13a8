/**
 * Keeps every queue as full as it may be: claim what is due, run it, and wake up when something ends, arrives or falls
 * due. {@link Scheduler.tick} is the unit of progress; nothing here polls.
 */

import type { Clock, Random } from "../domain/clock.ts";
import { isSuspect } from "../domain/delivery.ts";
import { describeError } from "../domain/error.ts";
import type { Runner } from "../domain/handler.ts";
import { shareOut } from "../domain/throttle.ts";
import type { ClaimedDelivery, Credit, QueueId, Store } from "../store/store.ts";
import { execute } from "./execute.ts";
import type { Generation, Queue } from "./generation.ts";
import { createIsolation } from "./isolation.ts";
import type { Observer } from "./observer.ts";

/** Most attempts at once over all queues, unless another number is given; a suspect may be one more. */
export const attemptsAtOnceMax = 512;

/** How long before the end of the grace an attempt is told to stop. */
const abortMarginMs = 3_000;

/** Longest time until the clock on the wall is read again: how late a jump of it forward is noticed. */
const wallStepMs = 60_000;

/** How long to wait before asking a log again that could not be read. */
const unavailableRetryMs = 1_000;

/** Options of {@link createScheduler}. */
export interface SchedulerOptions {
  readonly store: Pick<Store, "countDue" | "claim" | "begin" | "settle">;
  /** The configuration at work now. */
  readonly generation: () => Generation;
  readonly clock: Clock;
  readonly random: Random;
  /** A fresh lease token, unguessable and never repeated. */
  readonly makeToken: () => string;
  readonly observe: Observer;
  readonly runningMax?: number;
}

/** The loop that makes the work finish. */
export interface Scheduler {
  /** Lets it claim. */
  start(): void;
  /**
   * Something may be due: look soon, in the queues that are named or else in all. Cheap; many calls make one look. Whoever
   * has just handed something to the log need not wait until it is there: the claim that follows shares its commit.
   */
  wake(queues?: Iterable<QueueId>): void;
  /** Claims once what is due anywhere and starts it. Resolves when the attempts have been started, not when they have ended. */
  tick(): Promise<void>;
  /** Attempts that run now; those that are being settled do not count. */
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
  const { store, clock, observe, runningMax = attemptsAtOnceMax } = options;
  /** Attempts that are not settled yet. */
  const inFlight = new Map<Promise<void>, Queue>();
  const runningOf = new Map<QueueId, number>();
  /** When each queue last started something, as a count of all starts. */
  const turnOf = new Map<QueueId, number>();
  let turns = 0;
  let running = 0;
  /** Queues that may hold something due. The others had nothing left when they were asked, and nothing has happened since. */
  let restless: Set<QueueId> | "all" = "all";
  const stopping = new AbortController();
  const isolation = createIsolation();
  let open = false;
  let looking: Promise<void> | undefined;
  let ticking: Promise<void> = Promise.resolve();
  let lookAgain = false;
  let isResting = false;
  let nextLookAt = Infinity;
  let cancelTimer = (): void => {};

  /** What a queue may start by its own limits; undefined when that is nothing. */
  function creditOf({ queues }: Generation, id: QueueId): Credit | undefined {
    const destination = queues.get(id)?.destination;
    const limit = (destination?.concurrency ?? 0) - (runningOf.get(id) ?? 0);
    if (destination === undefined || limit <= 0) return undefined;
    const { kind, concurrency, rateLimit, breaker } = destination;
    return { queue: id, limit, concurrency, rateLimit, breaker, suspects: kind === "inline" ? "none" : undefined };
  }

  /** What each queue may start: its own limits first, and its share of what the engine can still run if that is less. */
  async function credits(
    generation: Generation,
    asked: ReadonlySet<QueueId>,
  ): Promise<{ wanted: Credit[]; countedAt?: number }> {
    const { queues } = generation;
    const free = runningMax - running;
    if (free <= 0) return { wanted: [] };
    const own = [...asked].flatMap((id): Credit[] => {
      const credit = creditOf(generation, id);
      if (credit === undefined || (credit.suspects !== undefined && isolation.holds)) return [];
      return [credit];
    });
    if (own.reduce((sum, { limit }) => sum + limit, 0) <= free) return { wanted: own };
    // Not all can have what they may: only who has work takes part, or the idle would keep the busy from it.
    const countedAt = clock.now();
    const due = await store.countDue(own, { now: countedAt });
    const wants = own.map(({ queue }, at) => {
      const { priority = 0 } = queues.get(queue)!.route;
      return { key: queue, limit: due[at]!, running: runningOf.get(queue) ?? 0, priority };
    });
    // Of those that have equally much, the one whose last turn is longest ago goes first.
    const shares = shareOut(wants.sort((a, b) => (turnOf.get(a.key) ?? 0) - (turnOf.get(b.key) ?? 0)), free);
    return { wanted: own.map((credit) => ({ ...credit, limit: shares.get(credit.queue) ?? 0 })), countedAt };
  }

  async function tick(): Promise<void> {
    const generation = options.generation();
    const isWhole = restless === "all";
    const asked = restless === "all" ? new Set(generation.queues.keys()) : restless;
    // What happens from here on is asked about the next time, and the timer is for what is found or happens from here on.
    restless = new Set();
    if (isWhole) forgetTimer();
    const { holds } = isolation;
    const isFull = running >= runningMax;
    try {
      const { wanted, countedAt } = await credits(generation, asked);
      if (wanted.length > 0) {
        // What falls due between a count and the claim would be in neither, nor in what is next.
        await claim(wanted, { generation, now: countedAt ?? clock.now() });
        for (const { queue } of wanted) asked.delete(queue);
      }
      if (!holds && !isFull) isolation.endTurn();
      await claimSuspect(generation);
      if (holds && !isolation.holds) lookSoon();
      for (const queue of asked) if (generation.queues.has(queue)) disturb(queue); // whatever ends next makes room for them
    } catch (error) {
      restless = "all";
      throw error;
    }
  }

  /** Returns how many it brought. */
  async function claim(
    wanted: readonly Credit[],
    { generation, now }: { generation: Generation; now: number },
  ): Promise<number> {
    const { deliveries, nextDueAt, waiting, suspects } = await store.claim(wanted, {
      token: options.makeToken(),
      now,
      monotonic: () => clock.monotonic(),
    });
    for (const queue of waiting) disturb(queue);
    isolation.found(wanted.flatMap((credit) => credit.suspects === undefined ? [] : [credit.queue]), suspects);
    for (const delivery of deliveries) launch(delivery, generation.queues.get(delivery.queue)!);
    if (nextDueAt !== undefined) lookAt(nextDueAt);
    return deliveries.length;
  }

  /** There is one place more than others have, or scripts and targets would keep it. */
  async function claimSuspect(generation: Generation): Promise<void> {
    for (let queue = isolation.next; queue !== undefined; queue = isolation.next) {
      isolation.forget(queue); // if it holds more of them, it is found again and goes to the end
      const credit = creditOf(generation, queue);
      const brought = credit &&
        await claim([{ ...credit, limit: 1, suspects: "only" }], { generation, now: clock.now() });
      if (brought) return;
      isolation.forget(queue); // something else holds it: it is found again when its queue is asked
      disturb(queue);
    }
  }

  function launch(delivery: ClaimedDelivery, queue: Queue): void {
    const ended = queue.destination.kind === "inline" ? isolation.began(isSuspect(delivery)) : undefined;
    let isRunning = true;
    running++;
    runningOf.set(queue.id, (runningOf.get(queue.id) ?? 0) + 1);
    turnOf.set(queue.id, ++turns);
    const settled = execute(delivery, queue, {
      ...options,
      queueNow: () => options.generation().queues.get(queue.id) ?? queue,
      stop: stopping.signal,
      settling(transition) {
        if (isRunning) {
          isRunning = false;
          running--;
          runningOf.set(queue.id, runningOf.get(queue.id)! - 1);
        }
        if (delivery.lane !== undefined) disturb(queue.id); // its follower may be ready with it
        if (transition.state === "ready") lookAt(transition.dueAt);
        // While a claim is under way nobody knows yet which queues it will leave waiting.
        if (looking !== undefined || restless === "all" || restless.size > 0) lookSoon();
      },
    }).then(() => {
      inFlight.delete(settled);
      ended?.();
      if (isolation.isConcerned) lookSoon();
    });
    inFlight.set(settled, queue);
  }

  function disturb(queue: QueueId): void {
    if (restless !== "all") restless.add(queue);
  }

  function forgetTimer(): void {
    cancelTimer();
    nextLookAt = Infinity;
  }

  /** Looks everywhere at a time of the clock on the wall. Waits for it in steps: somebody may set that clock. */
  function lookAt(dueAt: number): void {
    if (dueAt >= nextLookAt || isResting) return;
    cancelTimer();
    if (dueAt <= clock.now()) {
      nextLookAt = Infinity;
      return wake();
    }
    nextLookAt = dueAt;
    const setAt = clock.now();
    cancelTimer = clock.timer(Math.min(dueAt - setAt, wallStepMs), () => {
      nextLookAt = Infinity;
      if (clock.now() < setAt) wake(); // somebody has: what was reckoned by the old time holds no more
      else lookAt(dueAt);
    });
  }

  function wake(queues?: Iterable<QueueId>): void {
    if (queues === undefined) restless = "all";
    else for (const queue of queues) disturb(queue);
    lookSoon();
  }

  function lookSoon(): void {
    if (!open || isResting) return;
    if (looking === undefined) looking = look();
    else lookAgain = true;
  }

  async function look(): Promise<void> {
    do {
      lookAgain = false;
      try {
        await (ticking = tick());
      } catch (error) {
        observe({ kind: "engine", at: clock.now(), level: "error", message: `cannot claim: ${describeError(error)}` });
        rest();
      }
    } while (lookAgain && open);
    looking = undefined;
    if (!open) forgetTimer();
  }

  function rest(): void {
    isResting = true;
    lookAgain = false;
    forgetTimer();
    cancelTimer = clock.timer(unavailableRetryMs, () => {
      isResting = false;
      wake();
    });
  }

  async function idle(): Promise<void> {
    await looking;
    while (inFlight.size > 0) await Promise.all(inFlight.keys());
  }

  return {
    start() {
      open = true;
      isResting = false;
      wake();
    },
    wake,
    tick() {
      restless = "all";
      return tick();
    },
    get running() {
      return running;
    },
    async whenFree(runner) {
      await ticking.catch(() => {}); // a claim under way may still start attempts of the generation that it began with
      await Promise.all([...inFlight].flatMap(([ended, queue]) => queue.runner === runner ? [ended] : []));
    },
    idle,
    async stop(graceMs) {
      open = false;
      forgetTimer();
      isolation.stop();
      const cancelAbort = clock.timer(Math.max(0, graceMs - abortMarginMs), () => stopping.abort());
      await idle();
      forgetTimer(); // of what failed meanwhile
      cancelAbort();
      stopping.abort();
    },
  };
}
