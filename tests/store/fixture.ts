/**
 * What the Store's tests share: one log that can be opened again and again, and short ways to make requests and to end
 * attempts. All times are small numbers that the tests choose.
 */

import { assertEquals } from "@std/assert";
import type { Transition } from "../../core/domain/delivery.ts";
import type { Outcome } from "../../core/domain/outcome.ts";
import type {
  ClaimedDelivery,
  DeliveryRow,
  NewEvent,
  NewRequest,
  QueueId,
  Settlement,
  Store,
} from "../../core/store/store.ts";

/** How one test opens its log. */
export interface OpenOptions {
  readonly boot?: string;
  readonly now?: number;
  readonly idempotencyMs?: number;
}

/** One log, empty at first. */
export interface StoreFixture extends AsyncDisposable {
  /** Opens it; a second time means another start of the engine (on a server: another engine). */
  open(options?: OpenOptions): Promise<Store>;
}

/** A test of the suite. */
export type StoreTest = (fixture: StoreFixture) => Promise<void>;

let made = 0;

/** An id that no other test of this process has. */
export function uniqueId(prefix: string): string {
  return `${prefix}_${String(++made).padStart(8, "0")}`;
}

/** Beats as an engine does, every 5 s of its monotonic clock; returns how much it took over in all. */
export async function watch(
  store: Store,
  { now, from, to }: { now: number; from: number; to: number },
): Promise<number> {
  let taken = 0;
  for (let monotonic = from; monotonic < to; monotonic += 5_000) taken += await store.beat({ now, monotonic });
  return taken + await store.beat({ now, monotonic: to });
}

/** What a test says about an event; the rest is filled in. */
export interface EventSpec extends Partial<Omit<NewEvent, "deliveries" | "idempotencyKey">> {
  readonly key?: string;
  readonly queues?: readonly QueueId[];
  readonly lane?: string;
  readonly parkedReason?: string;
  readonly version?: number;
  /** Which expressions the version is by. */
  readonly versionRule?: number;
  readonly dueAt?: number;
}

/** Builds a request; one event per spec, one delivery per queue of it. */
export function newRequest(specs: EventSpec | readonly EventSpec[], request: Partial<NewRequest> = {}): NewRequest {
  const list = Array.isArray(specs) ? specs as readonly EventSpec[] : [specs as EventSpec];
  return {
    id: uniqueId("req"),
    source: "shop",
    query: "",
    headers: { "content-type": "application/json" },
    raw: new TextEncoder().encode("{}"),
    receivedAt: 1_000,
    configHash: "cfg",
    events: list.map(({ key, queues = [], lane, parkedReason, version, versionRule, dueAt, ...event }): NewEvent => ({
      id: uniqueId("evt"),
      type: "order.paid",
      idempotencyKey: key,
      sha256: "0".repeat(64),
      deliveries: queues.map((queue) => ({
        id: uniqueId("dlv"),
        queue,
        lane,
        parkedReason,
        version: version === undefined ? undefined : { value: version, rule: versionRule ?? 1 },
        dueAt,
      })),
      ...event,
    })),
    ...request,
  };
}

/** Opens the log with one queue for handlers. */
export async function openWithQueue(
  fixture: StoreFixture,
  options: OpenOptions = {},
): Promise<{ store: Store; queue: QueueId }> {
  const store = await fixture.open(options);
  const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
  return { store, queue: queue! };
}

/** Claims everything that is due. */
export async function claimAll(store: Store, queue: QueueId, now = 20_000): Promise<readonly ClaimedDelivery[]> {
  return (await store.claim([{ queue, limit: 100 }], { token: uniqueId("tok"), now })).deliveries;
}

/** Claims and expects exactly one delivery. */
export async function claimOne(store: Store, queue: QueueId, now = 20_000): Promise<ClaimedDelivery> {
  const deliveries = await claimAll(store, queue, now);
  assertEquals(deliveries.length, 1);
  return deliveries[0]!;
}

/** The end of an attempt, by the state it leads to. */
export function settlement(
  delivery: ClaimedDelivery,
  state: Transition["state"],
  at: { finishedAt?: number; dueAt?: number; reason?: string; result?: string; output?: string } = {},
): Settlement {
  const { finishedAt = 20_000, dueAt = finishedAt, reason = "it failed", result, output } = at;
  const outcome: Outcome["kind"] = state === "succeeded" ? "succeeded" : "failed";
  const failures = delivery.failures + (state === "succeeded" ? 0 : 1);
  const { deaths } = delivery;
  const transition: Transition = state === "succeeded"
    ? { state, failures, deaths, result }
    : state === "ready"
    ? { state, failures, deaths, dueAt, reason }
    : state === "parked"
    ? { state, failures, deaths, reason, halt: false }
    : { state, failures, deaths, reason };
  return {
    delivery,
    transition,
    attempt: {
      n: delivery.executions,
      startedAt: finishedAt - 1,
      finishedAt,
      outcome,
      reason: state === "succeeded" ? undefined : reason,
      output,
    },
  };
}

/** All deliveries, oldest first. */
export async function allDeliveries(store: Store): Promise<DeliveryRow[]> {
  return [...(await store.deliveries({ limit: 500 })).rows].reverse();
}

/** The states of all deliveries, oldest first. */
export async function states(store: Store): Promise<string[]> {
  return (await allDeliveries(store)).map(({ state }) => state);
}
