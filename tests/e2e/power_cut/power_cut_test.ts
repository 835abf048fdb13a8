/**
 * The short form of `deno task soak:power`.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Defect, defects } from "./defects.ts";
import { buildRecorder, cutPower } from "./rig.ts";

const folder = await Deno.makeTempDir({ prefix: "weir-cut-" });
const built = await buildRecorder(folder);
const reason = "reason" in built ? ` (skipped: ${built.reason.split("\n")[0]})` : "";
const library = "library" in built ? built.library : "";

Deno.test({
  name: `power cut: what was told is kept, and nothing is there by halves${reason}`,
  ignore: library === "",
  async fn() {
    const { cuts, broken, refused, first, told } = await cutPower(library, { cuts: 100, seed: 7 });
    assertEquals([cuts, broken, refused, first], [100, 0, 0, undefined]);
    assert(Object.values(told).every((count) => count > 50), JSON.stringify(told));
  },
});

const signs: Record<Defect, RegExp> = {
  "NORMAL": /is lost|not done any more/,
  "torn append": /has 0 deliveries/,
  "forgotten keys": /has no request or no key/,
  "other bytes": /has other bytes/,
};
for (const defect of defects) {
  Deno.test({
    name: `power cut: the same rig sees ${defect}, so it can tell${reason}`,
    ignore: library === "",
    async fn() {
      const { broken, first } = await cutPower(library, { cuts: 20, seed: 7, defect });
      assertEquals(broken > 0, true);
      assertMatch(first!, signs[defect]);
    },
  });
}

globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
