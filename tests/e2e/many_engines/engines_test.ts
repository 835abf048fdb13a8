/**
 * The short form of `deno task soak:engines`.
 */

import { assert, assertEquals } from "@std/assert";
import { findSqld } from "../../support/sqld.ts";
import { isSound, runEnginesRig, summarize } from "./engines_rig.ts";

const binary = await findSqld();
const reason = "missing" in binary ? ` (skipped: ${binary.missing})` : "";

Deno.test({
  name: `weir serve: two engines on one log, one of them killed, connections cut: every promise is kept${reason}`,
  ignore: "missing" in binary,
  async fn() {
    const seed = crypto.getRandomValues(new Uint16Array(1))[0]!;
    const report = await runEnginesRig({
      sqld: (binary as { path: string }).path,
      engines: 2,
      kills: 1,
      killEveryMs: 2_000,
      serverRestarts: 1,
      cutChance: 0.01,
      seed,
    });
    console.log(summarize(report));
    assertEquals(report.history.anomalies, []);
    assert(isSound(report));
    // Without these it would have proved nothing.
    const { acknowledged, failed, crashes } = report.history;
    assertEquals([crashes, report.serverRestarts], [1, 1]);
    assert(acknowledged > 100 && failed > 0 && report.repliesCut + report.requestsCut > 0);
  },
});
