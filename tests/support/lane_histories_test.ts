import { assertEquals } from "@std/assert";
import type { DeliveryRecord, EventRecord, HistoryRecord } from "./history.ts";
import { createLaneHistories } from "./lane_histories.ts";

const lanes = 3;
const eventsPerLane = 4;

/** Lanes whose events were sent and done in turns; returns what the log says, and a judge. */
function record(done: (sent: readonly string[]) => readonly string[] = (sent) => sent) {
  const histories = createLaneHistories(lanes, (key) => Number(key.split("/")[0]));
  const log: (EventRecord | DeliveryRecord)[] = [];
  const sent = Array.from({ length: lanes * eventsPerLane }, (_, n) => `${n % lanes}/${Math.floor(n / lanes)}`);
  sent.forEach((key, op) => {
    const lane = key.split("/")[0]!;
    histories.of(key).push({ kind: "ingest", step: "invoke", op, key, lane, queues: ["q"] });
    histories.of(key).push({ kind: "ingest", step: "ok", op, eventId: `evt ${key}`, status: "accepted" });
    log.push({ kind: "event", id: `evt ${key}`, seq: op, key });
    const delivery = { id: `dlv ${key}`, eventId: `evt ${key}`, queue: "q", lane, seq: op, state: "succeeded" };
    log.push({ kind: "delivery", ...delivery });
  });
  for (const key of done(sent)) {
    const run = `run ${key}`;
    const lane = key.split("/")[0];
    histories.of(key).push({ kind: "start", run, queue: "q", delivery: `dlv ${key}`, key, lane });
    histories.of(key).push({ kind: "end", run, outcome: "succeeded" });
  }
  const judge = (read: readonly HistoryRecord[]) => histories.judge(read).map(({ name, subject }) => [name, subject]);
  return { log, judge };
}

Deno.test("createLaneHistories: lanes that are worked off in turns are sound", () => {
  const { log, judge } = record();
  assertEquals(judge(log), []);
});

Deno.test("createLaneHistories: what is wrong in one lane is found", () => {
  const swapped = record((sent) => [...sent.filter((key) => key !== "1/0"), "1/0"]);
  assertEquals(swapped.judge(swapped.log), [["REORDER", `["q","1"]`]]);
  const undone = record((sent) => sent.filter((key) => key !== "2/3"));
  assertEquals(undone.judge(undone.log), [["LOST", "dlv 2/3"]]);
  const forgotten = record();
  assertEquals(forgotten.judge(forgotten.log.filter(({ id }) => id !== "evt 0/1")), [
    ["LOST", "0/1"],
    ["TORN", "dlv 0/1"],
    ["TORN", "dlv 0/1"],
    ["LOST", "dlv 0/1"],
  ]);
});

Deno.test("createLaneHistories: what belongs to no lane is found", () => {
  const { log, judge } = record();
  const [event, delivery] = log as [EventRecord, DeliveryRecord];
  assertEquals(
    judge([...log, { ...event, id: "evt x", key: "never sent" }, { ...delivery, id: "dlv x", eventId: "evt x" }]),
    [["INVENTED", "never sent"], ["LOST", "dlv x"]],
  );
});
