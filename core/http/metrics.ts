/**
 * What Prometheus sees: counters made of the engine's observations, and gauges read from the log when somebody asks.
 * Labels hold names from the configuration only, so that no caller can make a new series.
 */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { queueName } from "../domain/config.ts";
import type { Observation, Observer } from "../engine/observer.ts";
import { type QueueRow, type Store, StoreUnavailable } from "../store/store.ts";

/** The counters of one engine. */
export interface Metrics {
  /** Counts an observation. */
  readonly observe: Observer;
  /** The text for Prometheus; without the gauges when the log cannot be read. */
  render(store: Store): Promise<string>;
}

/** The media type of {@link Metrics.render}'s text. */
export const metricsType: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** From a quick handler to one that takes its default timeout and more. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Makes the counters, all at zero. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const received = new Counter({
    name: "weir_events_received_total",
    help: "Events logged, and duplicates recognised",
    labelNames: ["source", "status"],
    registers,
  });
  const unrouted = new Counter({
    name: "weir_events_unrouted_total",
    help: "Events that no route matched",
    labelNames: ["source"],
    registers,
  });
  const refused = new Counter({
    name: "weir_requests_refused_total",
    help: "Requests turned away, by status",
    labelNames: ["source", "status"],
    registers,
  });
  const attempts = new Counter({
    name: "weir_attempts_total",
    help: "Attempts by outcome, and the state they left their delivery in",
    labelNames: ["queue", "outcome", "state"],
    registers,
  });
  const durations = new Histogram({
    name: "weir_attempt_duration_seconds",
    help: "How long attempts took",
    labelNames: ["queue"],
    buckets: durationBuckets,
    registers,
  });
  const lost = new Counter({
    name: "weir_leases_lost_total",
    help: "Results discarded because the lease was lost",
    labelNames: ["queue"],
    registers,
  });
  const messages = new Counter({
    name: "weir_engine_messages_total",
    help: "What the engine had to say about itself, by level",
    labelNames: ["level"],
    registers,
  });

  function observe(seen: Observation): void {
    switch (seen.kind) {
      case "event.received":
        received.inc({ source: seen.source, status: seen.status });
        if (seen.status === "accepted" && seen.queues.length === 0) unrouted.inc({ source: seen.source });
        break;
      case "request.refused":
        refused.inc({ source: seen.source, status: String(seen.status) });
        break;
      case "delivery.attempted":
        attempts.inc({ queue: seen.queue, outcome: seen.outcome, state: seen.state });
        durations.observe({ queue: seen.queue }, seen.durationMs / 1_000);
        break;
      case "lease.lost":
        lost.inc({ queue: seen.queue });
        break;
      case "engine":
        messages.inc({ level: seen.level });
        break;
    }
  }
  return {
    observe,
    async render(store) {
      const [counted, read] = await Promise.all([registry.metrics(), renderQueues(store)]);
      return `${counted}\n${read}`;
    },
  };
}

/** A registry for each asking: two askers at once must not reset each other's gauges. */
async function renderQueues(store: Store): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const rows = await readQueues(store);
  new Gauge({ name: "weir_log_readable", help: "1 while the log can be read", registers })
    .set(rows === undefined ? 0 : 1);
  const deliveries = new Gauge({
    name: "weir_deliveries",
    help: "Open and dead deliveries by state",
    labelNames: ["queue", "state"],
    registers,
  });
  const oldest = new Gauge({
    name: "weir_oldest_open_delivery_timestamp_seconds",
    help: "When the oldest open delivery was created",
    labelNames: ["queue"],
    registers,
  });
  for (const row of rows ?? []) {
    const queue = queueName(row.route, row.target);
    for (const state of ["ready", "blocked", "running", "parked", "dead"] as const) {
      deliveries.set({ queue, state }, row[state]);
    }
    if (row.oldestAt !== undefined) oldest.set({ queue }, row.oldestAt / 1_000);
  }
  return registry.metrics();
}

async function readQueues(store: Store): Promise<QueueRow[] | undefined> {
  try {
    return await store.queues();
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}
