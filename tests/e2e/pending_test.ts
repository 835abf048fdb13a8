/**
 * The short form of `deno task soak:kill -- --pending 100000`.
 */

import { assert, assertEquals } from "@std/assert";
import { isSound, runPendingRig, summarize } from "./pending_rig.ts";

Deno.test({
  name: "weir serve: what waits in the log is begun after a stop and after a kill, and none of it is lost",
  // The rig finds orphans in /proc.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const seed = crypto.getRandomValues(new Uint16Array(1))[0]!;
    const report = await runPendingRig({ events: 10_000, starts: 1, seed });
    console.log(summarize(report));
    assert(isSound(report));
    assertEquals(report.starts.map(({ before }) => before), ["filled", "stopped", "killed"]);
  },
});
