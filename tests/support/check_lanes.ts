/**
 * Judges order. Which lane an event belongs to is read from the body that its sender sent; what the engine says about it
 * is judged itself, because an engine that has lost its lanes would say so and keep them all.
 */

import { findDeath, nameRun } from "./deaths.ts";
import type { Anomaly, HistoryLimits, Ordering } from "./history.ts";
import type { IndexedHistory, Run } from "./history_index.ts";

type LaneLimits = Pick<HistoryLimits, "slots" | "ordering">;

/** Within a lane one attempt at a time, and never back to an earlier position. */
export function checkLanes(history: IndexedHistory, limits: LaneLimits): Anomaly[] {
  const anomalies: Anomaly[] = [];
  const positions = new Map(history.final?.deliveries.map(({ id, seq }) => [id, seq]));
  const crashes = [...history.crashes.values()].map(({ at }) => at).sort((a, b) => a - b);
  const laneOf = (run: Run) =>
    JSON.stringify([run.start.queue, findLane(history, run, limits) ?? ["delivery", run.start.delivery]]);
  for (const [lane, runs] of Map.groupBy(history.runs.values(), laneOf)) {
    let open: { run: Run; until: number }[] = [];
    let furthest: { run: Run; position: number } | undefined;
    for (const run of runs) {
      open = open.filter(({ until }) => run.at < until);
      const beside = open.find((each) => !isBeyondRecall(history, { first: each.run, second: run, ...limits }));
      if (beside !== undefined) {
        const detail = `${nameRun(run.start)} began while ${nameRun(beside.run.start)} was running`;
        anomalies.push({ name: "OVERLAP", subject: lane, detail });
      }
      open.push({ run, until: openUntil(history, run, crashes) });

      const position = positions.get(run.start.delivery);
      if (position === undefined) continue;
      if (furthest !== undefined && position < furthest.position) {
        const detail = `${nameRun(run.start)} (position ${position}) began after ${nameRun(furthest.run.start)} ` +
          `(position ${furthest.position})`;
        anomalies.push({ name: "REORDER", subject: lane, detail });
      } else furthest = { run, position };
    }
  }
  return anomalies;
}

/** The lane that a run keeps its order in. */
function findLane({ ingestsOf }: IndexedHistory, { start }: Run, { ordering }: LaneLimits): string | undefined {
  const order = ordering(start.queue);
  if (order === "none") return undefined;
  return order === "one" ? ingestsOf.get(start.key)?.[0]?.lane : start.lane ?? undefined;
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
function isBeyondRecall(history: IndexedHistory, runs: { first: Run; second: Run; slots: number }): boolean {
  return runs.first.start.proc === undefined && findDeath(history, runs) !== undefined;
}

/** Holds every lane that the engine names, to handlers and in the log, against the body. */
export function checkLaneNames(history: IndexedHistory, ordering: HistoryLimits["ordering"]): Anomaly[] {
  const anomalies: Anomaly[] = [];
  /** Of the queues with lanes side by side: whose lane each is, and how many lanes each key has. */
  const keyOf = new Map<string, string>();
  const lanesOf = new Map<string, Set<string>>();

  function check(
    subject: string,
    { queue, key, said }: { queue: string; key: string; said: string | undefined },
  ): void {
    const ingest = history.ingestsOf.get(key)?.[0];
    if (ingest === undefined) return; // invented, which is found elsewhere
    const order = ordering(queue);
    const expected = order === "none" ? undefined : ingest.lane;
    const isRight = typeof order === "number" ? isSideBySide({ queue, said, expected, order }) : said === expected;
    if (isRight) return;
    const detail = `is in the lane ${said ?? "of nobody"} of ${queue}; its body says ${expected ?? "none"}`;
    anomalies.push({ name: "WRONG-LANE", subject, detail });
  }

  function isSideBySide(
    { queue, said, expected, order }: {
      queue: string;
      said?: string;
      expected?: string;
      order: Exclude<Ordering, string>;
    },
  ): boolean {
    if (said === undefined || expected === undefined) return said === expected;
    const lane = JSON.stringify([queue, said]);
    const key = JSON.stringify([queue, expected]);
    if (!keyOf.has(lane)) keyOf.set(lane, key);
    const lanes = lanesOf.get(key) ?? new Set();
    lanesOf.set(key, lanes.add(said));
    return keyOf.get(lane) === key && lanes.size <= order;
  }

  for (const { start } of history.runs.values()) {
    const { lane, delivery, queue, key } = start;
    if (lane !== undefined) check(delivery, { queue, key, said: lane ?? undefined });
  }
  const keys = new Map(history.final?.events.map(({ id, key }) => [id, key]));
  for (const { id, eventId, queue, lane } of history.final?.deliveries ?? []) {
    const key = keys.get(eventId);
    if (key !== undefined) check(id, { queue, key, said: lane });
  }
  return anomalies;
}
