import { assert, assertEquals } from "@std/assert";
import { runKillRig, summarize } from "./kill_rig.ts";

const rounds = 8;

Deno.test({
  name: "weir serve: killed again and again under load, it keeps every promise",
  // The rig finds orphans in /proc.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const seed = crypto.getRandomValues(new Uint16Array(1))[0]!;
    console.log(`again: deno task soak:kill -- --rounds ${rounds} --seed ${seed}`);
    const report = await runKillRig({ rounds, seed });
    console.log(summarize(report));
    assertEquals(report.history.anomalies, []);
    assertEquals(report.refusals, []);
    assertEquals(report.exitCode, 0);
    // Without these the rounds would have proved nothing.
    const { acknowledged, unknown, duplicateReplies, failed, crashes } = report.history;
    assertEquals(crashes, rounds);
    assertEquals(report.resumeMs.length, rounds + 1);
    assert(acknowledged > rounds && unknown > 0 && duplicateReplies > 0 && failed > 0);
    assert(report.orphans > 0 && report.spinners > 0);
  },
});
