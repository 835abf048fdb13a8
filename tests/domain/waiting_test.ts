/**
 * Tests of `core/domain/waiting.ts`: one reason for each thing that a delivery can wait for, and which of several counts.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Destination } from "../../core/domain/config.ts";
import { deliveryStates } from "../../core/domain/delivery.ts";
import {
  waitingBehind,
  type WaitingDelivery,
  waitingFor,
  waitingKinds,
  type WaitingQueue,
} from "../../core/domain/waiting.ts";

const now = 10_000;

const destination: Destination = {
  kind: "inline",
  timeoutMs: 1_000,
  concurrency: 2,
  rateLimit: { count: 10, perMs: 1_000 },
  breaker: { failures: 3, openMs: 1_000, openMsMax: 60_000 },
};

const idle: WaitingQueue = { name: "mirror/ci", destination, running: 0, breaker: { failures: 0 }, rateAt: 0 };

const waits = (delivery: WaitingDelivery, queue: Partial<WaitingQueue> = {}) =>
  waitingFor(delivery, { ...idle, ...queue }, now);

Deno.test("waitingFor: says each kind in words, and until when where that is known", () => {
  const ready: WaitingDelivery = { state: "ready", dueAt: 0 };
  const open = { failures: 3, openUntil: 12_000 };
  const table: [WaitingDelivery, Partial<WaitingQueue>, ReturnType<typeof waitingFor>][] = [
    [ready, { destination: undefined }, { kind: "orphaned", reason: "mirror/ci is not in the configuration" }],
    [{ state: "parked", reason: "rejected: no" }, {}, { kind: "parked", reason: "parked: rejected: no" }],
    [{ state: "parked" }, {}, { kind: "parked", reason: "parked: a person has to look" }],
    [{ state: "blocked", behind: "dlv_1" }, {}, { kind: "behind", reason: "behind dlv_1", head: "dlv_1" }],
    [{ state: "blocked" }, {}, { kind: "behind", reason: "behind the head of its lane", head: undefined }],
    [ready, { paused: { reason: "lunch" } }, { kind: "paused", reason: "mirror/ci is paused: lunch" }],
    [
      { state: "ready", dueAt: 11_000, reason: "answered 503" },
      {},
      { kind: "due", reason: "tried again later: answered 503", until: 11_000 },
    ],
    [{ state: "ready", dueAt: 11_000 }, {}, { kind: "due", reason: "not due yet", until: 11_000 }],
    [
      ready,
      { breaker: open },
      { kind: "breaker", reason: "mirror/ci failed 3 times in a row and is left alone", until: 12_000 },
    ],
    [
      ready,
      { breaker: { failures: 3, openUntil: now }, running: 1 },
      { kind: "probe", reason: "mirror/ci is tried with one delivery first" },
    ],
    [ready, { running: 2 }, { kind: "concurrency", reason: "mirror/ci runs 2 at once, at most 2" }],
    [ready, { rateAt: now }, { kind: "rate_limit", reason: "mirror/ci runs at most 10 in 1000 ms", until: 10_100 }],
    [
      { ...ready, deaths: 1 },
      {},
      {
        kind: "alone",
        reason: "the engine died while it ran; it runs when nothing else runs in the engine's process",
      },
    ],
    [
      { ...ready, deaths: 1 },
      { destination: { ...destination, kind: "target" } as Destination },
      { kind: "turn", reason: "next when mirror/ci is looked at again" },
    ],
    [ready, {}, { kind: "turn", reason: "next when mirror/ci is looked at again" }],
    [{ state: "ready" }, {}, { kind: "turn", reason: "next when mirror/ci is looked at again" }],
  ];
  for (const [delivery, queue, waiting] of table) assertEquals(waits(delivery, queue), waiting);
  assertEquals(new Set(table.map(([, , waiting]) => waiting!.kind)), new Set(waitingKinds));
});

Deno.test("waitingBehind: says how the head is, and why", () => {
  const behind = waits({ state: "blocked", behind: "dlv_1" })!;
  const says = (head: WaitingDelivery) => waitingBehind(behind, { ...head, waiting: waits(head) });
  const table: [WaitingDelivery, string][] = [
    [{ state: "parked", reason: "rejected: no" }, "behind dlv_1, parked: rejected: no"],
    [{ state: "running", reason: "answered 503" }, "behind dlv_1, running"],
    [
      { state: "ready", dueAt: 11_000, reason: "answered 503" },
      "behind dlv_1, ready: tried again later: answered 503",
    ],
  ];
  for (const [head, reason] of table) assertEquals(says(head), { kind: "behind", reason, head: "dlv_1" });
});

Deno.test("waitingFor: of the delivery's own time and the breaker's, the later one counts", () => {
  const breaker = { failures: 3, openUntil: 12_000 };
  const kindAt = (dueAt: number) => waits({ state: "ready", dueAt }, { breaker })?.kind;
  assertEquals([11_999, 12_000, 12_001].map(kindAt), ["breaker", "due", "due"]);
});

Deno.test("waitingFor: a queue without a breaker and a rate limit waits for neither", () => {
  const plain: Destination = { kind: "inline", timeoutMs: 1_000, concurrency: 2 };
  const queue = { destination: plain, breaker: { failures: 99, openUntil: now + 1 }, rateAt: now + 99_000, running: 1 };
  assertEquals(waits({ state: "ready" }, queue)?.kind, "turn");
});

Deno.test("waitingFor: running and finished wait for nothing, everything else has exactly one reason", () => {
  const cases = fc.record({
    state: fc.constantFrom(...deliveryStates),
    dueAt: fc.option(fc.nat(20_000), { nil: undefined }),
    orphaned: fc.boolean(),
    paused: fc.boolean(),
    running: fc.nat(3),
    failures: fc.nat(5),
    openUntil: fc.option(fc.nat(20_000), { nil: undefined }),
    rateAt: fc.nat(20_000),
  });
  fc.assert(fc.property(cases, ({ state, dueAt, orphaned, paused, running, failures, openUntil, rateAt }) => {
    const waiting = waits({ state, dueAt }, {
      destination: orphaned ? undefined : destination,
      paused: paused ? { reason: "lunch" } : undefined,
      running,
      breaker: { failures, openUntil },
      rateAt,
    });
    const isOver = ["running", "succeeded", "dead", "cancelled", "skipped"].includes(state);
    assertEquals(waiting === undefined, isOver);
    if (waiting === undefined) return;
    assert(waiting.reason !== "" && waitingKinds.includes(waiting.kind));
    // A time that is named is one that has not come.
    assert(waiting.until === undefined || waiting.until > now);
  }));
});
