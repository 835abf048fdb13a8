/** What a reload leaves behind: orphans are counted whole, lanes only where the rule that makes them has changed. */

import { assertEquals } from "@std/assert";
import type { Config, Route } from "../../core/domain/config.ts";
import type { Expression } from "../../core/domain/expression.ts";
import { defaultRetry } from "../../core/domain/retry.ts";
import { reloadEffect } from "../../core/engine/reload_effect.ts";
import type { QueueRow } from "../../core/store/store.ts";
import { makeConfig } from "../http/http_fixture.ts";

const by = (text: string): Expression => ({ text, evaluate: () => ({ kind: "missing", reason: "unused" }) });

function config(...routes: (Partial<Route> & { name: string })[]): Config {
  const whole = routes.map((route): Route => ({
    from: ["a"],
    on: ["*"],
    onExhausted: "dead",
    retry: defaultRetry,
    destinations: [{ kind: "inline", timeoutMs: 1, concurrency: 1 }],
    ...route,
  }));
  return makeConfig([], { config: { routes: whole } });
}

const queue = (route: string, target = ""): QueueRow => ({
  route,
  target,
  ready: 1,
  blocked: 2,
  running: 3,
  parked: 4,
  dead: 5,
  lanes: 6,
  laneDepthMax: 1,
  breaker: { failures: 0 },
  rateAt: 0,
});

Deno.test("reloadEffect: open deliveries of a route or target that is gone are orphans; the dead are none", () => {
  const queues = [queue("gone"), queue("stays"), queue("stays", "gone")];
  const effect = reloadEffect(config({ name: "gone" }, { name: "stays" }), config({ name: "stays" }), queues);
  assertEquals(effect, { orphaned: 20, reorderedLanes: 0 });
});

Deno.test("reloadEffect: lanes count where order_by or concurrency.key says something else", () => {
  const table: [Partial<Route>, Partial<Route>, number][] = [
    [{ orderBy: by("body.a") }, { orderBy: by("body.a") }, 0],
    [{ orderBy: by("body.a") }, { orderBy: by("body.b") }, 6],
    [{ orderBy: by("body.a") }, {}, 6],
    [{ orderBy: by("body.a") }, { concurrencyKey: { key: by("body.a"), limit: 1 } }, 6],
    [{ concurrencyKey: { key: by("body.a"), limit: 1 } }, { concurrencyKey: { key: by("body.a"), limit: 2 } }, 6],
    [{ concurrencyKey: { key: by("body.a"), limit: 2 } }, { concurrencyKey: { key: by("body.a"), limit: 2 } }, 0],
  ];
  for (const [before, after, reorderedLanes] of table) {
    const effect = reloadEffect(config({ name: "r", ...before }), config({ name: "r", ...after }), [queue("r")]);
    assertEquals(effect, { orphaned: 0, reorderedLanes });
  }
});
