/**
 * Random lives of a log beside a model of it in memory. After every step the log says what the model says, and the
 * promises hold on what the log itself shows: one live delivery per lane, and it is the oldest that is open.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type DeliveryState, finishedStates } from "../../core/domain/delivery.ts";
import { ownLog } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import type { ClaimedDelivery, DeliveryRow, Store } from "../../core/store/store.ts";
import { allDeliveries, newRequest, settlement, uniqueId } from "./fixture.ts";

/** What can happen. A number picks among what is there. */
type Step =
  | { readonly kind: "append"; readonly lanes: readonly (string | undefined)[] }
  | { readonly kind: "claim"; readonly limit: number }
  | { readonly kind: "settle"; readonly pick: number; readonly to: "succeeded" | "ready" | "dead" }
  | { readonly kind: "settleStale"; readonly pick: number }
  | { readonly kind: "cancel"; readonly pick: number }
  | { readonly kind: "redeliver"; readonly pick: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "reopen" };

const pick = fc.nat({ max: 1_000 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.constantFrom("a", "b", "c", undefined), { minLength: 1, maxLength: 4 }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("claim" as const), limit: fc.integer({ min: 0, max: 3 }) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("settle" as const),
        pick,
        to: fc.constantFrom("succeeded" as const, "ready" as const, "dead" as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("settleStale" as const), pick }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), pick }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("redeliver" as const), pick }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 300 }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
  ).map((step): Step => Array.isArray(step) ? { kind: "append", lanes: step } : step),
  { minLength: 5, maxLength: 60, size: "max" },
);

interface Modelled {
  readonly id: string;
  readonly lane?: string;
  readonly lineage: string;
  state: DeliveryState;
  dueAt: number;
  executions: number;
  failures: number;
}

/** How long a failed delivery waits in these lives. */
const retryMs = 150;

/** The log as it should be. */
class Model {
  readonly deliveries: Modelled[] = [];

  add(id: string, lane: string | undefined, at: { now: number; lineage?: string }): void {
    const state = lane === undefined ? "ready" : "blocked";
    const { now, lineage = id } = at;
    this.deliveries.push({ id, lane, lineage, state, dueAt: now, executions: 0, failures: 0 });
    this.promote(now);
  }

  claim(limit: number, now: number): string[] {
    const due = this.deliveries.filter(({ state, dueAt }) => state === "ready" && dueAt <= now);
    // Equal due times fall to the older: the sort is stable and the list is in log order.
    const taken = due.toSorted((a, b) => a.dueAt - b.dueAt).slice(0, limit);
    for (const delivery of taken) {
      delivery.state = "running";
      delivery.executions++;
    }
    return this.deliveries.filter((delivery) => taken.includes(delivery)).map(({ id }) => id);
  }

  move(id: string, state: DeliveryState, now: number, changes: Partial<Modelled> = {}): void {
    Object.assign(this.find(id)!, { state, ...changes });
    this.promote(now);
  }

  find(id: string): Modelled | undefined {
    return this.deliveries.find((delivery) => delivery.id === id);
  }

  promote(now: number): void {
    const open = this.deliveries.filter(({ state, lane }) => lane !== undefined && !finishedStates.includes(state));
    for (const delivery of open) {
      const head = open.find(({ lane }) => lane === delivery.lane);
      if (delivery !== head || delivery.state !== "blocked") continue;
      const waiting = this.deliveries.filter(({ state, dueAt }) => state === "ready" && dueAt < now);
      delivery.dueAt = Math.max(delivery.dueAt, ...waiting.map(({ dueAt }) => dueAt + 1));
      delivery.state = "ready";
    }
  }
}

/** One life of a log. */
class Life {
  readonly model = new Model();
  readonly held = new Map<string, ClaimedDelivery>();
  readonly stale: ClaimedDelivery[] = [];
  now = 10_000;

  constructor(readonly file: string, public store: Store, readonly queue: number) {}

  async take(step: Step): Promise<void> {
    const { model, store, now } = this;
    switch (step.kind) {
      case "append": {
        const requests = step.lanes.map((lane) => newRequest({ queues: [this.queue], lane }, { receivedAt: now }));
        await Promise.all(requests.map((request) => store.append(request)));
        requests.forEach((request, at) => model.add(request.events[0]!.deliveries[0]!.id, step.lanes[at], { now }));
        return;
      }
      case "claim": {
        const claim = await store.claim([{ queue: this.queue, limit: step.limit }], { token: uniqueId("tok"), now });
        assertEquals(claim.deliveries.map(({ id }) => id), model.claim(step.limit, now));
        for (const delivery of claim.deliveries) this.held.set(delivery.id, delivery);
        const later = model.deliveries.filter(({ state, dueAt }) => state === "ready" && dueAt > now);
        assertEquals(claim.nextDueAt, later.length > 0 ? Math.min(...later.map(({ dueAt }) => dueAt)) : undefined);
        return;
      }
      case "settle": {
        const delivery = [...this.held.values()].at(step.pick % (this.held.size || 1));
        if (delivery === undefined) return;
        const dueAt = now + retryMs;
        assertEquals(await store.settle(settlement(delivery, step.to, { finishedAt: now, dueAt })), true);
        this.held.delete(delivery.id);
        this.stale.push(delivery);
        const failures = delivery.failures + (step.to === "succeeded" ? 0 : 1);
        model.move(delivery.id, step.to, now, { failures, ...(step.to === "ready" ? { dueAt } : {}) });
        return;
      }
      case "settleStale": {
        const delivery = this.stale.at(step.pick % (this.stale.length || 1));
        if (delivery !== undefined) assertEquals(await store.settle(settlement(delivery, "succeeded")), false);
        return;
      }
      case "cancel": {
        const delivery = model.deliveries.at(step.pick % (model.deliveries.length || 1));
        if (delivery === undefined) return;
        const may = delivery.state === "ready" || delivery.state === "blocked";
        assertEquals(await store.cancel(delivery.id, { now, reason: "by hand" }), may);
        if (may) model.move(delivery.id, "cancelled", now);
        return;
      }
      case "redeliver": {
        const delivery = model.deliveries.at(step.pick % (model.deliveries.length || 1));
        if (delivery === undefined) return;
        const may = finishedStates.includes(delivery.state);
        const id = uniqueId("dlv");
        assertEquals(await store.redeliver(delivery.id, { id, now }), may);
        if (may) model.add(id, delivery.lane, { now, lineage: delivery.lineage });
        return;
      }
      case "wait":
        this.now += step.ms;
        return;
      case "reopen":
        await store.close();
        this.store = await openLife(this.file, now);
        assertEquals(this.store.recovered, this.held.size);
        for (const delivery of this.held.values()) {
          model.move(delivery.id, "ready", now, { dueAt: now });
          this.stale.push(delivery);
        }
        this.held.clear();
    }
  }

  /** The log against the model, and the promises on the log alone. */
  async check(): Promise<void> {
    const rows = await allDeliveries(this.store);
    assertEquals(rows.map(shown), this.model.deliveries.map(shown));
    for (const lane of ["a", "b", "c"]) {
      const open = rows.filter((row) => row.lane === lane && !finishedStates.includes(row.state));
      const live = open.filter(({ state }) => state !== "blocked");
      assertEquals(live.map(({ id }) => id), open.slice(0, 1).map(({ id }) => id), `the head of lane ${lane}`);
    }
    assert(rows.every((row) => row.lane !== undefined || row.state !== "blocked"));
    const [counted] = await this.store.queues();
    for (const state of ["ready", "blocked", "running", "parked", "dead"] as const) {
      assertEquals(counted?.[state], rows.filter((row) => row.state === state).length, state);
    }
  }
}

function shown(delivery: Modelled | DeliveryRow): unknown {
  const { id, lane, state, executions, failures, lineage } = delivery;
  return { id, lane, state, executions, failures, lineage, dueAt: state === "ready" ? delivery.dueAt : undefined };
}

/** On this thread: a life is opened and asked a thousand times over. */
function openLife(file: string, now: number): Promise<Store> {
  return ownLog(openSqlite(file), { boot: uniqueId("boot"), now, idempotencyMs: () => 60_000 });
}

/** The promise behind all others: in every lane, deliveries came to their end in the order of the log. */
async function checkOrderOfEnds(life: Life): Promise<void> {
  for (let at = 0; at < 500; at++) {
    const open = life.model.deliveries.filter(({ state }) => !finishedStates.includes(state));
    if (open.length === 0) return;
    life.now += retryMs;
    await life.take({ kind: "claim", limit: 3 });
    const lanes = [...life.held.values()].flatMap(({ lane }) => lane ?? []);
    assertEquals(new Set(lanes).size, lanes.length, "two of one lane at once");
    while (life.held.size > 0) await life.take({ kind: "settle", pick: at, to: at % 3 === 0 ? "ready" : "succeeded" });
    await life.check();
  }
  throw new Error("the work of this log does not finish");
}

Deno.test("store: every life of a log is the one that the state machine's table tells", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (life) => {
      const folder = await Deno.makeTempDir({ prefix: "weir-life-" });
      const file = `${folder}/weir.db`;
      const store = await openLife(file, 1_000);
      const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
      const lived = new Life(file, store, queue!);
      try {
        for (const step of life) {
          await lived.take(step);
          await lived.check();
        }
        await checkOrderOfEnds(lived);
      } finally {
        await lived.store.close();
        await Deno.remove(folder, { recursive: true });
      }
    }),
    { numRuns: 60 },
  );
});
