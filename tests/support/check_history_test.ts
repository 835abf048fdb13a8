import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { checkHistory } from "./check_history.ts";
import type { AnomalyName, DeliveryRecord, EventRecord, HistoryRecord, StartRecord } from "./history.ts";
import { createRandom, type SeededRandom } from "./seeded_random.ts";

/** What the sound engine below may do; all counts are small, so that a failing history can be read. */
const shape = fc.record({ seed: fc.nat(), events: fc.integer({ min: 2, max: 12 }), crashes: fc.nat({ max: 3 }) });

Deno.test("checkHistory: finds nothing in the history of a sound engine, whatever crashes", () => {
  fc.assert(
    fc.property(shape, (made) => {
      const report = checkHistory(soundHistory(made), { slots: 4 });
      assertEquals(report.anomalies, []);
      assert(report.repeated <= report.repeatedMax);
    }),
    { numRuns: 1_000 },
  );
});

type Plant = (history: HistoryRecord[], random: SeededRandom) => void;

const plants: readonly (readonly [AnomalyName, string, Plant])[] = [
  ["LOST", "an acknowledged event is not in the log", (history) => {
    const { id } = acknowledged(history);
    remove(history, (record) => record.kind === "event" && record.id === id);
    remove(history, (record) => record.kind === "delivery" && record.eventId === id);
  }],
  ["LOST", "a delivery is called succeeded and nobody did it", (history) => {
    const { id } = some(history, isDelivery);
    const runs = history.filter(isStart).filter(({ delivery }) => delivery === id).map(({ run }) => run);
    replace(history, (record) => record.kind === "end" && runs.includes(record.run), { outcome: "failed" });
  }],
  ["INVENTED", "a handler is given an event that was never sent", (history) => {
    insert(history, {
      kind: "start",
      run: "x",
      queue: "work",
      delivery: "dlv_x",
      key: "never",
      boot: "b0",
      proc: "p0",
    });
  }],
  ["INVENTED", "the log holds an event that was certainly refused", (history) => {
    history.unshift({ kind: "ingest", step: "invoke", op: -1, key: "refused" });
    history.splice(1, 0, { kind: "ingest", step: "fail", op: -1 });
    history.push({ kind: "event", id: "evt_x", seq: 999, key: "refused" });
  }],
  ["INVENTED", "an event reaches a queue where it does not belong", (history) => {
    history.push({ ...some(history, isDelivery), id: "dlv_x", queue: "other", state: "cancelled" });
  }],
  ["RERUN", "work is done again although nothing died", (history) => {
    const done = history.findLastIndex((record) => record.kind === "end" && record.outcome === "succeeded");
    const { run } = history[done] as { run: string };
    const start = history.find((record) => isStart(record) && record.run === run) as StartRecord;
    history.splice(done + 1, 0, { ...start, run: "x" }, { kind: "end", run: "x", outcome: "succeeded" });
  }],
  ["RERUN", "work is done again after the log called it finished", (history) => {
    const done = history.findIndex((record) => record.kind === "end" && record.outcome === "succeeded");
    const { run } = history[done] as { run: string };
    const start = history.find((record) => isStart(record) && record.run === run) as StartRecord;
    const boot = start.boot!;
    const row = some(history, (record): record is DeliveryRecord => isDelivery(record) && record.id === start.delivery);
    history.splice(done + 1, 0, row, { kind: "crash", boot, atMs: 0 }, { ...start, run: "x", boot: "b9", proc: "p9" }, {
      kind: "end",
      run: "x",
      outcome: "succeeded",
    });
  }],
  ["OVERLAP", "an attempt begins while another of its lane runs", (history) => {
    const end = history.findIndex((record) => record.kind === "end");
    const { run } = history[end] as { run: string };
    const start = history.find((record) => isStart(record) && record.run === run) as StartRecord;
    history.splice(end, 0, { ...start, run: "x" });
    history.splice(end + 2, 0, { kind: "end", run: "x", outcome: "failed" });
  }],
  ["OVERLAP", "an attempt never ends, and nothing explains it", (history) => {
    const start = history.find(isStart)!;
    history.splice(history.indexOf(start), 0, { ...start, run: "x", boot: "b8", proc: "p8" });
  }],
  ["OVERLAP", "a process of a dead engine still runs when its lane goes on", (history) => {
    const start = history.find(isStart)!;
    const at = history.indexOf(start);
    history.splice(
      at,
      1,
      { ...start, run: "x", boot: "b9", proc: "p9" },
      { kind: "crash", boot: "b9", atMs: 0 },
      start,
      { kind: "alive", proc: "p9", boot: "b9", atMs: 1 },
    );
  }],
  ["REORDER", "a lane goes back to an earlier position", (history) => {
    const [first, second] = twoOfOneLane(history);
    const a = history.find((record): record is DeliveryRecord => isDelivery(record) && record.id === first.delivery)!;
    const b = history.find((record): record is DeliveryRecord => isDelivery(record) && record.id === second.delivery)!;
    history[history.indexOf(a)] = { ...a, seq: b.seq };
    history[history.indexOf(b)] = { ...b, seq: a.seq };
  }],
  ["REORDER", "the log is not in the order of the acknowledgements", (history) => {
    const [first, second] = twoOfOneLane(history);
    const rowOf = (key: string) =>
      some(history, (record): record is EventRecord => isEvent(record) && record.key === key);
    const [a, b] = [rowOf(first.key), rowOf(second.key)];
    history[history.indexOf(a)] = { ...a, seq: b.seq };
    history[history.indexOf(b)] = { ...b, seq: a.seq };
  }],
  ["DUP-ROW", "one key has two events", (history) => {
    history.push({ ...some(history, isEvent), id: "evt_x", seq: 999 });
  }],
  ["DUP-ROW", "one key was answered as two events", (history) => {
    const invoke = history.find((record) => record.kind === "ingest" && record.step === "invoke")!;
    insert(history, { ...invoke, op: -1 } as HistoryRecord);
    insert(history, { kind: "ingest", step: "ok", op: -1, eventId: "evt_x", status: "duplicate" });
  }],
  ["DUP-ROW", "one event has two deliveries in one queue", (history) => {
    history.push({ ...some(history, isDelivery), id: "dlv_x", state: "cancelled" });
  }],
  ["TORN", "an event has lost a delivery", (history) => {
    const { id } = some(history, isDelivery);
    remove(history, (record) => record.kind === "delivery" && record.id === id);
  }],
  ["TORN", "an event holds other bytes than were sent", (history) => {
    replace(history, isEvent, { digest: "other" });
  }],
  ["TORN", "a handler is given other bytes than were sent", (history) => {
    replace(history, isStart, { digest: "other" });
  }],
  ["ZOMBIE", "a process outlives its engine", (history) => {
    insert(history, { kind: "crash", boot: "b9", atMs: 1_000 });
    insert(history, { kind: "alive", proc: "p9", boot: "b9", atMs: 7_000 });
  }],
  ["ZOMBIE", "the result of a superseded attempt counts", (history) => {
    const row = history.filter(isDelivery).find(({ id }) =>
      history.filter((record) => isStart(record) && record.delivery === id).length > 1
    )!;
    const { run } = history.find((record) => isStart(record) && record.delivery === row.id) as StartRecord;
    history[history.indexOf(row)] = { ...row, winner: run };
  }],
  ["STUCK", "a delivery is not finished at the end", (history) => {
    replace(history, isDelivery, { state: "ready" });
  }],
  ["WRONG-LANE", "the engine has lost the lanes, and says so to its handlers", (history) => {
    replace(history, isStart, { lane: null });
  }],
  ["WRONG-LANE", "the log holds everything in one lane", (history) => {
    replace(history, isDelivery, { lane: "the only one" });
  }],
  ["REORDER", "a lane goes back, and nobody says what lane it is", (history) => {
    const [first, second] = twoOfOneLane(history);
    const rowOf = (id: string) => some(history, (each): each is DeliveryRecord => isDelivery(each) && each.id === id);
    const [a, b] = [rowOf(first.delivery), rowOf(second.delivery)];
    history[history.indexOf(a)] = { ...a, seq: b.seq };
    history[history.indexOf(b)] = { ...b, seq: a.seq };
    replace(history, isStart, { lane: undefined });
  }],
  ["EARLY-DEAD", "a delivery that never ran is dead", (history) => {
    const row = some(history, isDelivery);
    const runs = history.filter(isStart).filter(({ delivery }) => delivery === row.id).map(({ run }) => run);
    remove(history, (record) => (record.kind === "start" || record.kind === "end") && runs.includes(record.run));
    replace(history, (record) => record === row, { state: "dead", winner: undefined });
  }],
  ["EARLY-DEAD", "what was cut off by the end of its engine is called dead", (history) => {
    const [start] = history.filter(isStart);
    remove(history, (record) => isStart(record) && record !== start && record.delivery === start!.delivery);
    remove(
      history,
      (record) => record.kind === "end" && !history.some((each) => isStart(each) && each.run === record.run),
    );
    remove(history, (record) => record.kind === "end" && record.run === start!.run);
    insert(history, { kind: "crash", boot: start!.boot!, atMs: 0 });
    replace(history, (record) => isDelivery(record) && record.id === start!.delivery, { state: "dead" });
  }],
  ["INVENTED", "a delivery is cancelled, and there is nobody who could have asked for it", (history) => {
    const { id } = some(history, isDelivery);
    replace(history, (record) => isDelivery(record) && record.id === id, { state: "cancelled" });
  }],
];

for (const [name, what, plant] of plants) {
  Deno.test(`checkHistory: ${name} when ${what}`, () => {
    fc.assert(
      fc.property(shape, ({ seed, crashes }) => {
        // Enough events that there is something to break in every one of them.
        const history = soundHistory({ seed, crashes, events: 60 });
        plant(history, createRandom(seed));
        const names = new Set(checkHistory(history, { slots: 100 }).anomalies.map((anomaly) => anomaly.name));
        assert(names.has(name), `found ${[...names].join(", ") || "nothing"}`);
      }),
      { numRuns: 50 },
    );
  });
}

Deno.test("checkHistory: more repetitions than the crashes explain are a RERUN", () => {
  const history: HistoryRecord[] = [{ kind: "ingest", step: "invoke", op: 0, key: "k" }];
  for (const boot of ["b0", "b1"]) {
    for (const each of ["a", "b", "c"]) {
      const run = `${boot}${each}`;
      history.push({ kind: "start", run, queue: "q", delivery: each, key: "k", boot, proc: boot });
      history.push({ kind: "end", run, outcome: "succeeded" });
    }
    history.push({ kind: "crash", boot, atMs: 0 });
  }
  const rerun = (slots: number) => checkHistory(history, { slots }).anomalies.map(({ subject }) => subject);
  assertEquals(rerun(3), []);
  assertEquals(rerun(2), ["b0"]); // what one death explains
  assertEquals(rerun(1), ["b0", "all"]); // what all of them explain
});

Deno.test("checkHistory: a request in flight at a crash may overlap its repetition, one without a crash may not", () => {
  const start = { kind: "start", queue: "q", delivery: "d", key: "k" } as const;
  const history: HistoryRecord[] = [
    { kind: "ingest", step: "invoke", op: 0, key: "k" },
    { ...start, run: "1" },
    { kind: "crash", boot: "b0", atMs: 0 },
    { ...start, run: "2" },
    { kind: "end", run: "1", outcome: "succeeded" },
    { kind: "end", run: "2", outcome: "succeeded" },
  ];
  assertEquals(checkHistory(history).anomalies, []);
  const uncrashed = history.filter(({ kind }) => kind !== "crash");
  assert(checkHistory(uncrashed).anomalies.some(({ name }) => name === "OVERLAP"));
});

Deno.test("checkHistory: work of an engine that stood still may be done again, work that it begins later may not", () => {
  const start = { kind: "start", queue: "q", delivery: "d", key: "k" } as const;
  const sent: HistoryRecord = { kind: "ingest", step: "invoke", op: 0, key: "k" };
  const first: HistoryRecord[] = [{ ...start, run: "1", boot: "b0" }, { kind: "end", run: "1", outcome: "succeeded" }];
  const again: HistoryRecord[] = [{ ...start, run: "2", boot: "b1" }, { kind: "end", run: "2", outcome: "succeeded" }];
  const pause: HistoryRecord[] = [{ kind: "pause", boot: "b0" }, { kind: "resume", boot: "b0" }];
  const otherPause: HistoryRecord[] = [{ kind: "pause", boot: "b1" }, { kind: "resume", boot: "b1" }];
  assertEquals(checkHistory([sent, ...first, ...pause, ...again]).anomalies, []);
  for (const history of [[sent, ...pause, ...first, ...again], [sent, ...first, ...otherPause, ...again]]) {
    assertEquals(checkHistory(history).anomalies.map(({ name }) => name).includes("RERUN"), true);
  }
  const settled: HistoryRecord[] = [{ kind: "final" }, { kind: "event", id: "e", seq: 1, key: "k" }];
  const row = { kind: "delivery", id: "d", eventId: "e", queue: "q", seq: 1, state: "succeeded" } as const;
  const winners = ["1", "2"].map((winner) =>
    checkHistory([sent, ...first, ...pause, ...again, ...settled, { ...row, winner }])
  );
  assertEquals(winners.map(({ anomalies }) => anomalies.map(({ name }) => name)), [["ZOMBIE"], []]);
});

Deno.test("checkHistory: a request without an answer may be in the log, or not", () => {
  const sent: HistoryRecord[] = [
    { kind: "ingest", step: "invoke", op: 0, key: "k" },
    { kind: "ingest", step: "info", op: 0 },
    { kind: "final" },
  ];
  assertEquals(checkHistory(sent).anomalies, []);
  assertEquals(checkHistory([...sent, { kind: "event", id: "e", seq: 1, key: "k" }]).anomalies, []);
  assertEquals(checkHistory(sent).unknown, 1);
});

/**
 * What a sound engine leaves behind: a third of the attempts fail, it is killed now and then, and whatever a crash cut
 * off is repeated before the lane goes on. One attempt at a time, so that every order of records is a legal one.
 */
function soundHistory({ seed, events, crashes }: { seed: number; events: number; crashes: number }): HistoryRecord[] {
  const random = createRandom(seed);
  const history: HistoryRecord[] = [];
  const log: { key: string; lane: string; attempt: number }[] = [];
  let boot = 0;
  let runs = 0;
  const work = (each: typeof log[number], seq: number) => {
    for (;;) {
      const run = `r${runs++}`;
      const { key, lane } = each;
      const proc = `p${boot}`;
      const delivery = `dlv_${seq}`;
      const digest = `sha ${key}`;
      history.push(
        {
          kind: "start",
          run,
          queue: "work",
          delivery,
          key,
          lane,
          attempt: each.attempt,
          boot: `b${boot}`,
          proc,
          digest,
        },
      );
      const crash = boot < crashes && random.chance(0.2);
      const ended = !crash || random.chance(0.5);
      const failed = each.attempt < 5 && random.chance(0.33);
      if (ended) history.push({ kind: "end", run, outcome: failed ? "failed" : "succeeded" });
      if (crash) {
        history.push({ kind: "crash", boot: `b${boot}`, atMs: boot * 1_000 });
        history.push({ kind: "alive", proc, boot: `b${boot}`, atMs: boot * 1_000 + 20 });
        boot++;
      } else if (failed) each.attempt++;
      else return;
    }
  };
  for (let n = 0; n < events; n++) {
    const key = `k${n}`;
    const lane = `lane ${random.below(2)}`;
    log.push({ key, lane, attempt: 1 });
    for (let sent = 0; sent === 0 || random.chance(0.2); sent++) {
      const op = n * 100 + sent;
      history.push({ kind: "ingest", step: "invoke", op, key, lane, digest: `sha ${key}`, queues: ["work"] });
      const status = sent === 0 ? "accepted" : "duplicate";
      history.push({ kind: "ingest", step: "ok", op, eventId: `evt_${n}`, status });
    }
    work(log[n]!, n);
  }
  history.push({ kind: "final" });
  log.forEach(({ key, lane }, seq) => {
    const eventId = `evt_${seq}`;
    const winner = (history.findLast((record) => isStart(record) && record.key === key) as StartRecord).run;
    history.push({ kind: "event", id: eventId, seq, key, digest: `sha ${key}` });
    history.push({ kind: "delivery", id: `dlv_${seq}`, eventId, queue: "work", lane, seq, state: "succeeded", winner });
  });
  return history;
}

const isStart = (record: HistoryRecord): record is StartRecord => record.kind === "start";
const isEvent = (record: HistoryRecord): record is EventRecord => record.kind === "event";
const isDelivery = (record: HistoryRecord): record is DeliveryRecord => record.kind === "delivery";

function some<Found extends HistoryRecord>(
  history: readonly HistoryRecord[],
  is: (record: HistoryRecord) => record is Found,
): Found {
  return history.find(is)!;
}

/** The first event that was acknowledged as new. */
function acknowledged(history: readonly HistoryRecord[]): { id: string } {
  for (const record of history) {
    if (record.kind === "ingest" && record.step === "ok") return { id: record.eventId };
  }
  throw new RangeError("nothing was acknowledged");
}

/** The first starts of two different deliveries of one lane. */
function twoOfOneLane(history: readonly HistoryRecord[]): [StartRecord, StartRecord] {
  const first = history.find(isStart)!;
  const second = history.find((record): record is StartRecord =>
    isStart(record) && record.lane === first.lane && record.delivery !== first.delivery
  )!;
  return [first, second];
}

function insert(history: HistoryRecord[], record: HistoryRecord): void {
  history.splice(history.findIndex(({ kind }) => kind === "final"), 0, record);
}

function remove(history: HistoryRecord[], is: (record: HistoryRecord) => boolean): void {
  history.splice(0, history.length, ...history.filter((record) => !is(record)));
}

function replace(history: HistoryRecord[], is: (record: HistoryRecord) => boolean, change: object): void {
  history.forEach((record, at) => {
    if (is(record)) history[at] = { ...record, ...change } as HistoryRecord;
  });
}
