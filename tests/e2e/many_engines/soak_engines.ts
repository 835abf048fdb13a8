/**
 * `deno task soak:engines -- --minutes 10 --engines 3 [--every 20] [--restarts 2] [--cut 0.001] [--seed N]`: several engines on
 * one `sqld` in the long form, one of them killed every so many seconds. Prints the figures and every anomaly.
 */

import { parseArgs } from "node:util";
import { findSqld } from "../../support/sqld.ts";
import { isSound, runEnginesRig, summarize } from "./engines_rig.ts";

const { values } = parseArgs({
  args: Deno.args.filter((each) => each !== "--"),
  options: {
    minutes: { type: "string", default: "10" },
    engines: { type: "string", default: "3" },
    every: { type: "string", default: "20" },
    restarts: { type: "string", default: "2" },
    cut: { type: "string", default: "0.001" },
    seed: { type: "string" },
  },
});
const binary = await findSqld();
if ("missing" in binary) {
  console.log(`cannot run: ${binary.missing}`);
  Deno.exit(1);
}
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint16Array(1))[0]);
const killEveryMs = Number(values.every) * 1_000;
const report = await runEnginesRig({
  sqld: binary.path,
  engines: Number(values.engines),
  kills: Math.max(1, Math.floor(Number(values.minutes) * 60_000 / killEveryMs)),
  killEveryMs,
  serverRestarts: Number(values.restarts),
  cutChance: Number(values.cut),
  seed,
  say: (line) => console.log(line),
});
for (const { name, subject, detail } of report.history.anomalies.slice(0, 50)) {
  console.log(`${name} ${subject}: ${detail}`);
}
for (const refusal of report.refusals.slice(0, 10)) console.log(`refused: ${refusal}`);
console.log(summarize(report));
Deno.exit(isSound(report) ? 0 : 1);
