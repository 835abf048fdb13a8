/**
 * Tests of `core/domain/delivery.ts`: one test for each row of its table that `settle` decides, then what holds for all
 * of them together.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  countDeath,
  deathsMax,
  type DeliveryPolicy,
  deliveryStates,
  finishedStates,
  isSuspect,
  settle,
  settleDeaths,
} from "../../core/domain/delivery.ts";
import type { Outcome } from "../../core/domain/outcome.ts";
import { retryAfterMsMax } from "../../core/domain/retry.ts";

const policy: DeliveryPolicy = {
  retry: { attempts: 3, scheduleMs: [1_000, 60_000], jitter: 0.5 },
  onExhausted: "dead",
};
const at = { now: 1_700_000_000_000, random: 0 };
const fresh = { failures: 0, deaths: 0 };

Deno.test("settle: running, succeeded -> succeeded, with the result and the counters as they were", () => {
  assertEquals(settle({ failures: 2, deaths: 1 }, { kind: "succeeded", result: '{"ok":1}' }, policy, at), {
    state: "succeeded",
    failures: 2,
    deaths: 1,
    result: '{"ok":1}',
  });
});

Deno.test("settle: running, failed with attempts left -> ready, due after the schedule's delay", () => {
  const outcome: Outcome = { kind: "failed", reason: "answered 503" };
  assertEquals(settle(fresh, outcome, policy, at), {
    state: "ready",
    failures: 1,
    deaths: 0,
    dueAt: at.now + 1_000,
    reason: "answered 503",
  });
  assertEquals(settle({ failures: 1, deaths: 0 }, outcome, policy, { ...at, random: 0.5 }), {
    state: "ready",
    failures: 2,
    deaths: 0,
    dueAt: at.now + 75_000,
    reason: "answered 503",
  });
});

Deno.test("settle: running, failed with a Retry-After -> ready, no sooner than asked for", () => {
  const settled = settle(fresh, { kind: "failed", reason: "busy", retryAfterMs: 5_000 }, policy, at);
  assertEquals(settled.state === "ready" && settled.dueAt, at.now + 5_000);
});

Deno.test("settle: running, failed with no attempts left -> dead, saying how many there were", () => {
  assertEquals(settle({ failures: 2, deaths: 0 }, { kind: "failed", reason: "answered 503" }, policy, at), {
    state: "dead",
    failures: 3,
    deaths: 0,
    reason: "failed 3 of 3 attempts; answered 503",
  });
});

Deno.test("settle: running, failed after the policy was shortened -> dead at once", () => {
  const settled = settle({ failures: 7, deaths: 0 }, { kind: "failed", reason: "no" }, policy, at);
  assertEquals(settled.state === "dead" && settled.reason, "failed 8 of 3 attempts; no");
});

Deno.test("settle: running, rejected -> dead, whatever attempts are left", () => {
  assertEquals(settle(fresh, { kind: "rejected", reason: "nobody approved" }, policy, at), {
    state: "dead",
    failures: 1,
    deaths: 0,
    reason: "rejected: nobody approved",
  });
});

Deno.test("settle: running, its process died -> ready, counted as a failure and as a death", () => {
  const settled = settle(fresh, { kind: "failed", reason: "exit code 1", died: true }, policy, at);
  assertEquals([settled.state, settled.failures, settled.deaths], ["ready", 1, 1]);
});

Deno.test("settle: running, died for the third time -> dead as poison, whatever attempts are left", () => {
  const patient = { ...policy, retry: { ...policy.retry, attempts: 100 } };
  assertEquals(
    settle({ failures: 5, deaths: deathsMax - 1 }, { kind: "failed", reason: "exit code 1", died: true }, patient, at),
    { state: "dead", failures: 6, deaths: 3, reason: "poison: took its process down 3 times; exit code 1" },
  );
});

Deno.test("settle: running, interrupted -> ready, due now and not counted", () => {
  assertEquals(settle({ failures: 2, deaths: 1 }, { kind: "interrupted", reason: "shutting down" }, policy, at), {
    state: "ready",
    failures: 2,
    deaths: 1,
    dueAt: at.now,
    reason: "shutting down",
  });
});

Deno.test("settle: what is exhausted, rejected or poison is parked where the route says so, and halts its queue", () => {
  const once = { retry: { attempts: 1, scheduleMs: [1], jitter: 0 } };
  const outcomes: Outcome[] = [
    { kind: "failed", reason: "no" },
    { kind: "rejected", reason: "never" },
    { kind: "failed", reason: "gone", died: true },
  ];
  for (const outcome of outcomes) {
    const before = { failures: 2, deaths: 2 };
    for (const onExhausted of ["park", "halt"] as const) {
      const settled = settle(before, outcome, { ...once, onExhausted }, at);
      assertEquals([settled.state, settled.state === "parked" && settled.halt], ["parked", onExhausted === "halt"]);
    }
    assertEquals(settle(before, outcome, { ...once, onExhausted: "dead" }, at).state, "dead");
  }
});

Deno.test("countDeath: a failed attempt and a death, due after the schedule's delay", () => {
  assertEquals(countDeath(fresh, policy, at), { failures: 1, deaths: 1, delayMs: 1_000 });
  assertEquals(countDeath({ failures: 1, deaths: 1 }, policy, at), { failures: 2, deaths: 2, delayMs: 60_000 });
});

Deno.test("countDeath: the last one is due at once, because whoever claims it next ends it", () => {
  const patient = { ...policy, retry: { ...policy.retry, attempts: 100 } };
  for (const [before, of] of [[{ failures: 2, deaths: 2 }, patient], [{ failures: 2, deaths: 0 }, policy]] as const) {
    const { delayMs, ...counted } = countDeath(before, of, at);
    assertEquals([delayMs, counted], [0, { failures: 3, deaths: before.deaths + 1 }]);
    assertEquals(settleDeaths(counted, of)?.state, "dead");
    assertEquals(settleDeaths(counted, { ...of, onExhausted: "park" })?.state, "parked");
  }
});

Deno.test("settleDeaths: says which limit is used up, and nothing while there is some left", () => {
  const patient = { ...policy, retry: { ...policy.retry, attempts: 100 } };
  assertEquals(settleDeaths({ failures: 9, deaths: deathsMax }, patient), {
    state: "dead",
    failures: 9,
    deaths: 3,
    reason: "poison: took its process down 3 times; the engine died while it ran",
  });
  assertEquals(settleDeaths({ failures: 3, deaths: 1 }, policy), {
    state: "dead",
    failures: 3,
    deaths: 1,
    reason: "failed 3 of 3 attempts; the engine died while it ran",
  });
  assertEquals(settleDeaths({ failures: 2, deaths: 2 }, policy), undefined);
  assertEquals(settleDeaths({ failures: 3, deaths: 0 }, policy), undefined); // it took nothing down: a reload allows fewer
});

Deno.test("isSuspect: true from the first death on", () => {
  assertEquals(isSuspect(fresh), false);
  assertEquals(isSuspect({ failures: 1, deaths: 1 }), true);
});

Deno.test("finishedStates: are states, and succeeded, dead, cancelled and skipped are all of them", () => {
  assertEquals(finishedStates.filter((state) => deliveryStates.includes(state)), [
    "succeeded",
    "dead",
    "cancelled",
    "skipped",
  ]);
});

const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({ kind: fc.constant("succeeded" as const) }),
  fc.record({ kind: fc.constant("rejected" as const), reason: fc.string() }),
  fc.record({ kind: fc.constant("interrupted" as const), reason: fc.string() }),
  fc.record({
    kind: fc.constant("failed" as const),
    reason: fc.string(),
    retryAfterMs: fc.option(fc.nat(), { nil: undefined }),
    died: fc.boolean(),
  }),
);

const policies: fc.Arbitrary<DeliveryPolicy> = fc.record({
  retry: fc.record({
    attempts: fc.integer({ min: 1, max: 20 }),
    scheduleMs: fc.array(fc.nat(86_400_000), { minLength: 1, maxLength: 10 }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  onExhausted: fc.constant("dead" as const),
});

const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

Deno.test("settle: counters never fall, and only failed and rejected count", () => {
  const counters = fc.record({ failures: fc.nat(30), deaths: fc.nat(2) });
  fc.assert(fc.property(counters, outcomes, policies, chances, (before, outcome, policy, random) => {
    const after = settle(before, outcome, policy, { now: at.now, random });
    const counts = outcome.kind === "failed" || outcome.kind === "rejected" ? 1 : 0;
    assertEquals(after.failures, before.failures + counts);
    assertEquals(after.deaths, before.deaths + (outcome.kind === "failed" && outcome.died ? 1 : 0));
  }));
});

Deno.test("settle: is due in whole milliseconds, never before now and never beyond the longest delay", () => {
  fc.assert(fc.property(outcomes, policies, chances, (outcome, policy, random) => {
    const settled = settle(fresh, outcome, policy, { now: at.now, random });
    if (settled.state !== "ready") return;
    assert(Number.isSafeInteger(settled.dueAt) && settled.dueAt >= at.now);
    assert(settled.dueAt <= at.now + Math.max(retryAfterMsMax, ...policy.retry.scheduleMs.map((delay) => 2 * delay)));
  }));
});

Deno.test("settle: a delivery that only fails is dead after exactly its policy's attempts", () => {
  fc.assert(fc.property(policies, chances, (policy, random) => {
    let delivery = fresh;
    for (let attempt = 1;; attempt++) {
      const settled = settle(delivery, { kind: "failed", reason: "no" }, policy, { now: at.now, random });
      if (settled.state === "dead") return assertEquals(attempt, policy.retry.attempts);
      delivery = settled;
    }
  }));
});
