import { assertEquals } from "@std/assert";
import { checkHistory } from "./check_history.ts";
import type { DeliveryRecord, HistoryRecord, StartRecord } from "./history.ts";

/** Two events of one key. */
const sent: readonly HistoryRecord[] = ["a", "b"].map((key, op) => ({
  kind: "ingest",
  step: "invoke",
  op,
  key,
  lane: "lane",
}));

const startOf = (run: string, key: string, more: Partial<StartRecord> = {}): StartRecord => ({
  kind: "start",
  run,
  queue: "q",
  delivery: `dlv ${key}`,
  key,
  ...more,
});
const endOf = (run: string): HistoryRecord => ({ kind: "end", run, outcome: "succeeded" });
const names = (history: readonly HistoryRecord[], limits = {}): string[] =>
  checkHistory(history, limits).anomalies.map(({ name }) => name);

Deno.test("checkLanes: a request beyond recall hides nothing but itself", () => {
  const crash: HistoryRecord = { kind: "crash", boot: "b0", atMs: 0 };
  const lost = startOf("lost", "a", { boot: "b0" });
  const [again, beside] = [startOf("again", "a", { boot: "b1" }), startOf("beside", "b", { boot: "b1" })];
  const ends = ["again", "beside", "lost"].map(endOf);
  assertEquals(names([...sent, lost, crash, again, endOf("again"), beside, endOf("beside"), endOf("lost")]), []);
  // Whoever was sent first is open the longest, and may be: the other two are what is wrong.
  assertEquals(names([...sent, lost, crash, again, beside, ...ends]), ["OVERLAP"]);
});

Deno.test("checkLanes: attempts of one key overlap where the queue has no order, and nowhere else", () => {
  const together = [...sent, startOf("1", "a"), startOf("2", "b"), endOf("1"), endOf("2")];
  assertEquals(names(together), ["OVERLAP"]);
  assertEquals(names(together, { ordering: () => "none" }), []);
});

Deno.test("checkLaneNames: a lane where there is none, and none where there is one, are found", () => {
  const said = (lane: string | null) => [sent[0]!, startOf("1", "a", { lane }), endOf("1")];
  assertEquals([said("lane"), said(null), said("other")].map((each) => names(each)), [[], ["WRONG-LANE"], [
    "WRONG-LANE",
  ]]);
  const none = { ordering: () => "none" };
  assertEquals([said(null), said("lane")].map((each) => names(each, none)), [[], ["WRONG-LANE"]]);
});

Deno.test("checkLaneNames: lanes side by side belong to one key each, and are no more than the limit", () => {
  const rows = (...lanes: readonly (readonly [key: string, lane: string | undefined])[]): HistoryRecord[] => {
    const keys = [...new Set(lanes.map(([key]) => key))];
    const ingests = keys.flatMap((key, op): HistoryRecord[] => [
      { kind: "ingest", step: "invoke", op, key, lane: `lane of ${key}` },
    ]);
    const events = keys.map((key, seq): HistoryRecord => ({ kind: "event", id: key, seq, key }));
    const deliveries = lanes.map(([key, lane], seq): DeliveryRecord => (
      { kind: "delivery", id: `${seq}`, eventId: key, queue: "q", lane, seq, state: "cancelled", redeliveryOf: "some" }
    ));
    return [...ingests, { kind: "final" }, ...events, ...deliveries];
  };
  const limits = { ordering: () => 2, hasOperator: true };
  assertEquals(names(rows(["a", "a#0"], ["a", "a#1"], ["a", "a#0"], ["b", "b#0"]), limits), []);
  assertEquals(names(rows(["a", "a#0"], ["a", "a#1"], ["a", "a#2"]), limits), ["WRONG-LANE"]);
  assertEquals(names(rows(["a", "a#0"], ["b", "a#0"]), limits), ["WRONG-LANE"]);
  assertEquals(names(rows(["a", undefined]), limits), ["WRONG-LANE"]);
});
