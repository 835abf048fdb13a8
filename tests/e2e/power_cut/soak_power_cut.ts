/**
 * `deno task soak:power`: many power cuts. `--cuts N` (default 20,000), `--seed N`, `--synchronous NORMAL` to see the rig
 * lose events. Exits 1 when a promise was broken or an image was refused; with NORMAL, when none was.
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
const sum = { cuts: 0, broken: 0, worst: 0, refused: 0 };
const defect = synchronous === "NORMAL" ? synchronous : undefined;
for (let seed = values.seed; sum.cuts < values.cuts; seed++) {
  const cuts = Math.min(cutsPerRecording, values.cuts - sum.cuts);
  const report = await cutPower(built.library, { cuts, seed, defect });
  sum.cuts += report.cuts;
  sum.broken += report.broken;
  sum.refused += report.refused;
  sum.worst = Math.max(sum.worst, report.worst);
  console.log(`seed ${seed}: ${JSON.stringify(report)}`);
}
await Deno.remove(folder, { recursive: true });
console.log(
  `${synchronous}: ${sum.cuts} cuts, ${sum.broken} broke a promise (at most ${sum.worst} at once), ` +
    `${sum.refused} images refused`,
);
const fine = synchronous === "FULL" ? sum.broken + sum.refused === 0 : sum.broken > 0;
Deno.exit(fine ? 0 : 1);
