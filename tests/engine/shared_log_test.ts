/**
 * Two engines of a program on one server, each with a clock in the test's hands.
 */

import { assertEquals } from "@std/assert";
import { createWeir, type Observation, type Weir } from "weir";
import { standard } from "weir/plugins";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { findSqld, startSqld } from "../support/sqld.ts";
import { until } from "../support/until.ts";

const binary = await findSqld();

Deno.test({
  name: "weir: an engine that is stopping beats until its work has ended, so that nobody takes it over [sqld]",
  ignore: "missing" in binary,
  async fn() {
    if ("missing" in binary) return;
    await using server = await startSqld(binary.path);
    const begun: string[] = [];
    const ended = Promise.withResolvers<void>();
    async function start(name: string): Promise<{ weir: Weir; clock: FakeClock; observed: Observation[] }> {
      const clock = createFakeClock();
      const weir = await createWeir({
        ...standard(),
        clock,
        environment: {},
        config: {
          version: 1,
          storage: { url: server.url },
          sources: { app: { publish: true } },
          routes: { work: { from: "app", timeout: "10m", order_by: "body.k" } },
        },
        handlers: {
          work: async () => {
            begun.push(name);
            await ended.promise;
          },
        },
      });
      const observed: Observation[] = [];
      weir.observe((observation) => observed.push(observation));
      await weir.start();
      return { weir, clock, observed };
    }
    const first = await start("first");
    await first.weir.publish({ source: "app", type: "t", body: { k: 1 } });
    await until("it runs", () => begun.length === 1);
    const other = await start("other");
    const stopping = first.weir.stop({ graceMs: 120_000 });
    for (let seconds = 0; seconds < 60; seconds += 5) {
      for (const { clock } of [first, other]) {
        clock.advance(5_000);
        await until("it has beaten, and will again", () => clock.isDueIn(5_000));
      }
    }
    ended.resolve();
    await stopping;
    const attempts = first.observed.flatMap((o) => o.kind === "delivery.attempted" ? [o.state] : []);
    assertEquals([begun, attempts], [["first"], ["succeeded"]]);
    await other.weir.stop({ graceMs: 0 });
  },
});
