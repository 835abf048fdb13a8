/**
 * What an operator asked of a log, and what the engine confirmed before it died. At the end all that was confirmed must
 * be there, and nothing that nobody asked for; what was never answered may have happened or not.
 */

import type { HistoryRecord } from "../../support/history.ts";

/** How a delivery ends by an operator's word. */
export type EndedByHand = "cancelled" | "skipped";

/** The operator's book. Each act is asked for first, and confirmed when the engine says so. */
export interface Ledger {
  askEnd(delivery: string): void;
  confirmEnd(delivery: string, state: EndedByHand): void;
  confirmRedelivery(delivery: string, of: string): void;
  askReplays(event: string, deliveries: number): void;
  confirmReplays(event: string, deliveries: number): void;
  /** An event that is only there to be erased. */
  confirmScrap(event: string): void;
  askErasure(event: string): void;
  confirmErasure(event: string): void;
  complain(words: string): void;
  /** Holds the final read of a history against it. */
  judge(records: readonly HistoryRecord[]): string[];
}

/** Opens an empty book. */
export function createLedger(): Ledger {
  const endsAsked = new Set<string>();
  const ended = new Map<string, EndedByHand>();
  const redelivered = new Map<string, string>();
  const replaysAsked = new Map<string, number>();
  const replayed = new Map<string, number>();
  const scrap = new Set<string>();
  const erasuresAsked = new Set<string>();
  const erased = new Set<string>();
  const complaints: string[] = [];

  function judge(records: readonly HistoryRecord[]): string[] {
    const from = records.findIndex(({ kind }) => kind === "final");
    if (from === -1) throw new RangeError("the history has no final read");
    const final = records.slice(from);
    const rows = final.filter((record) => record.kind === "delivery");
    const events = new Set(final.flatMap((record) => record.kind === "event" ? [record.id] : []));
    const found = new Map(rows.map((row) => [row.id, row]));
    const replays = Map.groupBy(rows.filter(({ redeliveryOf }) => redeliveryOf === "replay"), ({ eventId }) => eventId);
    const replaysOf = (event: string) => replays.get(event)?.length ?? 0;

    return [
      ...complaints,
      ...[...ended].filter(([id, state]) => found.get(id)?.state !== state)
        .map(([id, state]) => `${id} was confirmed as ${state} and is ${found.get(id)?.state}`),
      ...rows.filter(({ id, state }) => /cancelled|skipped/.test(state) && !endsAsked.has(id))
        .map(({ id, state }) => `${id} is ${state}, and nobody asked for it`),
      ...[...redelivered].filter(([id, of]) => found.get(id)?.redeliveryOf !== of)
        .map(([id, of]) => `the redelivery ${id} of ${of} was confirmed and is not in the log`),
      ...[...replayed].filter(([event, count]) => replaysOf(event) < count)
        .map(([event, count]) => `${event} has ${replaysOf(event)} replays, and ${count} were confirmed`),
      ...[...replays.keys()].filter((event) => replaysOf(event) > (replaysAsked.get(event) ?? 0))
        .map((event) => `${event} has ${replaysOf(event)} replays, which is more than were asked for`),
      ...[...scrap].filter((event) => !erasuresAsked.has(event) && !events.has(event))
        .map((event) => `${event} was answered 2xx and is not in the log, and nobody had it erased`),
      ...[...erased].filter((event) => events.has(event))
        .map((event) => `${event} was confirmed as erased and is in the log`),
    ];
  }

  return {
    askEnd: (delivery) => void endsAsked.add(delivery),
    confirmEnd(delivery, state) {
      ended.set(delivery, state);
      if (!endsAsked.has(delivery)) complaints.push(`${delivery} was ${state} in the place of another`);
    },
    confirmRedelivery: (delivery, of) => void redelivered.set(delivery, of),
    askReplays: (event, deliveries) => add(replaysAsked, event, deliveries),
    confirmReplays: (event, deliveries) => add(replayed, event, deliveries),
    confirmScrap: (event) => void scrap.add(event),
    askErasure: (event) => void erasuresAsked.add(event),
    confirmErasure: (event) => void erased.add(event),
    complain: (words) => void complaints.push(words),
    judge,
  };
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
