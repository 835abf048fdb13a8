/**
 * Time that stands still or jumps under a flooded `weir serve`: SIGSTOP as a paused virtual machine, and a wall clock that
 * somebody sets.
 */

import { buildFaultShim } from "./faults.ts";
import { assertSound, freeze, withFaultyLog } from "./fault_rig.ts";

const folder = await Deno.makeTempDir({ prefix: "weir-shim-" });
const built = await buildFaultShim(folder);
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const reason = "reason" in built ? ` (skipped: ${built.reason.split("\n")[0]})` : "";
const library = "library" in built ? built.library : "";

const hourMs = 3_600_000;

Deno.test({
  name: "weir serve: stopped in its tracks and let go on, it does nothing twice",
  // Handlers' processes are found in /proc.
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFaultyLog({ seed: 21 }, async (log) => {
      await freeze(log, await log.start(), 5_000);
      await assertSound(log);
    }),
});

Deno.test({
  name: `weir serve: a clock set back an hour makes it do nothing twice, and right again it finishes all${reason}`,
  ignore: library === "",
  fn: () =>
    withFaultyLog({ library, seed: 22 }, async (log) => {
      await log.start(log.faults.environment);
      await log.flow(50);
      await log.faults.shiftClock(-hourMs);
      await log.flow(50);
      await log.faults.shiftClock(0);
      await log.flow(50);
      await assertSound(log);
    }),
});

Deno.test({
  name: `weir serve: a clock set forward a day makes it do nothing twice, also when it is killed then${reason}`,
  ignore: library === "",
  fn: () =>
    withFaultyLog({ library, seed: 23 }, async (log) => {
      const engine = await log.start(log.faults.environment);
      await log.flow(50);
      await log.faults.shiftClock(24 * hourMs);
      await log.flow(50);
      await log.kill(engine);
      await log.start(log.faults.environment);
      await log.flow(50);
      await assertSound(log);
    }),
});
