import { assert, assertEquals } from "@std/assert";
import { checkHistory } from "../support/check_history.ts";
import { findFaults, type KillReport, runKillRig, summarize } from "./kill_rig.ts";

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
    assertEquals([report.lives.length, report.lives.at(-1)!.wasWaitedFor], [rounds + 1, true]);
    assertEquals(findFaults(report, { resumeMsMax: Infinity }), []);
    assert(acknowledged > rounds && unknown > 0 && duplicateReplies > 0 && failed > 0);
    assert(report.orphans > 0 && report.spinners > 0);
  },
});

Deno.test("findFaults: an engine counts as late also when it was killed before it worked", () => {
  const life = { workMs: 900, livedMs: 2_000, wasWaitedFor: true };
  const report = (...lives: KillReport["lives"]): KillReport => ({
    ...{
      seed: 1,
      rounds: 0,
      history: checkHistory([]),
      sampled: "",
      lives,
      outlivedMs: 0,
      orphans: 0,
      spinners: 0,
      foldersLeft: 0,
    },
    ...{ refusals: [], exitCode: 0 },
  });
  const faults = (...lives: KillReport["lives"]) => findFaults(report(...lives), { resumeMsMax: 5_000 });
  assertEquals(faults(life), []);
  assertEquals(faults(life, { livedMs: 4_000, wasWaitedFor: false }), []);
  assertEquals(faults(life, { livedMs: 6_000, wasWaitedFor: false }), ["1 engines had begun no work after 5000 ms"]);
  assertEquals(faults(life, { ...life, workMs: 6_000, livedMs: Infinity }).length, 1);
  assertEquals(faults({ ...life, wasWaitedFor: false }), ["no engine was waited for until it worked"]);
});
