import { assertEquals } from "@std/assert";
import type { DeliveryView } from "../../core/mod.ts";
import {
  describeCounts,
  describeDuration,
  describeFlags,
  describeResumed,
  describeRun,
  queueOf,
} from "../../cli/wording.ts";

Deno.test("describeDuration: two units at most, whatever the length", () => {
  const cases: [number, string][] = [
    [0, "0ms"],
    [-5, "0ms"],
    [41.4, "41ms"],
    [1_000, "1s"],
    [1_240, "1.2s"],
    [9_960, "10s"],
    [59_400, "59s"],
    [59_900, "1m"],
    [200_000, "3m20s"],
    [3_600_000, "1h"],
    [18_720_000, "5h12m"],
    [187_200_000, "2d4h"],
  ];
  for (const [ms, text] of cases) assertEquals(describeDuration(ms), text);
});

Deno.test("describeCounts: states that have none are left out", () => {
  assertEquals(describeCounts({ succeeded: 2, dead: 1, ready: 0 }), "2 succeeded, 1 dead");
  assertEquals(describeCounts({}), "no route matched");
});

Deno.test("queueOf: a target is named behind its route", () => {
  assertEquals(queueOf({ route: "mirror", target: "ci" }), "mirror/ci");
  assertEquals(queueOf({ route: "orders", target: "" }), "orders");
});

Deno.test("describeFlags: what is odd about an event, and nothing about the others", () => {
  const cases: [Parameters<typeof describeFlags>[0], string][] = [
    [{ duplicates: 0, mismatches: 0 }, ""],
    [{ duplicates: 1, mismatches: 0 }, "1 duplicate"],
    [{ duplicates: 3, mismatches: 2 }, "3 duplicates, 2 with another body"],
    [{ duplicates: 0, mismatches: 0, replayOf: "evt_1" }, "replays evt_1"],
  ];
  for (const [event, text] of cases) assertEquals(describeFlags(event), text);
});

Deno.test("describeRun: which attempt, since when, and of how long where the configuration says it", () => {
  const running = { executions: 2, claimedAt: 1_000 };
  assertEquals(describeRun({ ...running, timeoutMs: 60_000 }, 42_000), "attempt 2, for 41s of 1m");
  assertEquals(describeRun(running, 42_000), "attempt 2, for 41s");
});

Deno.test("describeResumed: what holds it all the same, or that it came to the same end again", () => {
  const row = { state: "ready", failures: 0 } as DeliveryView;
  assertEquals(describeResumed(row, 0), "");
  assertEquals(describeResumed({ ...row, waiting: { kind: "turn", reason: "next" } }, 0), "");
  assertEquals(
    describeResumed({ ...row, waiting: { kind: "paused", reason: "work is paused: lunch" } }, 0),
    "; it waits: work is paused: lunch",
  );
  assertEquals(
    describeResumed({ ...row, state: "parked", reason: "rejected: no" }, 0),
    "; it ran and is parked again: rejected: no",
  );
});
