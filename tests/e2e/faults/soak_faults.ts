/**
 * `deno task soak:faults -- [--rounds 50] [--seconds 60] [--seconds-lock 10] [--engines 100] [--seed N]`: every fault in its long form. Each
 * round fails the disk at another write or fsync; then a second engine is started a hundred times, a stranger holds the
 * lock, and the engine is stopped in its tracks. Prints the figures; ends with 1 at the first broken promise.
 */

import { parseArgs } from "node:util";
import { createRandom } from "../../support/seeded_random.ts";
import { buildFaultShim } from "./faults.ts";
import { assertSound, failDisk, freeze, holdLock, startSecond, withFaultyLog } from "./fault_rig.ts";

const { values } = parseArgs({
  args: Deno.args.filter((each) => each !== "--"),
  options: {
    rounds: { type: "string", default: "50" },
    seconds: { type: "string", default: "60" },
    "seconds-lock": { type: "string", default: "10" },
    engines: { type: "string", default: "100" },
    seed: { type: "string" },
  },
});
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint16Array(1))[0]);
const random = createRandom(seed);
console.log(`seed ${seed}`);

const folder = await Deno.makeTempDir({ prefix: "weir-shim-" });
const built = await buildFaultShim(folder);
if ("reason" in built) {
  console.log(`the disk cannot be made to fail: ${built.reason}`);
} else {
  const ended: number[] = [];
  await withFaultyLog({ library: built.library, seed }, async (log) => {
    for (let round = 1; round <= Number(values.rounds); round++) {
      const operation = random.chance(0.5) ? "sync" : "write";
      const times = random.chance(0.1) ? undefined : 1;
      const { endedAfterMs } = await failDisk(log, {
        operation,
        suffix: "-wal",
        error: "EIO",
        after: random.below(200),
        times,
      });
      ended.push(endedAfterMs);
      for (const engine of log.engines) await log.kill(engine);
      if (round % 10 === 0) console.log(`disk: ${round} failures, ${log.acknowledged()} acknowledged`);
    }
    await log.start();
    const report = await assertSound(log);
    console.log(
      `disk: ${ended.length} failures, each ended with 75, within ${Math.round(Math.max(...ended))} ms of the order; ` +
        `${report.acknowledged} acknowledged, ${report.events} events, ${report.runs} attempts, 0 anomalies`,
    );
  });
}

await withFaultyLog({ seed }, async (log) => {
  const engine = await log.start();
  await log.flow(30);
  const took: number[] = [];
  for (let n = 0; n < Number(values.engines); n++) took.push(await startSecond(log, log.file));
  took.sort((a, b) => a - b);
  console.log(
    `second engine: ${took.length} starts refused, median ${Math.round(took[took.length >> 1]!)} ms, ` +
      `most ${Math.round(took.at(-1)!)} ms`,
  );

  const before = log.acknowledged();
  const stranger = await holdLock(log.file);
  const held = log.acknowledged();
  await new Promise((resolve) => setTimeout(resolve, Number(values["seconds-lock"]) * 1_000));
  const during = log.acknowledged() - held;
  const from = performance.now();
  await stranger.release();
  await log.flow(1);
  console.log(
    `stranger's lock: ${before} acknowledged before, ${during} during, the next ${
      Math.round(performance.now() - from)
    } ms after`,
  );

  await freeze(log, engine, Number(values.seconds) * 1_000);
  const report = await assertSound(log);
  console.log(
    `stopped for ${values.seconds} s: ${report.runs} attempts, ${report.cutOff} cut off, ${report.repeated} repeated, 0 anomalies`,
  );
});
await Deno.remove(folder, { recursive: true });
