/**
 * The short form of `deno task soak:power`.
 */

import { assertEquals } from "@std/assert";
import { buildRecorder, cutPower } from "./rig.ts";

const folder = await Deno.makeTempDir({ prefix: "weir-cut-" });
const built = await buildRecorder(folder);
const reason = "reason" in built ? ` (skipped: ${built.reason.split("\n")[0]})` : "";
const library = "library" in built ? built.library : "";

Deno.test({
  name: `power cut: nothing acknowledged is lost and no image is refused${reason}`,
  ignore: library === "",
  async fn() {
    const report = await cutPower(library, { cuts: 150, seed: 7 });
    assertEquals([report.cuts, report.lossy, report.refused, report.firstLoss], [150, 0, 0, undefined]);
  },
});

Deno.test({
  name: `power cut: the same rig does lose with synchronous=NORMAL, so it can tell${reason}`,
  ignore: library === "",
  async fn() {
    const report = await cutPower(library, { cuts: 40, seed: 7, synchronous: "NORMAL" });
    assertEquals(report.lossy > 0, true);
  },
});

globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
