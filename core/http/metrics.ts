/**
 * What Prometheus sees: counters made of the engine's observations, and gauges read from the log when somebody asks.
 * Labels hold names from the configuration only, so that no caller can make a new series.
 */

import type { BreakerPhase } from "../domain/breaker.ts";
import type { Clock } from "../domain/clock.ts";
import { type Config, queueName } from "../domain/config.ts";
import type { Observation, Observer } from "../engine/observer.ts";
import type { SourcePauses } from "../engine/source_pauses.ts";
import { type QueueRow, type Store, StoreUnavailable } from "../store/store.ts";
import { viewQueue } from "./admin_view.ts";
import { createCounter, createHistogram, expositionType, type Family, type Labels, renderGauge } from "./exposition.ts";

/** The counters of one engine. */
export interface Metrics {
  /** Counts an observation. */
  readonly observe: Observer;
  /** The text for Prometheus; without the gauges when the log cannot be read. */
  render(read: MetricsContext): Promise<string>;
}

/** What the gauges are read from. */
export interface MetricsContext {
  readonly store: Pick<Store, "queues">;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly pauses: Pick<SourcePauses, "get">;
}

/** The media type of {@link Metrics.render}'s text. */
export const metricsType: string = expositionType;

/** From a quick handler to one that takes its default timeout and more. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const breakerPhases: readonly BreakerPhase[] = ["closed", "half-open", "open"];
const shownStates = ["ready", "blocked", "running", "parked", "dead"] as const;

/** Makes the counters, all at zero. */
export function createMetrics(): Metrics {
  const received = createCounter({
    name: "weir_events_received_total",
    help: "Events logged, and duplicates recognised",
  });
  const unrouted = createCounter({ name: "weir_events_unrouted_total", help: "Events that no route matched" });
  const withoutLane = createCounter({
    name: "weir_events_without_lane_total",
    help: "Events that a route with order_by took without an order, because the key was null or missing",
  });
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
  const instruments = [received, unrouted, withoutLane, refused, attempts, durations, lost, messages];

  function observe(seen: Observation): void {
    switch (seen.kind) {
      case "event.received":
        received.add({ source: seen.source, status: seen.status });
        if (seen.status === "accepted" && seen.queues.length === 0) unrouted.add({ source: seen.source });
        for (const route of seen.withoutLane ?? []) withoutLane.add({ route });
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
    async render(read) {
      const gauges = await renderGauges(read);
      return [...instruments.map((instrument) => instrument.render()), gauges].join("\n");
    },
  };
}

/** What is read from the log and the configuration when somebody asks. */
async function renderGauges({ store, config, clock, pauses }: MetricsContext): Promise<string> {
  const rows = await readQueues(store);
  const now = clock.now();
  const queues = (rows ?? []).map((row) => ({
    ...viewQueue(row, config(), now),
    queue: queueName(row.route, row.target),
  }));
  const each = (
    family: Family,
    value: (row: (typeof queues)[number]) => readonly (readonly [labels: Labels, value: number | undefined])[],
  ): string =>
    renderGauge(
      family,
      queues.flatMap((row) =>
        value(row).flatMap(([labels, number]) =>
          number === undefined ? [] : [[{ queue: row.queue, ...labels }, number] as const]
        )
      ),
    );
  const seconds = (at: number | undefined) => at === undefined ? undefined : at / 1_000;
  return [
    renderGauge({ name: "weir_log_readable", help: "1 while the log can be read" }, [[
      {},
      rows === undefined ? 0 : 1,
    ]]),
    each(
      { name: "weir_deliveries", help: "Open and dead deliveries by state" },
      (row) => shownStates.map((state) => [{ state }, row[state]]),
    ),
    each(
      { name: "weir_oldest_open_delivery_timestamp_seconds", help: "When the oldest open delivery was created" },
      ({ oldestAt }) => [[{}, seconds(oldestAt)]],
    ),
    each(
      { name: "weir_queue_paused", help: "1 while somebody has paused the queue" },
      ({ paused }) => [[{}, paused === undefined ? 0 : 1]],
    ),
    each(
      { name: "weir_queue_orphaned", help: "1 while the route or target is not in the configuration" },
      ({ orphaned }) => [[{}, orphaned ? 1 : 0]],
    ),
    each(
      { name: "weir_queue_breaker", help: "1 for the phase that the breaker is in" },
      ({ phase }) =>
        phase === undefined ? [] : breakerPhases.map((one) => [{ phase: one }, one === phase ? 1 : 0] as const),
    ),
    each(
      { name: "weir_queue_failures_in_a_row", help: "What the breaker counts" },
      ({ phase, breaker }) => phase === undefined ? [] : [[{}, breaker.failures]],
    ),
    each({ name: "weir_lanes", help: "Lanes with something open in them" }, ({ lanes }) => [[{}, lanes]]),
    each(
      { name: "weir_lane_depth_max", help: "Open deliveries of the longest lane" },
      ({ laneDepthMax }) => [[{}, laneDepthMax]],
    ),
    each(
      { name: "weir_oldest_lane_head_timestamp_seconds", help: "When the oldest head of a lane was created" },
      ({ laneHeadAt }) => [[{}, seconds(laneHeadAt)]],
    ),
    renderGauge(
      { name: "weir_source_paused", help: "1 while somebody has paused the source" },
      [...config().sources.keys()].map((source) => [{ source }, pauses.get(source) === undefined ? 0 : 1]),
    ),
  ].join("\n");
}

async function readQueues(store: MetricsContext["store"]): Promise<QueueRow[] | undefined> {
  try {
    return await store.queues();
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}
