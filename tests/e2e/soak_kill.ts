/**
 * `deno task soak:kill -- --rounds 200 [--seed N]`: the kill rig in its long form. Prints the figures, and every anomaly
 * that it found.
 */

import { parseArgs } from "node:util";
import { runKillRig, summarize } from "./kill_rig.ts";

/** What promise 7 says of work after a crash, and what a machine that is busy with other things may add to it. */
const resumeMsMax = 5_000;

const { values } = parseArgs({
  args: Deno.args.filter((each) => each !== "--"),
  options: { rounds: { type: "string", default: "200" }, seed: { type: "string" } },
});
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint16Array(1))[0]);
console.log(`seed ${seed}`);
const report = await runKillRig({ rounds: Number(values.rounds), seed, say: (line) => console.log(line) });
for (const { name, subject, detail } of report.history.anomalies.slice(0, 50)) {
  console.log(`${name} ${subject}: ${detail}`);
}
for (const refusal of report.refusals.slice(0, 10)) console.log(`refused: ${refusal}`);
console.log(summarize(report));
const sound = report.history.anomalies.length === 0 && report.refusals.length === 0 && report.exitCode === 0;
Deno.exit(sound && Math.max(...report.resumeMs) <= resumeMsMax ? 0 : 1);
