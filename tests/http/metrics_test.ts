/** What Prometheus is given: counters of what was observed, gauges of what the log holds, and no gauge without a log. */

import { assert, assertEquals } from "@std/assert";
import { defaultBreaker } from "../../core/domain/breaker.ts";
import type { Route } from "../../core/domain/config.ts";
import { defaultRetry } from "../../core/domain/retry.ts";
import { createMetrics, type MetricsContext } from "../../core/http/metrics.ts";
import { type QueueRow, StoreUnavailable } from "../../core/store/store.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { httpSource, makeConfig } from "./http_fixture.ts";

const route: Route = {
  name: "r",
  from: ["a"],
  on: ["*"],
  onExhausted: "dead",
  retry: defaultRetry,
  destinations: [{
    kind: "target",
    name: "t",
    url: "http://example.com/",
    secrets: [],
    headers: {},
    timeoutMs: 1,
    concurrency: 1,
    breaker: defaultBreaker,
  }],
};

/** What is read beside the counters: a log that answers as told, and a configuration with one paused source. */
function logOf(queues: () => Promise<QueueRow[]>): MetricsContext {
  return {
    store: { queues },
    config: () => makeConfig([httpSource()], { config: { routes: [route] } }),
    clock: createFakeClock(),
    pauses: { get: () => ({ at: 0, reason: "x" }) },
  };
}

const row: QueueRow = {
  route: "r",
  target: "t",
  ready: 1,
  blocked: 2,
  running: 3,
  parked: 4,
  dead: 5,
  oldestAt: 1_500,
  breaker: { failures: 0 },
  rateAt: 0,
  lanes: 2,
  laneDepthMax: 2,
  laneHeadAt: 2_500,
};

Deno.test("createMetrics: counts what is observed", async () => {
  const metrics = createMetrics();
  const received = { kind: "event.received", at: 0, eventId: "e", source: "s", type: "t" } as const;
  metrics.observe({ ...received, status: "accepted", queues: ["r"] });
  metrics.observe({ ...received, status: "accepted", queues: [] });
  metrics.observe({ ...received, status: "accepted", queues: ["r/t"], withoutLane: ["r"] });
  metrics.observe({ ...received, status: "duplicate", queues: [] });
  metrics.observe({ kind: "request.refused", at: 0, source: "s", status: 401, reason: "x" });
  metrics.observe({ kind: "lease.lost", at: 0, deliveryId: "d", queue: "r" });
  metrics.observe({ kind: "engine", at: 0, level: "error", message: "x" });
  metrics.observe({
    kind: "delivery.attempted",
    at: 0,
    deliveryId: "d",
    eventId: "e",
    eventType: "t",
    source: "s",
    queue: "r",
    attempt: 1,
    durationMs: 40,
    outcome: "failed",
    state: "ready",
  });
  const text = await metrics.render(logOf(() => Promise.resolve([row])));
  for (
    const line of [
      'weir_events_received_total{source="s",status="accepted"} 3',
      'weir_events_received_total{source="s",status="duplicate"} 1',
      'weir_events_unrouted_total{source="s"} 1',
      'weir_events_without_lane_total{route="r"} 1',
      'weir_requests_refused_total{source="s",status="401"} 1',
      'weir_attempts_total{queue="r",outcome="failed",state="ready"} 1',
      'weir_attempt_duration_seconds_bucket{le="0.05",queue="r"} 1',
      'weir_attempt_duration_seconds_bucket{le="0.025",queue="r"} 0',
      'weir_leases_lost_total{queue="r"} 1',
      'weir_engine_messages_total{level="error"} 1',
      "weir_log_readable 1",
      'weir_deliveries{queue="r/t",state="blocked"} 2',
      'weir_deliveries{queue="r/t",state="dead"} 5',
      'weir_oldest_open_delivery_timestamp_seconds{queue="r/t"} 1.5',
      'weir_queue_paused{queue="r/t"} 0',
      'weir_queue_orphaned{queue="r/t"} 0',
      'weir_queue_breaker{queue="r/t",phase="closed"} 1',
      'weir_queue_breaker{queue="r/t",phase="open"} 0',
      'weir_lanes{queue="r/t"} 2',
      'weir_lane_depth_max{queue="r/t"} 2',
      'weir_oldest_lane_head_timestamp_seconds{queue="r/t"} 2.5',
      'weir_source_paused{source="a"} 1',
    ]
  ) assert(text.split("\n").includes(line), `${line} is not in\n${text}`);
});

Deno.test("createMetrics: two engines in one program count apart", async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.observe({ kind: "lease.lost", at: 0, deliveryId: "d", queue: "r" });
  const log = logOf(() => Promise.resolve([]));
  assert((await one.render(log)).includes("weir_leases_lost_total{"));
  assert(!(await other.render(log)).includes("weir_leases_lost_total{"));
});

Deno.test("createMetrics: the counters are there when the log is not, and askers do not disturb each other", async () => {
  const metrics = createMetrics();
  const down = logOf(() => Promise.reject(new StoreUnavailable("gone")));
  const up = logOf(() => Promise.resolve([row]));
  const texts = await Promise.all([metrics.render(down), metrics.render(up), metrics.render(down), metrics.render(up)]);
  assertEquals(texts.map((text) => text.includes('state="dead"} 5')), [false, true, false, true]);
  assertEquals(texts.map((text) => text.includes("weir_log_readable 0")), [true, false, true, false]);
});
