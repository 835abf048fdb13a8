/**
 * The short form of `deno task soak:kill -- --points 50`.
 */

import { assert, assertEquals } from "@std/assert";
import type { CrashPoint } from "../../simulation/crash_points.ts";
import { isSound, runPointsRig, summarize } from "./points_rig.ts";

const points: readonly CrashPoint[] = [
  "append before answer",
  "settle before commit",
  "count death before commit",
  "count death after commit",
  "recover after commit",
  "cancel after commit",
  "reload before swap",
  "while stopping",
];

Deno.test({
  name: "weir serve: dead at named places, from the commit to the answer, it keeps every promise",
  // The rig finds orphans in /proc.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const seed = crypto.getRandomValues(new Uint16Array(1))[0]!;
    const report = await runPointsRig({ points, times: 1, seed });
    console.log(summarize(report));
    assertEquals(report.histories.flatMap(({ anomalies }) => anomalies), []);
    assertEquals(report.broken, []);
    assert(isSound(report));
    // Without these it would have proved nothing.
    assertEquals(report.reached, Object.fromEntries(points.map((point) => [point, 1])));
    assert(report.histories.every(({ acknowledged, unknown }) => acknowledged > 0 && unknown > 0));
    // Before each death that counts one beforehand comes one that leaves suspects.
    const crashes = report.histories.reduce((sum, history) => sum + history.crashes, 0);
    const counted = points.filter((point) => point.startsWith("count death")).length;
    assert(crashes >= points.length + counted, `${crashes} crashes`);
    assert(Object.values(report.confirmed).some((count) => count > 0));
  },
});
