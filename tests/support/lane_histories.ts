/**
 * A long history without crashes, kept lane by lane. Where nothing crashes, all that the checker judges happens within
 * one lane, so each lane is a history of its own, and a million events are judged a hundred at a time.
 */

import { checkHistory } from "./check_history.ts";
import type { Anomaly, HistoryRecord } from "./history.ts";

/** The records of many lanes. */
export interface LaneHistories {
  /** The records of the lane that the event with this idempotency key belongs to. */
  of(key: string): HistoryRecord[];
  /** Adds the final read, and finds everything that must not be. What the log makes up is no lane's, and is judged too. */
  judge(log: readonly HistoryRecord[]): Anomaly[];
}

/**
 * Makes the lists, empty.
 *
 * @param laneOf tells the lane of an idempotency key that was sent; anything else for one that never was
 */
export function createLaneHistories(lanes: number, laneOf: (key: string) => number): LaneHistories {
  const histories = Array.from({ length: lanes }, (): HistoryRecord[] => []);
  const nobodys: HistoryRecord[] = [];
  const of = (key: string | undefined) => (key === undefined ? undefined : histories[laneOf(key)]) ?? nobodys;
  return {
    of,
    judge(log) {
      const all = [...histories, nobodys];
      for (const records of all) records.push({ kind: "final" });
      const keyOf = new Map(log.flatMap((record) => record.kind === "event" ? [[record.id, record.key]] : []));
      for (const record of log) {
        if (record.kind === "event") of(record.key).push(record);
        else if (record.kind === "delivery") of(keyOf.get(record.eventId)).push(record);
      }
      return all.flatMap((records) => checkHistory(records).anomalies);
    },
  };
}
