/**
 * What an engine does with the work of one that died: the log of the dead one is made by opening it below the engine.
 */

import { assertEquals } from "@std/assert";
import { startEngine } from "../support/engine.ts";
import { claimAndDie } from "./claim_and_die.ts";

Deno.test("createWeir: an inline handler that takes its engine down three times is poison, and its lane goes on", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const ran: number[] = [];
  const routes = { work: { from: "app", order_by: "body.key", retry: { attempts: 10, schedule: ["1s"], jitter: 0 } } };
  const handlers = { work: (event: { body: { n: number } }) => void ran.push(event.body.n) };
  // A source of which nothing is handled yet: the route comes later, so that nothing runs before the deaths.
  const first = await startEngine({ folder, routes: { work: { ...routes.work, delay: "1h" } }, handlers });
  await first.weir.publish({ source: "app", type: "t", body: { key: "a", n: 1 } });
  await first.weir.publish({ source: "app", type: "t", body: { key: "a", n: 2 } });
  await first.weir.stop();

  const reasons: string[] = [];
  for (let death = 1; death <= 3; death++) {
    await claimAndDie(folder, ["work"], first.clock.now() + 7_200_000 + death);
    const engine = await startEngine({
      folder,
      routes: { work: { ...routes.work } },
      handlers: { work: () => new Promise(() => {}) },
    });
    const started = engine.observed.find((o) => o.kind === "engine" && o.message.includes("took back"));
    reasons.push(started?.kind === "engine" ? started.message : "");
    await engine.weir.stop({ graceMs: 0 });
  }
  assertEquals(reasons, Array(3).fill("took back 1 deliveries of an engine that is gone"));

  await using last = await startEngine({ folder, routes, handlers });
  last.clock.advance(7_200_000 + 10);
  await last.seen("delivery.attempted", (o) => o.state === "succeeded");
  assertEquals(ran, [2]);
});
