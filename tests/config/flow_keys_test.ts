/** Keys that say how things flow and when: retention, limits, breakers, clocks and guards, in their final form. */

import { assertEquals } from "@std/assert";
import { formatIssue, loadConfig, type LoadOptions, type RoutesFile } from "../../core/config/load.ts";
import { defaultBreaker } from "../../core/domain/breaker.ts";
import { type Config, type CronSource, defaultRetention, type HttpSource } from "../../core/domain/config.ts";
import { secret } from "../support/refusals.ts";
import { sampleProviders } from "../support/sample_provider.ts";

async function load(source: RoutesFile, options: Partial<LoadOptions> = {}): Promise<Config> {
  const loaded = await loadConfig(source, { providers: sampleProviders, environment: {}, ...options });
  if (!loaded.ok) throw new Error(loaded.issues.map(formatIssue).join("\n"));
  return loaded.config;
}

Deno.test("loadConfig: retention keeps keys no longer than events", async () => {
  const retentionOf = async (retention: RoutesFile["retention"]) => (await load({ version: 1, retention })).retention;
  assertEquals(await retentionOf({}), defaultRetention);
  assertEquals((await retentionOf({ events: "3d" })).idempotencyMs, 3 * 86_400_000, "the default shrinks with it");
  assertEquals(await retentionOf({ events: "10d", attempts: "5d", dead: "20d", idempotency: "10d" }), {
    eventsMs: 10 * 86_400_000,
    attemptsMs: 5 * 86_400_000,
    deadMs: 20 * 86_400_000,
    idempotencyMs: 10 * 86_400_000,
  });
});

Deno.test("loadConfig: what a route says of flow holds for each of its targets unless they say otherwise", async () => {
  const { routes } = await load({
    version: 1,
    sources: { app: { publish: true } },
    routes: {
      r: {
        from: "app",
        delay: "5m",
        priority: -3,
        on_exhausted: "halt",
        concurrency: { limit: 2, key: "body.shop", total: 40 },
        rate_limit: "50/s",
        send: [
          { name: "a", url: "http://a" },
          { name: "b", url: "http://b", concurrency: 3, rate_limit: "6/m", breaker: false },
          { name: "c", url: "http://c", breaker: { failures: 3, open: "20m" } },
        ],
      },
    },
  });
  const [route] = routes;
  assertEquals([route!.delayMs, route!.priority, route!.onExhausted], [300_000, -3, "halt"]);
  assertEquals([route!.concurrencyKey?.limit, route!.concurrencyKey?.key.text], [2, "body.shop"]);
  assertEquals(route!.destinations.map(({ concurrency, rateLimit, breaker }) => [concurrency, rateLimit, breaker]), [
    [40, { count: 50, perMs: 1_000 }, defaultBreaker],
    [3, { count: 6, perMs: 60_000 }, undefined],
    [40, { count: 50, perMs: 1_000 }, { failures: 3, openMs: 1_200_000, openMsMax: 1_200_000 }],
  ]);
});

Deno.test("loadConfig: a concurrency per key alone leaves the queue its default, or the limit where that is more", async () => {
  const concurrencyOf = async (limit: number) => {
    const routes = { r: { from: "app", concurrency: { limit, key: "body.a" } } };
    const config = await load({ version: 1, sources: { app: { publish: true } }, routes }, { inlineHandlers: ["r"] });
    return config.routes[0]!.destinations[0]!.concurrency;
  };
  assertEquals([await concurrencyOf(2), await concurrencyOf(30)], [10, 30]);
});

Deno.test("loadConfig: a cron source has a zone and a body, a guarded source its guard", async () => {
  const config = await load({
    version: 1,
    sources: {
      hourly: { cron: "@hourly" },
      tick: { cron: "*/10 * * * * *", timezone: "America/New_York", body: [1, null, { a: "b" }] },
      gh: { provider: "github", secret: secret, replay_guard: "body" },
    },
  });
  const [hourly, tick] = [config.sources.get("hourly") as CronSource, config.sources.get("tick") as CronSource];
  assertEquals([hourly.timezone, hourly.body, hourly.next(0)], ["UTC", null, 3_600_000]);
  assertEquals([tick.timezone, tick.body, tick.next(10_000)], ["America/New_York", [1, null, { a: "b" }], 20_000]);
  assertEquals((config.sources.get("gh") as HttpSource).replayGuard, "body");
});
