/**
 * A history, sorted into what the checks ask for. Every `at` is a place in the list of records, never a time.
 */

import type { DeliveryRecord, EndRecord, EventRecord, HistoryRecord, StartRecord } from "./history.ts";

/** The states that nothing leaves. */
export const finished: ReadonlySet<string> = new Set(["succeeded", "dead", "cancelled", "skipped"]);

/** One request of the client, from its invocation to its answer. */
export interface Ingest {
  readonly key: string;
  readonly at: number;
  readonly lane?: string;
  readonly digest?: string;
  readonly queues?: readonly string[];
  ok?: { readonly at: number; readonly eventId: string; readonly status: "accepted" | "duplicate" };
  /** It certainly did not happen. */
  failed?: boolean;
}

/** One attempt, from its start to its end if it had one. */
export interface Run {
  readonly start: StartRecord;
  readonly at: number;
  end?: EndRecord;
  endAt?: number;
}

/** A time in which an engine stood still. */
export interface Pause {
  readonly at: number;
  readonly until: number;
}

/** The log after everything has come to rest. */
export interface FinalRead {
  readonly events: readonly EventRecord[];
  readonly deliveries: readonly DeliveryRecord[];
}

/** A history by what happened to whom; maps keep the order of the records. */
export interface IndexedHistory {
  readonly ingests: ReadonlyMap<number, Ingest>;
  readonly ingestsOf: ReadonlyMap<string, readonly Ingest[]>;
  readonly runs: ReadonlyMap<string, Run>;
  readonly runsOf: ReadonlyMap<string, readonly Run[]>;
  /** Those of each handler's process. */
  readonly runsIn: ReadonlyMap<string, readonly Run[]>;
  readonly crashes: ReadonlyMap<string, { readonly at: number; readonly atMs: number }>;
  /** From when to when each engine stood still. */
  readonly pauses: ReadonlyMap<string, readonly Pause[]>;
  readonly exits: ReadonlyMap<string, number>;
  /** When each process was last seen alive. */
  readonly aliveAt: ReadonlyMap<string, number>;
  /** The last that was seen of each process. */
  readonly aliveAfter: ReadonlyMap<string, { readonly boot: string; readonly atMs: number }>;
  /** When each delivery was first seen finished. */
  readonly seenFinished: ReadonlyMap<string, number>;
  readonly final?: FinalRead;
}

/**
 * Sorts the records.
 *
 * @throws RangeError for a list that no collector can have written, such as an end without its start
 */
export function indexHistory(records: readonly HistoryRecord[]): IndexedHistory {
  const ingests = new Map<number, Ingest>();
  const runs = new Map<string, Run>();
  const crashes = new Map<string, { at: number; atMs: number }>();
  const pauses = new Map<string, { at: number; until: number }[]>();
  const exits = new Map<string, number>();
  const aliveAt = new Map<string, number>();
  const aliveAfter = new Map<string, { boot: string; atMs: number }>();
  const seenFinished = new Map<string, number>();
  let final: { events: EventRecord[]; deliveries: DeliveryRecord[] } | undefined;

  records.forEach((record, at) => {
    switch (record.kind) {
      case "ingest": {
        if (record.step === "invoke") return void ingests.set(record.op, { ...record, at });
        const ingest = known(ingests, record.op, "a request that was never sent");
        if (record.step === "ok") ingest.ok = { at, eventId: record.eventId, status: record.status };
        else if (record.step === "fail") ingest.failed = true;
        return;
      }
      case "start":
        return void runs.set(record.run, { start: record, at });
      case "end": {
        const run = known(runs, record.run, "a run that never began");
        run.end = record;
        run.endAt = at;
        return;
      }
      case "crash":
        return void crashes.set(record.boot, { at, atMs: record.atMs });
      case "pause":
        return void pauses.set(record.boot, [...(pauses.get(record.boot) ?? []), { at, until: Infinity }]);
      case "resume":
        known(pauses, record.boot, "an engine that never stood still").at(-1)!.until = at;
        return;
      case "exit":
        return void exits.set(record.proc, at);
      case "alive":
        aliveAt.set(record.proc, at);
        return void aliveAfter.set(record.proc, { boot: record.boot, atMs: record.atMs });
      case "event":
        return void final?.events.push(record);
      case "delivery":
        if (finished.has(record.state) && !seenFinished.has(record.id)) seenFinished.set(record.id, at);
        return void final?.deliveries.push(record);
      case "final":
        final = { events: [], deliveries: [] };
        return;
    }
  });
  const ingestsOf = Map.groupBy(ingests.values(), ({ key }) => key);
  const runsOf = Map.groupBy(runs.values(), ({ start }) => start.delivery);
  const runsIn = new Map<string, Run[]>();
  for (const run of runs.values()) {
    const { proc } = run.start;
    if (proc === undefined) continue;
    const beside = runsIn.get(proc);
    if (beside === undefined) runsIn.set(proc, [run]);
    else beside.push(run);
  }
  return { ingests, ingestsOf, runs, runsOf, runsIn, crashes, pauses, exits, aliveAt, aliveAfter, seenFinished, final };
}

function known<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key, what: string): Value {
  const value = map.get(key);
  if (value === undefined) throw new RangeError(`the history is not whole: ${what}: ${key}`);
  return value;
}
