/**
 * A log with a backlog that nobody may work on, beside work that goes on: what the one costs the other. Short in
 * `backlog_test.ts`, long in `soak_backlog.ts`.
 */

import { openStore } from "../../core/store/open.ts";
import type { ClaimedDelivery, Credit, QueueId, Store } from "../../core/store/store.ts";
import { claimOne, newRequest, settlement } from "../store/fixture.ts";
import { type PendingDelivery, writeBacklog } from "../support/write_backlog.ts";

/** The routes of every log; each has the one target {@link target}. */
export const routeNames = ["work", "broken", "paused"] as const;
/** The name of every route's only target. */
export const target = "sink";
/** Failures that open a breaker. */
export const breakerFailures = 3;

/** Deliveries of one claim. */
export const claimed = 10;

const laneLength = 10;
const stuckLanes = 10;
const yearMs = 365 * 86_400_000;
const breaker = { failures: breakerFailures, openMs: yearMs, openMsMax: yearMs };

/** What a log is filled with. */
export interface BacklogSpec {
  /**
   * `blocked`: deliveries of the queue that works, in ten lanes whose heads are parked or wait to be retried.
   * `closed`: ready deliveries of the two other queues, of which one is paused and one has an open breaker.
   */
  readonly kind: "blocked" | "closed";
  /** Deliveries that nobody may work on. */
  readonly stuck: number;
  /** Deliveries that are due, spread over the whole log in lanes of ten. */
  readonly due: number;
}

/** The log of a folder. */
export function logOf(folder: string): string {
  return `${folder}/weir.db`;
}

/** Makes a log: three queues, one of them paused, one with an open breaker, and what the spec says. */
export async function buildLog(folder: string, spec: BacklogSpec): Promise<void> {
  const now = Date.now();
  const store = await openLog(folder);
  const queues = await registerQueues(store);
  const [, broken] = queues;
  for (let failure = 1; failure <= breakerFailures; failure++) {
    await store.append(newRequest({ queues: [broken!] }));
    const { delivery, ...ended } = settlement(await claimOne(store, broken!), "dead", { finishedAt: now });
    await store.settle({ ...ended, delivery, breaker });
  }
  await store.pauseQueue({ route: "paused", target }, { at: now, reason: "for the rig" });
  await store.close();
  writeBacklog(logOf(folder), pending(spec, { queues, now }), now);
}

function* pending(
  { kind, stuck, due }: BacklogSpec,
  { queues, now }: { queues: readonly QueueId[]; now: number },
): Generator<PendingDelivery> {
  const [work, broken, paused] = queues as [QueueId, QueueId, QueueId];
  let stuckMade = 0;
  for (let dueMade = 0; dueMade < due; dueMade++) {
    const lane = `lane-${Math.floor(dueMade / laneLength)}`;
    yield { queue: work, lane, state: dueMade % laneLength === 0 ? "ready" : "blocked", dueAt: now };
    for (; stuckMade < stuck * (dueMade + 1) / due; stuckMade++) {
      const isOdd = stuckMade % 2 === 1;
      if (kind === "closed") yield { queue: isOdd ? broken : paused, state: "ready", dueAt: now };
      else {
        const head = isOdd ? "ready" : "parked";
        const state = stuckMade < stuckLanes ? head : "blocked";
        yield { queue: work, lane: `stuck-${stuckMade % stuckLanes}`, state, dueAt: now + yearMs };
      }
    }
  }
}

/** How long the parts of one round took. */
export interface RoundTimes {
  readonly claimMs: number;
  /** Settling what was claimed, which promotes what was behind it. */
  readonly settleMs: number;
}

/** A log whose due deliveries are worked off, claim by claim. */
export interface WorkedLog extends AsyncDisposable {
  readonly store: Store;
  /** The queue that works. */
  readonly queue: QueueId;
  /**
   * Claims ten deliveries and settles them as succeeded.
   *
   * @throws RangeError when the log gives anything but the next ten that are due
   */
  round(): Promise<RoundTimes>;
}

/** Opens a log that {@link buildLog} has made, with nothing worked off yet. */
export async function workOff(folder: string): Promise<WorkedLog> {
  const store = await openLog(folder);
  const [queue, broken, paused] = await registerQueues(store) as [QueueId, QueueId, QueueId];
  const credits: readonly Credit[] = [queue, broken, paused].map((id) => {
    return { queue: id, limit: claimed, concurrency: 2 * claimed, breaker };
  });
  const next = new Map<string, number>();

  function expectInOrder({ queue: from, lane = "", event }: ClaimedDelivery): void {
    const place = Number(event.id.slice("evt_BACKLOG".length));
    const before = next.get(lane) ?? -1;
    if (from !== queue || !lane.startsWith("lane-") || place <= before) {
      throw new RangeError(
        `claimed ${event.id} of ${lane} in queue ${from} after ${before}, expected due work in order`,
      );
    }
    next.set(lane, place);
  }

  return {
    store,
    queue,
    async round() {
      const now = Date.now();
      const begunAt = performance.now();
      const { deliveries } = await store.claim(credits, { token: crypto.randomUUID(), now });
      const claimedAt = performance.now();
      if (deliveries.length !== claimed) throw new RangeError(`claimed ${deliveries.length}, expected ${claimed}`);
      deliveries.forEach(expectInOrder);
      const settlements = deliveries.map((each) => settlement(each, "succeeded", { finishedAt: now }));
      const settlingAt = performance.now();
      const held = await Promise.all(settlements.map((each) => store.settle({ ...each, breaker })));
      const settledAt = performance.now();
      if (!held.every(Boolean)) throw new RangeError("a lease was lost, and nobody else works on this log");
      return { claimMs: claimedAt - begunAt, settleMs: settledAt - settlingAt };
    },
    [Symbol.asyncDispose]: () => store.close(),
  };
}

/** One round in each of two logs. */
export interface RoundPair {
  readonly full: RoundTimes;
  readonly empty: RoundTimes;
}

/** Rounds in both logs by turns, so that whatever else the machine does falls on both alike. */
export async function compareLogs(folders: { full: string; empty: string }, rounds: number): Promise<RoundPair[]> {
  await using full = await workOff(folders.full);
  await using empty = await workOff(folders.empty);
  const pairs: RoundPair[] = [];
  for (let round = 0; round < rounds; round++) {
    // In an object as in a sentence, what is written first is done first: neither is always the second.
    if (round % 2 === 0) pairs.push({ full: await full.round(), empty: await empty.round() });
    else pairs.push({ empty: await empty.round(), full: await full.round() });
  }
  return pairs;
}

/** The middle one. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function openLog(folder: string): Promise<Store> {
  return openStore({
    url: `file:${logOf(folder)}`,
    boot: crypto.randomUUID(),
    now: Date.now(),
    idempotencyMs: () => yearMs,
  });
}

function registerQueues(store: Store): Promise<QueueId[]> {
  return store.registerQueues(routeNames.map((route) => ({ route, target })));
}
