/**
 * What was seen of an engine from the outside, and the judgement on it, after the manner of Jepsen. The records come from
 * the client, from handlers and targets, and from a final read; the engine's own word is never taken for what happened.
 *
 * One collector keeps the records, and their order in the list is the order in which it saw them. So that this order
 * means something, a handler waits for the collector to have its `start` before it acts, and its `end` before it
 * returns. The checker knows nothing of how the engine is run: the same history comes from one engine that is killed,
 * from several on one log, or from a simulation.
 */

/** The client's side of one request: an `invoke`, and later at most one answer under the same `op`. */
export type IngestRecord =
  | {
    readonly kind: "ingest";
    readonly step: "invoke";
    readonly op: number;
    /** The idempotency key, unique over all sources of the history. */
    readonly key: string;
    /** The ordering key in the body that was sent: what the event has in every queue that orders. */
    readonly lane?: string;
    /** SHA-256 of the bytes sent. */
    readonly digest?: string;
    /** The queues that the event must reach: `route`, or `route/target`. Without it they are not checked. */
    readonly queues?: readonly string[];
  }
  /** A 2xx that was read whole. */
  | {
    readonly kind: "ingest";
    readonly step: "ok";
    readonly op: number;
    readonly eventId: string;
    readonly status: "accepted" | "duplicate";
  }
  /** `fail` is certain not to have happened; `info` may or may not have. When in doubt it is `info`. */
  | { readonly kind: "ingest"; readonly step: "fail" | "info"; readonly op: number };

/** A handler was called, or a target got a request. */
export interface StartRecord {
  readonly kind: "start";
  /** Names this attempt; made by whoever saw it. */
  readonly run: string;
  /** As the final read writes it. */
  readonly queue: string;
  /** The delivery's idempotency key. */
  readonly delivery: string;
  /** The event's idempotency key. */
  readonly key: string;
  /** The lane that the engine says it is in; null when it says none, absent where it cannot be asked. */
  readonly lane?: string | null;
  readonly attempt?: number;
  /** The engine behind it, if that can be told. */
  readonly boot?: string;
  /** The process that it runs in, if it is one that can be killed. */
  readonly proc?: string;
  readonly digest?: string;
}

/** The handler was about to return or throw, or the target has answered. */
export interface EndRecord {
  readonly kind: "end";
  readonly run: string;
  readonly outcome: "succeeded" | "failed" | "rejected";
}

/** Something happened to a process. */
export type ProcessRecord =
  /** The engine `boot` was killed. Nothing that it began counts as begun by another. */
  | { readonly kind: "crash"; readonly boot: string; readonly atMs: number }
  /** The engine `boot` stood still from here for so long that another took its work over: what it had begun may be repeated. */
  | { readonly kind: "pause"; readonly boot: string }
  /**
   * The engine `boot` is about to go on. Whatever of its work is heard of between the two was begun before: a request
   * may lie in a socket, and a handler may live on, while the engine stands still.
   */
  | { readonly kind: "resume"; readonly boot: string }
  /** A handler's process ended although its engine lived. */
  | { readonly kind: "exit"; readonly proc: string }
  /** A handler's process of the engine `boot` was seen alive. */
  | { readonly kind: "alive"; readonly proc: string; readonly boot: string; readonly atMs: number };

/** An event as the admin API tells it. */
export interface EventRecord {
  readonly kind: "event";
  readonly id: string;
  readonly seq: number;
  readonly key: string;
  readonly digest?: string;
}

/** A delivery as the admin API tells it; one before the `final` record is a look in passing. */
export interface DeliveryRecord {
  readonly kind: "delivery";
  readonly id: string;
  readonly eventId: string;
  readonly queue: string;
  /** As the engine says. */
  readonly lane?: string;
  /** Its position. */
  readonly seq: number;
  readonly state: string;
  readonly redeliveryOf?: string;
  /** The run whose return value was kept, where runs return their names. */
  readonly winner?: string;
}

/** Everything has come to rest: all events and deliveries after this are the final read, and are all there are. */
export interface FinalRecord {
  readonly kind: "final";
}

/** One thing that somebody outside the engine saw. */
export type HistoryRecord =
  | IngestRecord
  | StartRecord
  | EndRecord
  | ProcessRecord
  | EventRecord
  | DeliveryRecord
  | FinalRecord;

/**
 * | name       | what went wrong                                                                         |
 * | ---------- | --------------------------------------------------------------------------------------- |
 * | LOST       | acknowledged and not in the log; or finished in the log and never done                  |
 * | INVENTED   | in the log or handed to a handler, and never sent; or ended by a word that nobody gave  |
 * | RERUN      | run again after its success was settled, or more often than the crashes explain         |
 * | OVERLAP    | two attempts of one lane, or of one delivery, at the same time                          |
 * | REORDER    | a lane not in the order of the log, or the log not in the order of the acknowledgements |
 * | DUP-ROW    | two events for one idempotency key, or two deliveries of one event in one queue         |
 * | TORN       | other bytes than were sent, or an event without its deliveries, or the reverse          |
 * | ZOMBIE     | a process that outlived its engine, or a superseded attempt whose result counted        |
 * | STUCK      | not finished although everything had come to rest                                       |
 * | WRONG-LANE | the engine's lane is not the one that the body asks for                                 |
 * | EARLY-DEAD | dead, and its runs do not say why                                                       |
 */
export type AnomalyName =
  | "LOST"
  | "INVENTED"
  | "RERUN"
  | "OVERLAP"
  | "REORDER"
  | "DUP-ROW"
  | "TORN"
  | "ZOMBIE"
  | "STUCK"
  | "WRONG-LANE"
  | "EARLY-DEAD";

/** One broken promise. */
export interface Anomaly {
  readonly name: AnomalyName;
  /** The key, delivery, lane or process that it happened to. */
  readonly subject: string;
  readonly detail: string;
}

/**
 * What a queue makes of an ordering key: one lane, or none at all, or for a number so many lanes side by side, of which
 * the engine says which is which.
 */
export type Ordering = "one" | "none" | number;

/** What the checker must know and cannot see. */
export interface HistoryLimits {
  /** Most attempts at once in all queues: what one crash may repeat. */
  readonly slots: number;
  /** How long a handler's process may outlive its engine. */
  readonly outliveMsMax: number;
  /** How each queue orders. */
  readonly ordering: (queue: string) => Ordering;
  /** After how many failed runs a delivery of a queue may be dead; 0 where somebody else judges that. */
  readonly attempts: (queue: string) => number;
  /** Whether somebody may cancel and skip. */
  readonly hasOperator: boolean;
}

/** The judgement, and the figures that show how hard the history was. */
export interface HistoryReport {
  readonly anomalies: readonly Anomaly[];
  /** Requests that were answered 2xx. */
  readonly acknowledged: number;
  /** Requests whose fate the client never learnt. */
  readonly unknown: number;
  /** Of the acknowledged ones, those answered as duplicates. */
  readonly duplicateReplies: number;
  readonly events: number;
  readonly runs: number;
  /** Runs that neither returned nor threw. */
  readonly cutOff: number;
  readonly failed: number;
  /** Runs that did again what had been done before: what "at least once" costs. */
  readonly repeated: number;
  /** The most that `repeated` may be: crashes and pauses times slots, and what ran in processes that ended. */
  readonly repeatedMax: number;
  /** The most of them that go back to one death. */
  readonly repeatedMost: number;
  readonly crashes: number;
}
