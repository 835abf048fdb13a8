import { assertEquals } from "@std/assert";
import { checkHistory } from "./check_history.ts";
import type { EndRecord, HistoryRecord } from "./history.ts";

/** What became of each run of one delivery, and of its process. */
type Fate = EndRecord["outcome"] | "its process ended" | "its engine died" | "never heard of again";

/** A delivery that these runs led to this end. */
function endAs(state: string, fates: readonly Fate[]): HistoryRecord[] {
  const runs = fates.flatMap((fate, at): HistoryRecord[] => {
    const [run, boot, proc] = [`run ${at}`, `boot ${at}`, `proc ${at}`];
    const start: HistoryRecord = { kind: "start", run, queue: "q", delivery: "d", key: "k", boot, proc };
    if (fate === "never heard of again") return [start];
    if (fate === "its process ended") return [start, { kind: "exit", proc }];
    if (fate === "its engine died") return [start, { kind: "crash", boot, atMs: 0 }];
    return [start, { kind: "end", run, outcome: fate }];
  });
  return [
    { kind: "ingest", step: "invoke", op: 0, key: "k" },
    ...runs,
    { kind: "final" },
    { kind: "event", id: "e", seq: 1, key: "k" },
    { kind: "delivery", id: "d", eventId: "e", queue: "q", seq: 1, state },
  ];
}

const attempts = 5;
const judge = (history: readonly HistoryRecord[], hasOperator = false): string[] =>
  checkHistory(history, { attempts: () => attempts, hasOperator }).anomalies.map(({ name }) => name);

const honest: readonly (readonly [why: string, fates: readonly Fate[]])[] = [
  ["it was rejected", ["failed", "rejected"]],
  ["its attempts are used up", Array<Fate>(attempts).fill("failed")],
  ["it is poison", Array<Fate>(3).fill("its process ended")],
  ["some of its attempts ended in silence", ["failed", "failed", "failed", "failed", "never heard of again"]],
];
for (const [why, fates] of honest) {
  Deno.test(`checkFinalRead: a delivery may be dead because ${why}`, () => {
    assertEquals(judge(endAs("dead", fates)), []);
  });
}

const dishonest: readonly (readonly [why: string, fates: readonly Fate[]])[] = [
  ["it never ran", []],
  ["an attempt is left", Array<Fate>(attempts - 1).fill("failed")],
  ["its engines died", Array<Fate>(attempts).fill("its engine died")],
  ["two of its processes ended", Array<Fate>(2).fill("its process ended")],
  ["it has succeeded", ["succeeded"]],
];
for (const [why, fates] of dishonest) {
  Deno.test(`checkFinalRead: a delivery may not be dead although ${why}`, () => {
    assertEquals(judge(endAs("dead", fates)), ["EARLY-DEAD"]);
  });
}

Deno.test("checkFinalRead: only where there is an operator is anything cancelled or skipped", () => {
  for (const state of ["cancelled", "skipped"]) {
    assertEquals(judge(endAs(state, [])), ["INVENTED"]);
    assertEquals(judge(endAs(state, []), true), []);
  }
});
