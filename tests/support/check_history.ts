/**
 * Judges a history: every promise that can be seen from the outside, one function each. Pure, and about as fast as
 * sorting the records.
 */

import { checkFinalRead } from "./check_final_read.ts";
import { checkLaneNames, checkLanes } from "./check_lanes.ts";
import { countRepeatsMax, findDeath, nameRun } from "./deaths.ts";
import type { Anomaly, HistoryLimits, HistoryRecord, HistoryReport } from "./history.ts";
import { type IndexedHistory, indexHistory } from "./history_index.ts";

/** Slots as the engine's own limit; a process may outlive its engine by what polling it takes on a busy machine. */
const defaultLimits: HistoryLimits = {
  slots: 512,
  outliveMsMax: 5_000,
  ordering: () => "one",
  attempts: () => 1,
  hasOperator: false,
};

/**
 * Finds everything that must not be in a history.
 *
 * Without a `final` record only what happened is judged, and not what the log made of it.
 */
export function checkHistory(records: readonly HistoryRecord[], known: Partial<HistoryLimits> = {}): HistoryReport {
  const limits = { ...defaultLimits, ...known };
  const history = indexHistory(records);
  const { crashes, runs, ingests } = history;
  const repeats = findRepeats(history, limits.slots);
  const repeatedMax = countRepeatsMax(history, limits.slots);
  const anomalies = [
    ...checkAnswers(history),
    ...checkOrigins(history),
    ...repeats.anomalies,
    ...checkLanes(history, limits),
    ...checkLaneNames(history, limits.ordering),
    ...checkProcesses(history, limits.outliveMsMax),
    ...(history.final === undefined ? [] : checkFinalRead(history, history.final, limits)),
  ];
  if (repeats.count > repeatedMax) {
    anomalies.push({
      name: "RERUN",
      subject: "all",
      detail: `work that was done was done again ${repeats.count} times; the deaths explain at most ${repeatedMax}`,
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
      anomalies.push({
        name: "INVENTED",
        subject: start.key,
        detail: `${nameRun(start)} began, and it was never sent`,
      });
    } else if (
      start.digest !== undefined && sent.every(({ digest }) => digest !== undefined && digest !== start.digest)
    ) {
      anomalies.push({
        name: "TORN",
        subject: start.key,
        detail: `${nameRun(start)} was given other bytes than were sent`,
      });
    }
  }
  return anomalies;
}

/** Finds work that ran again after it was done: allowed only when a death came between the two. */
function findRepeats(history: IndexedHistory, slots: number): { anomalies: Anomaly[]; count: number; most: number } {
  const anomalies: Anomaly[] = [];
  const byDeath = new Map<string, { of: string; repeated: number }>();
  let count = 0;
  for (const [delivery, runs] of history.runsOf) {
    const finishedAt = history.seenFinished.get(delivery) ?? Infinity;
    runs.forEach((run, at) => {
      if (run.at > finishedAt) {
        const detail = `${nameRun(run.start)} began after it was finished`;
        anomalies.push({ name: "RERUN", subject: delivery, detail });
      }
      const done = runs.slice(0, at).findLast(({ end }) => end?.outcome === "succeeded");
      if (done === undefined) return;
      const death = findDeath(history, { first: done, second: run, slots });
      if (death === undefined) {
        const detail = `${nameRun(run.start)} began although ${nameRun(done.start)} had done it, ` +
          "and nothing died in between";
        anomalies.push({ name: "RERUN", subject: delivery, detail });
      }
      // One death makes one success be repeated; how many attempts that takes is chance.
      if (run.end?.outcome !== "succeeded") return;
      count++;
      if (death === undefined) return;
      const { repeated } = byDeath.get(death.name) ?? { repeated: 0 };
      byDeath.set(death.name, { of: death.of, repeated: repeated + 1 });
    });
  }
  for (const [death, { of, repeated }] of byDeath) {
    if (repeated <= slots) continue;
    const detail = `the ${death} made ${repeated} successes be repeated; it had ${slots} slots`;
    anomalies.push({ name: "RERUN", subject: of, detail });
  }
  return { anomalies, count, most: Math.max(0, ...byDeath.values().map(({ repeated }) => repeated)) };
}

/** No handler's process outlives its engine. */
function checkProcesses({ crashes, aliveAfter }: IndexedHistory, outliveMsMax: number): Anomaly[] {
  return [...aliveAfter].flatMap(([proc, { boot, atMs }]): Anomaly[] => {
    const lateMs = atMs - (crashes.get(boot)?.atMs ?? Infinity);
    if (lateMs <= outliveMsMax) return [];
    return [{ name: "ZOMBIE", subject: proc, detail: `alive ${Math.round(lateMs)} ms after its engine ${boot} died` }];
  });
}
