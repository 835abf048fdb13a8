/**
 * `deno task soak:power`: many power cuts. `--cuts N` (default 20,000), `--seed N`, `--synchronous NORMAL` to see the rig
 * lose events. Exits 1 when something acknowledged was lost or an image was refused; with NORMAL, when nothing was.
 */

import { type SoakOption, soakOptions, whole } from "../../support/soak_options.ts";
import { buildRecorder, cutPower } from "./rig.ts";

const mode: SoakOption<"FULL" | "NORMAL"> = {
  otherwise: "FULL",
  read(text) {
    if (text !== "FULL" && text !== "NORMAL") throw new RangeError(`${Deno.inspect(text)} is neither FULL nor NORMAL`);
    return text;
  },
};
const values = soakOptions({ cuts: whole(20_000), seed: whole(1, { least: 0 }), synchronous: mode });
/** Cuts of one recording; then another is made. */
const cutsPerRecording = 1_000;

const folder = await Deno.makeTempDir({ prefix: "weir-cut-" });
const built = await buildRecorder(folder);
if ("reason" in built) {
  console.error(`cannot record: ${built.reason}`);
  Deno.exit(2);
}
const { synchronous } = values;
const sum = { cuts: 0, lossy: 0, worstLoss: 0, refused: 0 };
for (let seed = values.seed; sum.cuts < values.cuts; seed++) {
  const cuts = Math.min(cutsPerRecording, values.cuts - sum.cuts);
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
