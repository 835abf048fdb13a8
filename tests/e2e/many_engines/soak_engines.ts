/**
 * `deno task soak:engines -- --minutes 10 --engines 3 [--every 20] [--restarts 2] [--cut 0.001] [--seed N]`: several engines on
 * one `sqld` in the long form, one of them killed every so many seconds. Prints the figures and every anomaly.
 */

import { amount, drawSeed, refuse, soakOptions, whole } from "../../support/soak_options.ts";
import { findSqld } from "../../support/sqld.ts";
import { isSound, runEnginesRig, summarize } from "./engines_rig.ts";

const values = soakOptions({
  minutes: amount(10),
  engines: whole(3),
  every: amount(20),
  restarts: whole(2, { least: 0 }),
  cut: amount(0.001, { most: 1 }),
  seed: whole(undefined, { least: 0 }),
});
const binary = await findSqld();
if ("missing" in binary) refuse(binary.missing);
const seed = values.seed ?? drawSeed();
const killEveryMs = values.every * 1_000;
const report = await runEnginesRig({
  sqld: binary.path,
  engines: values.engines,
  kills: Math.max(1, Math.floor(values.minutes * 60_000 / killEveryMs)),
  killEveryMs,
  serverRestarts: values.restarts,
  cutChance: values.cut,
  seed,
  detailsMax: 20_000,
  say: (line) => console.log(line),
});
for (const { name, subject, detail } of report.history.anomalies.slice(0, 50)) {
  console.log(`${name} ${subject}: ${detail}`);
}
for (const refusal of report.refusals.slice(0, 10)) console.log(`refused: ${refusal}`);
console.log(summarize(report));
Deno.exit(isSound(report) ? 0 : 1);
