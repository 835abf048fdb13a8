/** The judges of a finished simulation, each shown a diary that is right and one that is wrong in one line. */

import { assertEquals } from "@std/assert";
import { checkDeliveries } from "./check_deliveries.ts";
import { checkQueues } from "./check_queues.ts";
import type { Evidence, Queue } from "./evidence.ts";
import type { Entry, Move, Told } from "./journal.ts";
import type { Policy } from "./swarm.ts";
import type { Ran } from "./work.ts";

const open = { running: 1, pausedFor: null, failures: 0, openUntil: null };

const queueOf = (policy: Partial<Policy>, rest: Partial<Queue>): Queue => ({
  id: 1,
  name: "work",
  isInline: false,
  policy: { onExhausted: "dead", skipsOlder: false, ...policy },
  attempts: { min: 3, max: 3 },
  concurrencyMax: 2,
  isOrdered: true,
  delayMs: () => ({ min: 1_000, max: 1_500 }),
  ...rest,
});

interface Given extends Partial<Queue> {
  readonly rules?: Partial<Policy>;
  readonly ended?: Ran["ended"];
  readonly key?: unknown;
}

function judge(entries: readonly Entry[], { rules = {}, ended, key = "k", ...rest }: Given = {}): string[] {
  const queue = queueOf(rules, rest);
  const fact = (delivery: number) => ({
    id: `d${delivery}`,
    queue,
    lane: "l",
    origin: "event" as const,
    version: 10 - delivery,
    body: { id: `e${delivery}`, key, fails: 0, rejects: false, vague: false, version: 10 - delivery },
  });
  const evidence: Evidence = {
    entries,
    queues: new Map([[1, queue]]),
    facts: new Map([1, 2, 3].map((delivery) => [delivery, fact(delivery)])),
    ranFor: () => ({ run: "run1", startedAt: 0, ended, askedMs: 0 }),
    released: new Set(),
    isShared: false,
    hasJumped: false,
    erases: false,
    isWhole: true,
    wallAt: (ms) => ms,
  };
  return [...checkDeliveries(evidence), ...checkQueues(evidence)].map(({ name }) => name);
}

const move = (from: Move["from"], to: Move["to"], rest: Partial<Move> = {}): Move => ({
  ...{ kind: "move", delivery: 1, n: 1, from, to, failures: 0, deaths: 0, dueAt: 0, claimedAt: 0 },
  ...{ reason: null, result: null, queue: open },
  ...rest,
});

const told = (outcome: Told["outcome"], rest: Partial<Told> = {}): Told => ({
  ...{ kind: "attempt", delivery: 1, n: 1, outcome, reason: null, finishedAt: 0 },
  ...rest,
});

Deno.test("judges: accept a success, a retry on time, and an end after the last attempt", () => {
  assertEquals(
    judge([told("succeeded"), move("running", "succeeded", { result: '"run1"' })], { ended: "succeeded" }),
    [],
  );
  assertEquals(
    judge([told("failed"), move("running", "ready", { failures: 1, dueAt: 1_200 })], { ended: "failed" }),
    [],
  );
  const last = [told("failed"), move("running", "dead", { failures: 1 })];
  assertEquals(judge(last, { ended: "failed", attempts: { min: 1, max: 1 } }), []);
});

Deno.test("checkDeliveries: finds what does not follow from what was seen", () => {
  const retry = (dueAt: number) => [told("failed"), move("running", "ready", { failures: 1, dueAt })];
  assertEquals(judge(retry(500), { ended: "failed" }), ["EARLY"]);
  assertEquals(judge(retry(9_000), { ended: "failed" }), ["LATE"]);
  assertEquals(judge(retry(1_200), { ended: "died" }), ["MISCOUNTED"]);
  assertEquals(judge(retry(1_200), { ended: "failed", attempts: { min: 1, max: 1 } }), ["OVERTRIED"]);
  assertEquals(judge([told("succeeded"), move("running", "succeeded")], { ended: "succeeded" }), ["WRONG-RESULT"]);
  const success = move("running", "succeeded", { result: '"run1"' });
  assertEquals(judge([told("succeeded"), success], { ended: "rejected" }), ["MISTOLD"]);
  assertEquals(judge([success]), ["TORN"]);
  assertEquals(judge([move("succeeded", "ready")]), ["REVIVED"]);
});

Deno.test("checkDeliveries: finds parking and halting that nobody asked for, and what does not wait", () => {
  const parked = [told("failed"), move("running", "parked", { failures: 1 })];
  const ended = "failed";
  const over = { min: 1, max: 1 };
  assertEquals(judge(parked, { ended, rules: { onExhausted: "park" }, attempts: over }), []);
  assertEquals(judge(parked, { ended, rules: { onExhausted: "park" } }), ["EARLY-PARKED"]);
  assertEquals(judge(parked, { ended, attempts: over }), ["WRONG-PARKED", "UNPARKED"]);
  assertEquals(judge(parked, { ended, rules: { onExhausted: "halt" }, attempts: over }), ["NOT-HALTED"]);
  assertEquals(judge([move("parked", "ready")]), ["INVENTED"]);
  assertEquals(judge([move(null, "ready")], { key: ["k"] }), ["UNPARKED"]);
  assertEquals(judge([move(null, "parked")]), ["WRONG-PARKED"]);
});

Deno.test("checkDeliveries: the death of an engine counts against what it ran itself, and against nothing else", () => {
  const lost = { reason: "the engine that ran it is gone" };
  const back = move("running", "ready");
  const counted = move("running", "ready", { failures: 1, deaths: 1, dueAt: 1_200 });
  assertEquals(judge([told("interrupted", lost), back]), []);
  assertEquals(judge([told("interrupted", lost), back], { isInline: true }), ["MISCOUNTED"]);
  assertEquals(judge([told("failed", lost), counted], { isInline: true }), []);
  assertEquals(judge([told("failed", lost), counted]), ["BLAMED"]);
});

Deno.test("checkQueues: finds what a queue should have held back", () => {
  const claim = (queue: Partial<Move["queue"]>, rest: Partial<Move> = {}) =>
    move("ready", "running", { queue: { ...open, ...queue }, ...rest });
  assertEquals(judge([claim({ running: 2 })]), []);
  assertEquals(judge([claim({ running: 3 })]), ["OVERRUN"]);
  assertEquals(judge([claim({ pausedFor: "a person" })]), ["PAUSED-RUN"]);
  assertEquals(judge([claim({}, { dueAt: 5 })]), ["EARLY"]);
  assertEquals(judge([{ kind: "pause", queue: 1, pausedFor: "halted by d1" }]), ["WRONG-HALT"]);

  const rules = { rateLimit: { count: 2, perMs: 1_000 } };
  const claims = (...at: number[]) => at.map((claimedAt, place) => claim({}, { claimedAt, delivery: place + 1 }));
  assertEquals(judge(claims(0, 0, 500), { rules }), []);
  assertEquals(judge(claims(0, 0, 400), { rules }), ["OVERRATE"]);
});

Deno.test("checkQueues: finds a breaker that lets through, or does not open", () => {
  const rules = { breaker: { failures: 1, openMs: 1_000, openMsMax: 8_000 } };
  const after = (failures: number, claimedAt: number, running = 1) =>
    judge([
      told("failed"),
      move("running", "ready", { failures: 1, dueAt: 1_000 }),
      move("ready", "running", {
        ...{ delivery: 2, claimedAt },
        queue: { ...open, running, failures, openUntil: failures > 0 ? 1_000 : null },
      }),
    ], { rules, ended: "failed" });
  assertEquals(after(1, 1_000), []);
  assertEquals(after(0, 1_000), ["NOT-OPENED"]);
  assertEquals(after(1, 1_000, 2), ["OPEN-RUN"]);
  assertEquals(after(1, 400).includes("OPEN-RUN"), true);
});

Deno.test("checkQueues: finds what begins although a newer version has finished", () => {
  const entries = [
    told("succeeded"),
    move("running", "succeeded", { result: '"run1"' }),
    move("blocked", "ready", { delivery: 2 }),
  ];
  assertEquals(judge(entries, { ended: "succeeded" }), []);
  assertEquals(judge(entries, { ended: "succeeded", rules: { skipsOlder: true } }), ["STALE"]);
});
