/**
 * `deno task soak:order -- [--keys 1000] [--events 20000] [--failing 0.33] [--seed N]`: many keys with a share of the attempts
 * failing, and the pace of healthy keys beside one that is stuck. Prints the figures and every anomaly; exits 1 when
 * there is one. The long form is `--keys 10000 --events 1000000 --failing 0.2`: nine minutes of a core, and 2 GB.
 */

import { measureBesideStuckHead, runOrderRig } from "./order_rig.ts";
import { amount, drawSeed, soakOptions, whole } from "../support/soak_options.ts";

const values = soakOptions({
  keys: whole(1_000),
  events: whole(20_000),
  failing: amount(0.33, { most: 0.9 }),
  seed: whole(undefined, { least: 0 }),
});
const { keys, seed = drawSeed() } = values;
console.log(`seed ${seed}`);
const begunAt = performance.now();
const { anomalies, events, attempts, failed, succeeded, tookMs, sampled } = await runOrderRig(
  { keys, eventsPerKey: Math.ceil(values.events / keys) },
  {
    failing: values.failing,
    seed,
    detailsMax: 20_000,
    say: (line) => console.log(`${secondsSince(begunAt)} s: ${line}`),
  },
);
for (const { name, subject, detail } of anomalies.slice(0, 50)) console.log(`${name} ${subject}: ${detail}`);
const count = (name: string) => anomalies.filter((anomaly) => anomaly.name === name).length;
console.log(
  `order: ${keys} keys, ${events} events, ${attempts} attempts, ${failed} failed; ${count("REORDER")} inversions, ` +
    `${count("OVERLAP")} overlaps, ${anomalies.length} anomalies; ${
      Math.round(succeeded / tookMs * 1_000)
    } events/s, ` +
    `read whole: ${sampled}; judged after ${secondsSince(begunAt)} s`,
);

const size = { keys: 200, eventsPerKey: 50 };
const ratios: number[] = [];
for (let round = 0; round < 5; round++) {
  const alone = await measureBesideStuckHead(size, false);
  const beside = await measureBesideStuckHead(size, true);
  ratios.push(beside / alone);
  console.log(`healthy keys: ${Math.round(alone)}/s alone, ${Math.round(beside)}/s beside a stuck one`);
}
ratios.sort((a, b) => a - b);
console.log(`stuck head: the others keep ${ratios[2]!.toFixed(2)} of their pace (median of five)`);
Deno.exit(anomalies.length === 0 ? 0 : 1);

function secondsSince(at: number): number {
  return Math.round((performance.now() - at) / 1_000);
}
