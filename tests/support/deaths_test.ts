import { assertEquals } from "@std/assert";
import { checkHistory } from "./check_history.ts";
import type { HistoryRecord } from "./history.ts";

/** So many successes, one after the other, by this engine and in this process. */
function work(by: { boot: string; proc?: string }, deliveries: readonly string[]): HistoryRecord[] {
  return deliveries.flatMap((delivery): HistoryRecord[] => {
    const run = `${delivery} by ${by.proc ?? by.boot}`;
    return [
      { kind: "start", run, queue: "q", delivery, key: "k", ...by },
      { kind: "end", run, outcome: "succeeded" },
    ];
  });
}

const sent: HistoryRecord = { kind: "ingest", step: "invoke", op: 0, key: "k" };
const subjects = (history: readonly HistoryRecord[]): string[] =>
  checkHistory([sent, ...history], { slots: 2 }).anomalies.map(({ subject }) => subject);

Deno.test("findDeath: the end of a process explains what ran in it then, and nothing that it did before", () => {
  const done = ["a", "b", "c", "d"];
  const first = work({ boot: "b0", proc: "p0" }, done);
  const exit: HistoryRecord = { kind: "exit", proc: "p0" };
  assertEquals(subjects([...first, exit, ...work({ boot: "b0", proc: "p1" }, ["c", "d"])]), []);
  assertEquals(subjects([...first, exit, ...work({ boot: "b0", proc: "p1" }, done)]).slice(0, 2), ["a", "b"]);
});

Deno.test("findDeath: the end of some other process does not lift the bound of an engine's death", () => {
  const done = ["a", "b", "c"];
  const first = work({ boot: "b0", proc: "p0" }, done);
  const crash: HistoryRecord = { kind: "crash", boot: "b0", atMs: 0 };
  const again = work({ boot: "b1", proc: "p1" }, done);
  const elsewhere = [...work({ boot: "b1", proc: "p2" }, ["z"]), { kind: "exit", proc: "p2" } as const];
  assertEquals(subjects([...first, crash, ...again]), ["b0", "all"]);
  assertEquals(subjects([...elsewhere, ...first, crash, ...again]), ["b0"]);
});

Deno.test("findDeath: what is heard of an engine while it stands still was begun before", () => {
  const pause: HistoryRecord = { kind: "pause", boot: "b0" };
  const resume: HistoryRecord = { kind: "resume", boot: "b0" };
  const [first, again] = [work({ boot: "b0" }, ["a"]), work({ boot: "b1" }, ["a"])];
  assertEquals(subjects([pause, ...first, ...again, resume]), []);
  assertEquals(subjects([pause, ...first, resume, ...again]), []);
  assertEquals(subjects([pause, resume, ...first, ...again]), ["a"]);
  assertEquals(subjects([...again, pause, resume, ...first]), ["a"]); // it goes on and begins what another has done
});

Deno.test("findDeath: each time of standing still explains as much as there were slots", () => {
  const history = [["a", "b"], ["c", "d"]].flatMap((deliveries): HistoryRecord[] => [
    ...work({ boot: "b0" }, deliveries),
    { kind: "pause", boot: "b0" },
    { kind: "resume", boot: "b0" },
    ...work({ boot: "b1" }, deliveries),
  ]);
  assertEquals(subjects(history), []);
});
