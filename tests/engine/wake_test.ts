/**
 * The scheduler's wake-ups, one turn at a time: whatever happens while a claim is under way is not forgotten. The log
 * answers here when the test says so, because these moments are too short to be met by chance.
 */

import { assertEquals } from "@std/assert";
import { createScheduler } from "../../core/engine/scheduler.ts";
import type { Generation, Queue } from "../../core/engine/generation.ts";
import type { Claim, ClaimedDelivery, Credit, QueueId, Settlement } from "../../core/store/store.ts";
import type { AttemptReport } from "../../core/domain/outcome.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

const queueId = 1;
const nothing: Claim = { deliveries: [], waiting: [], suspects: [] };

/** A scheduler whose claims, attempts and settlements wait for the test. */
function createHeld({ runningMax }: { runningMax?: number } = {}) {
  const clock = createFakeClock();
  const claims: ((claim: Claim) => void)[] = [];
  const askedOf: number[] = [];
  const attempts: ((report: AttemptReport) => void)[] = [];
  const settlements: { settlement: Settlement; resolve: (held: boolean) => void }[] = [];
  const queue = {
    id: queueId,
    name: "work",
    route: {
      name: "work",
      retry: { attempts: 5, scheduleMs: [10_000], jitter: 0, retryAfterMsMax: 60_000 },
      onExhausted: "dead",
    },
    destination: { kind: "inline", concurrency: 10, timeoutMs: 1_000 },
    runner: { run: () => new Promise((resolve) => attempts.push(resolve)), close: () => Promise.resolve() },
  } as unknown as Queue;
  const generation = { queues: new Map([[queueId, queue]]) } as unknown as Generation;
  const scheduler = createScheduler({
    store: {
      countDue(_, { now }) {
        askedOf.push(now);
        clock.advance(10);
        return Promise.resolve([1]);
      },
      claim(_, { now }) {
        askedOf.push(now);
        return new Promise((resolve) => claims.push(resolve));
      },
      begin: () => Promise.resolve(true),
      settle: (settlement) => new Promise((resolve) => settlements.push({ settlement, resolve })),
    },
    generation: () => generation,
    clock,
    random: () => 0,
    makeToken: () => "token",
    observe: () => {},
    runningMax,
  });
  return { scheduler, clock, askedOf, claims, attempts, settlements };
}

const delivery = {
  seq: 1,
  id: "dlv_1",
  queue: queueId,
  token: "token",
  executions: 1,
  failures: 0,
  deaths: 0,
  lineage: "dlv_1",
  event: { id: "evt_1", source: "app", type: "t" },
} as unknown as ClaimedDelivery;

Deno.test("scheduler: a retry settled while a claim looks everywhere is begun when it is due", async () => {
  const { scheduler, clock, claims, attempts, settlements } = createHeld();
  scheduler.start();
  await until("it asks", () => claims.length === 1);
  claims.shift()!({ deliveries: [delivery], waiting: [], suspects: [] });
  await until("it runs", () => attempts.length === 1);
  scheduler.wake();
  await until("a claim is under way", () => claims.length === 1);
  attempts.shift()!({ outcome: { kind: "failed", reason: "not yet" } });
  await until("it is being settled", () => settlements.length === 1);
  claims.shift()!(nothing); // written before the settlement: it says nothing of the retry
  settlements.shift()!.resolve(true);
  await scheduler.idle();
  clock.advance(9_999);
  assertEquals(claims.length, 0);
  clock.advance(1);
  await until("it is asked for", () => claims.length === 1);
  claims.shift()!(nothing);
  await scheduler.stop(0);
});

Deno.test("scheduler: an end while a claim is under way that leaves its queue waiting makes it ask again", async () => {
  const { scheduler, claims, attempts, settlements } = createHeld();
  scheduler.start();
  await until("it asks", () => claims.length === 1);
  claims.shift()!({ deliveries: [delivery], waiting: [], suspects: [] });
  await until("it runs", () => attempts.length === 1);
  scheduler.wake([queueId]);
  await until("a claim is under way", () => claims.length === 1);
  attempts.shift()!({ outcome: { kind: "succeeded" } });
  await until("it is being settled", () => settlements.length === 1);
  claims.shift()!({ deliveries: [], waiting: [queueId], suspects: [] }); // a breaker's probe was that very attempt, say
  await until("it asks again", () => claims.length === 1);
  claims.shift()!(nothing);
  settlements.shift()!.resolve(true);
  await scheduler.stop(0);
});

Deno.test("scheduler: a queue that had nothing left is not asked again when something else ends", async () => {
  const { scheduler, claims, attempts, settlements } = createHeld();
  scheduler.start();
  await until("it asks", () => claims.length === 1);
  claims.shift()!({ deliveries: [delivery], waiting: [], suspects: [] });
  await until("it runs", () => attempts.length === 1);
  attempts.shift()!({ outcome: { kind: "succeeded" } });
  await until("it is being settled", () => settlements.length === 1);
  settlements.shift()!.resolve(true);
  await scheduler.idle();
  assertEquals(claims.length, 0);
  await scheduler.stop(0);
});

Deno.test("scheduler: what fails while it stops leaves no timer behind", async () => {
  const { scheduler, clock, claims, attempts, settlements } = createHeld();
  scheduler.start();
  await until("it asks", () => claims.length === 1);
  claims.shift()!({ deliveries: [delivery], waiting: [], suspects: [] });
  await until("it runs", () => attempts.length === 1);
  const stopping = scheduler.stop(10_000);
  attempts.shift()!({ outcome: { kind: "failed", reason: "not yet" } });
  await until("it is being settled", () => settlements.length === 1);
  settlements.shift()!.resolve(true);
  await stopping;
  assertEquals(clock.waiting, 0);
});

Deno.test("scheduler: what is counted and what is claimed is asked of one time", async () => {
  const { scheduler, claims, askedOf } = createHeld({ runningMax: 5 }); // fewer than the queue may run
  scheduler.start();
  await until("it claims", () => claims.length === 1);
  assertEquals(askedOf, [askedOf[0], askedOf[0]], "what falls due in between would be in neither answer");
  claims.shift()!(nothing);
  await scheduler.stop(0);
});

Deno.test("scheduler: in a full engine the turn of the others lasts until there is a place for one of them", async () => {
  const began: string[] = [];
  const settled: string[] = [];
  const ends = new Map<string, () => void>();
  const waits = new Map<QueueId, string[]>([[1, ["fatal 1", "fatal 2"]], [2, []], [3, [
    "script 1",
    "script 2",
    "script 3",
  ]]]);
  const makeQueue = (id: QueueId, kind: string) => ({
    id,
    name: `queue ${id}`,
    route: { name: `queue ${id}`, retry: { attempts: 9, scheduleMs: [1], jitter: 0 }, onExhausted: "dead" },
    destination: { kind, concurrency: 100, timeoutMs: 1_000 },
    runner: {
      run({ deliveryId }: { deliveryId: string }) {
        began.push(deliveryId);
        return new Promise((resolve) => ends.set(deliveryId, () => resolve({ outcome: { kind: "succeeded" } })));
      },
      close: () => Promise.resolve(),
    },
  } as unknown as Queue);
  const queues = new Map([[1, makeQueue(1, "inline")], [2, makeQueue(2, "inline")], [3, makeQueue(3, "script")]]);
  // Whatever is in the first queue is a suspect, which is not taken with the others.
  const holds = ({ queue, suspects }: Credit): string[] => queue === 1 && suspects !== "only" ? [] : waits.get(queue)!;
  const scheduler = createScheduler({
    store: {
      countDue: (credits) => Promise.resolve(credits.map((credit) => Math.min(credit.limit, holds(credit).length))),
      claim(credits) {
        const deliveries = credits.flatMap((credit) =>
          holds(credit).splice(0, credit.limit).map((id) => {
            const counts = credit.queue === 1 ? { failures: 1, deaths: 1 } : {};
            return { ...delivery, id, queue: credit.queue, ...counts };
          })
        );
        return Promise.resolve({
          deliveries,
          waiting: credits.filter((credit) => holds(credit).length > 0).map(({ queue }) => queue),
          suspects: credits.some(({ queue }) => queue === 1) && waits.get(1)!.length > 0 ? [1] : [],
        });
      },
      begin: () => Promise.resolve(true),
      settle({ delivery: { id } }) {
        settled.push(id);
        return Promise.resolve(true);
      },
    },
    generation: () => ({ queues }) as unknown as Generation,
    clock: createFakeClock(),
    random: () => 0,
    makeToken: () => "token",
    observe: () => {},
    runningMax: 2,
  });
  const end = async (id: string) => {
    ends.get(id)!();
    await until(`${id} is settled`, () => settled.includes(id));
  };
  scheduler.start();
  await until("it is full, and one more runs", () => began.length === 3);
  assertEquals(began, ["script 1", "script 2", "fatal 1"]);
  waits.get(2)!.push("other");
  scheduler.wake([2]);
  await end("fatal 1");
  await end("script 1");
  await until("the next runs", () => began.length === 4);
  assertEquals(began.at(-1), "other");
  await end("other");
  await until("the next run", () => began.includes("fatal 2"));
  const stopping = scheduler.stop(0);
  for (const [, finish] of ends) finish();
  await stopping;
});
