/**
 * `deno task soak:power`: many power cuts. `--cuts N` (default 20,000), `--seed N`, `--synchronous NORMAL` to see the rig
 * lose events. Exits 1 when something acknowledged was lost or an image was refused; with NORMAL, when nothing was.
 */

import { parseArgs } from "node:util";
import { buildRecorder, cutPower } from "./rig.ts";

const { values } = parseArgs({
  args: Deno.args.filter((arg) => arg !== "--"),
  options: {
    cuts: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    synchronous: { type: "string", default: "FULL" },
  },
});
/** Cuts of one recording; then another is made. */
const cutsPerRecording = 1_000;

const folder = await Deno.makeTempDir({ prefix: "weir-cut-" });
const built = await buildRecorder(folder);
if ("reason" in built) {
  console.error(`cannot record: ${built.reason}`);
  Deno.exit(2);
}
const synchronous = values.synchronous === "NORMAL" ? "NORMAL" : "FULL";
const sum = { cuts: 0, lossy: 0, worstLoss: 0, refused: 0 };
for (let seed = Number(values.seed); sum.cuts < Number(values.cuts); seed++) {
  const cuts = Math.min(cutsPerRecording, Number(values.cuts) - sum.cuts);
  const report = await cutPower(built.library, { cuts, seed, synchronous });
  sum.cuts += report.cuts;
  sum.lossy += report.lossy;
  sum.refused += report.refused;
  sum.worstLoss = Math.max(sum.worstLoss, report.worstLoss);
  console.log(`seed ${seed}: ${JSON.stringify(report)}`);
}
await Deno.remove(folder, { recursive: true });
console.log(
  `${synchronous}: ${sum.cuts} cuts, ${sum.lossy} lost something acknowledged (at most ${sum.worstLoss}), ` +
    `${sum.refused} images refused`,
);
const fine = synchronous === "FULL" ? sum.lossy + sum.refused === 0 : sum.lossy > 0;
Deno.exit(fine ? 0 : 1);
