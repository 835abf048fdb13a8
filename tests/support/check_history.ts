/**
 * Judges a history: every promise that can be seen from the outside, one function each. Pure, and about as fast as
 * sorting the records.
 */

import { checkFinalRead } from "./check_final_read.ts";
import type { Anomaly, HistoryLimits, HistoryRecord, HistoryReport, StartRecord } from "./history.ts";
import { type IndexedHistory, indexHistory, type Run } from "./history_index.ts";

/** Slots as the engine's own limit; a process may outlive its engine by what polling it takes on a busy machine. */
const defaultLimits: HistoryLimits = { slots: 512, outliveMsMax: 5_000 };

/**
 * Finds everything that must not be in a history.
 *
 * Without a `final` record only what happened is judged, and not what the log made of it.
 */
export function checkHistory(records: readonly HistoryRecord[], limits: Partial<HistoryLimits> = {}): HistoryReport {
  const { slots, outliveMsMax } = { ...defaultLimits, ...limits };
  const history = indexHistory(records);
  const { crashes, pauses, exits, runs, ingests } = history;
  const repeats = findRepeats(history, slots);
  const repeatedMax = (crashes.size + exits.size + [...pauses.values()].flat().length) * slots;
  const anomalies = [
    ...checkAnswers(history),
    ...checkOrigins(history),
    ...repeats.anomalies,
    ...checkLanes(history),
    ...checkProcesses(history, outliveMsMax),
    ...(history.final === undefined ? [] : checkFinalRead(history, history.final)),
  ];
  if (repeats.count > repeatedMax) {
    anomalies.push({
      name: "RERUN",
      subject: "all",
      detail:
        `work that was done was done again ${repeats.count} times; ${crashes.size} crashes explain at most ${repeatedMax}`,
    });
  }
  const answered = [...ingests.values()].flatMap(({ ok }) => ok === undefined ? [] : [ok]);
  return {
    anomalies,
    acknowledged: answered.length,
    unknown: [...ingests.values()].filter(({ ok, failed }) => ok === undefined && !failed).length,
    duplicateReplies: answered.filter(({ status }) => status === "duplicate").length,
    events: history.final?.events.length ?? 0,
    runs: runs.size,
    cutOff: [...runs.values()].filter(({ end }) => end === undefined).length,
    failed: [...runs.values()].filter(({ end }) => end?.outcome === "failed").length,
    repeated: repeats.count,
    repeatedMax,
    repeatedMost: repeats.most,
    crashes: crashes.size,
  };
}

/** One key, one event: all answers name the same, and only one of them says that it is new. */
function checkAnswers({ ingestsOf }: IndexedHistory): Anomaly[] {
  const anomalies: Anomaly[] = [];
  for (const [key, ingests] of ingestsOf) {
    const answers = ingests.flatMap(({ ok }) => ok === undefined ? [] : [ok]);
    const ids = new Set(answers.map(({ eventId }) => eventId));
    if (ids.size > 1) anomalies.push({ name: "DUP-ROW", subject: key, detail: `answered as ${[...ids].join(", ")}` });
    const accepted = answers.filter(({ status }) => status === "accepted").length;
    if (accepted > 1) anomalies.push({ name: "DUP-ROW", subject: key, detail: `accepted as new ${accepted} times` });
  }
  return anomalies;
}

/** Whatever is run was sent before, as these bytes. */
function checkOrigins({ runs, ingestsOf }: IndexedHistory): Anomaly[] {
  const anomalies: Anomaly[] = [];
  for (const { start, at } of runs.values()) {
    const sent = (ingestsOf.get(start.key) ?? []).filter((ingest) => ingest.at < at);
    if (sent.every(({ failed }) => failed)) {
      anomalies.push({ name: "INVENTED", subject: start.key, detail: `${name(start)} began, and it was never sent` });
    } else if (
      start.digest !== undefined && sent.every(({ digest }) => digest !== undefined && digest !== start.digest)
    ) {
      anomalies.push({
        name: "TORN",
        subject: start.key,
        detail: `${name(start)} was given other bytes than were sent`,
      });
    }
  }
  return anomalies;
}

/** Finds work that ran again after it was done: allowed only when a death came between the two. */
function findRepeats(history: IndexedHistory, slots: number): { anomalies: Anomaly[]; count: number; most: number } {
  const anomalies: Anomaly[] = [];
  const byBoot = new Map<string, number>();
  let count = 0;
  for (const [delivery, runs] of Map.groupBy(history.runs.values(), ({ start }) => start.delivery)) {
    const finishedAt = history.seenFinished.get(delivery) ?? Infinity;
    runs.forEach((run, at) => {
      if (run.at > finishedAt) {
        anomalies.push({ name: "RERUN", subject: delivery, detail: `${name(run.start)} began after it was finished` });
      }
      const done = runs.slice(0, at).findLast(({ end }) => end?.outcome === "succeeded");
      if (done === undefined) return;
      // One crash makes one success be repeated; how many attempts that takes is chance.
      if (run.end?.outcome === "succeeded") {
        count++;
        const { boot } = done.start;
        if (boot !== undefined) byBoot.set(boot, (byBoot.get(boot) ?? 0) + 1);
      }
      if (diedBetween(history, done, run)) return;
      const detail = `${name(run.start)} began although ${name(done.start)} had done it, and nothing died in between`;
      anomalies.push({ name: "RERUN", subject: delivery, detail });
    });
  }
  // A process of a handler can die without its engine, and then more than once.
  for (const [boot, repeated] of history.exits.size === 0 ? byBoot : []) {
    if (repeated <= slots) continue;
    const detail = `the death of one engine made ${repeated} successes be repeated; it had ${slots} slots`;
    anomalies.push({ name: "RERUN", subject: boot, detail });
  }
  return { anomalies, count, most: Math.max(0, ...byBoot.values()) };
}

function diedBetween(history: IndexedHistory, first: Run, second: Run): boolean {
  const { boot, proc } = first.start;
  const exitAt = proc === undefined ? undefined : history.exits.get(proc);
  if (exitAt !== undefined && exitAt < second.at) return true;
  if (boot !== undefined && history.pauses.get(boot)?.some((at) => first.at < at && at < second.at)) return true;
  if (boot !== undefined) return (history.crashes.get(boot)?.at ?? Infinity) < second.at;
  return [...history.crashes.values()].some(({ at }) => at > first.at && at < second.at);
}

/** Within a lane one attempt at a time, and never back to an earlier position. */
function checkLanes(history: IndexedHistory): Anomaly[] {
  const anomalies: Anomaly[] = [];
  const positions = new Map(history.final?.deliveries.map(({ id, seq }) => [id, seq]));
  const crashes = [...history.crashes.values()].map(({ at }) => at).sort((a, b) => a - b);
  const laneOf = ({ start }: Run) => JSON.stringify([start.queue, start.lane ?? ["delivery", start.delivery]]);
  for (const [lane, runs] of Map.groupBy(history.runs.values(), laneOf)) {
    let open: { run: Run; until: number } | undefined;
    let furthest: { run: Run; position: number } | undefined;
    for (const run of runs) {
      if (open !== undefined && run.at < open.until && !isBeyondRecall(history, open.run, run)) {
        const detail = `${name(run.start)} began while ${name(open.run.start)} was running`;
        anomalies.push({ name: "OVERLAP", subject: lane, detail });
      }
      const until = openUntil(history, run, crashes);
      if (open === undefined || until > open.until) open = { run, until };

      const position = positions.get(run.start.delivery);
      if (position === undefined) continue;
      if (furthest !== undefined && position < furthest.position) {
        const detail = `${name(run.start)} (position ${position}) began after ${name(furthest.run.start)} ` +
          `(position ${furthest.position})`;
        anomalies.push({ name: "REORDER", subject: lane, detail });
      } else furthest = { run, position };
    }
  }
  return anomalies;
}

/** The last moment at which a run is known, or must be assumed, to go on. */
function openUntil(history: IndexedHistory, { start, at, endAt }: Run, crashes: readonly number[]): number {
  if (endAt !== undefined) return endAt;
  const seenAt = start.proc === undefined ? at : Math.max(at, history.aliveAt.get(start.proc) ?? at);
  const crashAt = start.boot === undefined ? crashes.find((crash) => crash > at) : history.crashes.get(start.boot)?.at;
  const exitAt = start.proc === undefined ? undefined : history.exits.get(start.proc);
  const gone = Math.min(crashAt ?? Infinity, exitAt ?? Infinity);
  return Math.max(seenAt, gone);
}

/** A request that was under way when its engine died cannot be called back: its repetition may overlap it. */
function isBeyondRecall(history: IndexedHistory, first: Run, second: Run): boolean {
  return first.start.proc === undefined && diedBetween(history, first, second);
}

/** No handler's process outlives its engine. */
function checkProcesses({ crashes, aliveAfter }: IndexedHistory, outliveMsMax: number): Anomaly[] {
  return [...aliveAfter].flatMap(([proc, { boot, atMs }]): Anomaly[] => {
    const lateMs = atMs - (crashes.get(boot)?.atMs ?? Infinity);
    if (lateMs <= outliveMsMax) return [];
    return [{ name: "ZOMBIE", subject: proc, detail: `alive ${Math.round(lateMs)} ms after its engine ${boot} died` }];
  });
}

function name({ run, delivery, attempt }: StartRecord): string {
  return `run ${run} of ${delivery}${attempt === undefined ? "" : ` (attempt ${attempt})`}`;
}
