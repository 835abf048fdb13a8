/**
 * `deno task soak:order`: 1,000 keys x 20 events with a third of the attempts failing, and the pace of healthy keys
 * beside one that is stuck. Prints the figures.
 */

import { measureBesideStuckHead, runOrderRig } from "./order_rig.ts";

const { history, tookMs, succeeded } = await runOrderRig({ keys: 1_000, eventsPerKey: 20 });
for (const { name, subject, detail } of history.anomalies.slice(0, 50)) console.log(`${name} ${subject}: ${detail}`);
console.log(
  `order: ${history.events} events, ${history.runs} attempts, ${history.failed} failed; ` +
    `${history.anomalies.length} anomalies; ${Math.round(succeeded / tookMs * 1_000)} events/s`,
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
Deno.exit(history.anomalies.length === 0 ? 0 : 1);
