/**
 * What Prometheus sees: counters made of the engine's observations, and gauges read from the log when somebody asks.
 * Labels hold names from the configuration only, so that no caller can make a new series.
 */

import { queueName } from "../domain/config.ts";
import type { Observation, Observer } from "../engine/observer.ts";
import { type QueueRow, type Store, StoreUnavailable } from "../store/store.ts";
import { createCounter, createHistogram, expositionType, renderGauge } from "./exposition.ts";

/** The counters of one engine. */
export interface Metrics {
  /** Counts an observation. */
  readonly observe: Observer;
  /** The text for Prometheus; without the gauges when the log cannot be read. */
  render(store: Store): Promise<string>;
}

/** The media type of {@link Metrics.render}'s text. */
export const metricsType: string = expositionType;

/** From a quick handler to one that takes its default timeout and more. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const shownStates = ["ready", "blocked", "running", "parked", "dead"] as const;

/** Makes the counters, all at zero. */
export function createMetrics(): Metrics {
  const received = createCounter({
    name: "weir_events_received_total",
    help: "Events logged, and duplicates recognised",
  });
  const unrouted = createCounter({ name: "weir_events_unrouted_total", help: "Events that no route matched" });
  const refused = createCounter({ name: "weir_requests_refused_total", help: "Requests turned away, by status" });
  const attempts = createCounter({
    name: "weir_attempts_total",
    help: "Attempts by outcome, and the state they left their delivery in",
  });
  const durations = createHistogram(
    { name: "weir_attempt_duration_seconds", help: "How long attempts took" },
    durationBuckets,
  );
  const lost = createCounter({
    name: "weir_leases_lost_total",
    help: "Results discarded because the lease was lost",
  });
  const messages = createCounter({
    name: "weir_engine_messages_total",
    help: "What the engine had to say about itself, by level",
  });
  const instruments = [received, unrouted, refused, attempts, durations, lost, messages];

  function observe(seen: Observation): void {
    switch (seen.kind) {
      case "event.received":
        received.add({ source: seen.source, status: seen.status });
        if (seen.status === "accepted" && seen.queues.length === 0) unrouted.add({ source: seen.source });
        break;
      case "request.refused":
        refused.add({ source: seen.source, status: String(seen.status) });
        break;
      case "delivery.attempted":
        attempts.add({ queue: seen.queue, outcome: seen.outcome, state: seen.state });
        durations.add({ queue: seen.queue }, seen.durationMs / 1_000);
        break;
      case "lease.lost":
        lost.add({ queue: seen.queue });
        break;
      case "engine":
        messages.add({ level: seen.level });
        break;
    }
  }
  return {
    observe,
    async render(store) {
      const read = await renderQueues(store);
      return [...instruments.map((instrument) => instrument.render()), read].join("\n");
    },
  };
}

async function renderQueues(store: Store): Promise<string> {
  const rows = await readQueues(store);
  const queues = (rows ?? []).map((row) => ({ ...row, queue: queueName(row.route, row.target) }));
  return [
    renderGauge(
      { name: "weir_log_readable", help: "1 while the log can be read" },
      [[{}, rows === undefined ? 0 : 1]],
    ),
    renderGauge(
      { name: "weir_deliveries", help: "Open and dead deliveries by state" },
      queues.flatMap((row) => shownStates.map((state) => [{ queue: row.queue, state }, row[state]] as const)),
    ),
    renderGauge(
      { name: "weir_oldest_open_delivery_timestamp_seconds", help: "When the oldest open delivery was created" },
      queues.flatMap(({ queue, oldestAt }) => oldestAt === undefined ? [] : [[{ queue }, oldestAt / 1_000] as const]),
    ),
  ].join("\n");
}

async function readQueues(store: Store): Promise<QueueRow[] | undefined> {
  try {
    return await store.queues();
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}
