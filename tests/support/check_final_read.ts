/**
 * Judges what the log says at the end against what was sent to it and what handlers did.
 */

import type { Anomaly, AnomalyName, DeliveryRecord, EventRecord, HistoryLimits } from "./history.ts";
import { type FinalRead, finished, type IndexedHistory, type Ingest, type Run } from "./history_index.ts";

/** So many dead processes of a handler are poison. */
const deathsMax = 3;

/** Finds everything that must not be in the final read. */
export function checkFinalRead(
  history: IndexedHistory,
  final: FinalRead,
  { attempts, hasOperator }: Pick<HistoryLimits, "attempts" | "hasOperator">,
): Anomaly[] {
  const anomalies: Anomaly[] = [];
  const report = (name: AnomalyName, subject: string, detail: string) => anomalies.push({ name, subject, detail });
  const events = new Map(final.events.map((event) => [event.id, event]));
  const deliveriesOf = Map.groupBy(final.deliveries, ({ eventId }) => eventId);

  for (const ingest of history.ingests.values()) {
    const { ok, key } = ingest;
    if (ok !== undefined && events.get(ok.eventId)?.key !== key) {
      report("LOST", key, `answered 2xx as ${ok.eventId}, which is not in the log`);
    }
  }
  for (const [key, rows] of Map.groupBy(final.events, (event) => event.key)) {
    if (rows.length > 1) report("DUP-ROW", key, `${rows.length} events: ${rows.map(({ id }) => id).join(", ")}`);
    const sent = history.ingestsOf.get(key) ?? [];
    for (const row of rows) checkEvent(row, sent, deliveriesOf.get(row.id) ?? []);
  }
  const { runsOf } = history;
  for (const delivery of final.deliveries) {
    if (!events.has(delivery.eventId)) report("TORN", delivery.id, `its event ${delivery.eventId} is not in the log`);
    if (!finished.has(delivery.state)) report("STUCK", delivery.id, `is ${delivery.state} although all is at rest`);
    const runs = runsOf.get(delivery.id) ?? [];
    if (delivery.state === "succeeded") checkSuccess(delivery, runs);
    if (delivery.state === "dead") checkDead(delivery, runs);
    if (!hasOperator && (delivery.state === "cancelled" || delivery.state === "skipped")) {
      report("INVENTED", delivery.id, `is ${delivery.state}, and there is nobody who could have asked for it`);
    }
  }
  const written = new Set(final.deliveries.map(({ id }) => id));
  for (const [delivery, runs] of runsOf) {
    if (!written.has(delivery)) report("TORN", delivery, `ran ${runs.length} times and is not in the log`);
  }
  anomalies.push(...checkLogOrder(history, final));
  return anomalies;

  function checkEvent(event: EventRecord, sent: readonly Ingest[], deliveries: readonly DeliveryRecord[]): void {
    // What was answered with nothing at all may be there; what was certainly not taken may not.
    if (sent.every(({ failed }) => failed)) return void report("INVENTED", event.key, `${event.id} was never sent`);
    const { digest } = event;
    if (digest !== undefined && sent.every((ingest) => ingest.digest !== undefined && ingest.digest !== digest)) {
      report("TORN", event.key, `${event.id} holds other bytes than were sent`);
    }
    const expected = sent.find(({ queues }) => queues !== undefined)?.queues;
    const found = Map.groupBy(deliveries.filter((each) => each.redeliveryOf === undefined), ({ queue }) => queue);
    for (const queue of expected ?? []) {
      if (!found.has(queue)) report("TORN", event.key, `${event.id} has no delivery in the queue ${queue}`);
    }
    for (const [queue, rows] of found) {
      if (rows.length > 1) report("DUP-ROW", event.key, `${event.id} has ${rows.length} deliveries in ${queue}`);
      if (expected !== undefined && !expected.includes(queue)) {
        report("INVENTED", event.key, `${event.id} has a delivery in ${queue}, where it does not belong`);
      }
    }
  }

  /** What a death cut off has not failed: the engine's own counts against nothing that runs in a process of its own. */
  function checkDead({ id, queue }: DeliveryRecord, runs: readonly Run[]): void {
    const { exits, crashes } = history;
    const failed = runs.filter(({ start: { boot }, end }) =>
      end === undefined ? boot === undefined || !crashes.has(boot) : end.outcome === "failed"
    );
    const died = runs.filter(({ start: { proc }, end }) => end === undefined && proc !== undefined && exits.has(proc));
    if (runs.some(({ end }) => end?.outcome === "rejected")) return;
    if (failed.length >= attempts(queue) || died.length >= deathsMax) return;
    report("EARLY-DEAD", id, `is dead after ${failed.length} failed runs of ${attempts(queue)}`);
  }

  function checkSuccess({ id, winner }: DeliveryRecord, runs: readonly Run[]): void {
    if (!runs.some(({ end }) => end?.outcome === "succeeded")) {
      report("LOST", id, "succeeded in the log, and no run of it ever did");
    }
    const last = runs.at(-1)?.start.run;
    if (winner !== undefined && winner !== last) {
      report("ZOMBIE", id, `keeps the result of run ${winner}, which run ${last} had superseded`);
    }
  }
}

/** If one event was acknowledged before another of its lane was sent, it comes first in the log. */
function checkLogOrder(history: IndexedHistory, final: FinalRead): Anomaly[] {
  const anomalies: Anomaly[] = [];
  const placed = final.events.flatMap((event) => {
    const sent = history.ingestsOf.get(event.key);
    const lane = sent?.[0]?.lane;
    if (sent === undefined || lane === undefined) return [];
    const okAt = Math.min(...sent.map(({ ok }) => ok?.at ?? Infinity));
    return [{ event, lane, okAt, sentAt: sent[0]!.at }];
  });
  for (const [lane, events] of Map.groupBy(placed, (each) => each.lane)) {
    events.sort((a, b) => b.event.seq - a.event.seq);
    let later: typeof events[number] | undefined;
    for (const each of events) {
      if (later !== undefined && later.okAt < each.sentAt) {
        const detail = `${later.event.key} was acknowledged before ${each.event.key} was sent, and comes after it`;
        anomalies.push({ name: "REORDER", subject: lane, detail });
      }
      if (later === undefined || each.okAt < later.okAt) later = each;
    }
  }
  return anomalies;
}
