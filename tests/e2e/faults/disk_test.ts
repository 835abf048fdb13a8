/**
 * A disk that fails and a disk that is full, under a flooded `weir serve`.
 */

import { assert } from "@std/assert";
import { smallDisk, whyNoSmallDisk } from "../../support/small_disk.ts";
import { buildFaultShim, type FaultOrder } from "./faults.ts";
import { assertSound, failDisk, fillDisk, placeLog, withFaultyLog, withholdLog } from "./fault_rig.ts";

const folder = await Deno.makeTempDir({ prefix: "weir-shim-" });
const built = await buildFaultShim(folder);
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const reason = "reason" in built ? ` (skipped: ${built.reason.split("\n")[0]})` : "";
const library = "library" in built ? built.library : "";

const fatal: readonly [string, FaultOrder][] = [
  ["one fsync fails", { operation: "sync", suffix: "-wal", error: "EIO", times: 1 }],
  ["every fsync fails from now on", { operation: "sync", suffix: "-wal", error: "EIO" }],
  ["one write fails halfway", { operation: "write", suffix: "-wal", error: "EIO", times: 1 }],
];
for (const [what, order] of fatal) {
  Deno.test({
    name: `weir serve: when ${what} it ends with 75, and the next engine has all that was acknowledged${reason}`,
    ignore: library === "",
    fn: () =>
      withFaultyLog({ library, seed: 1 }, async (log) => {
        await failDisk(log, order);
        await assertSound(log);
      }),
  });
}

Deno.test({
  name: `weir serve: when a checkpoint cannot write or sync, it works on, and a kill then loses nothing${reason}`,
  ignore: library === "",
  fn: () =>
    withFaultyLog({ library, seed: 2 }, async (log) => {
      const engine = await log.start(log.faults.environment);
      for (const [operation, error] of [["write", "EIO"], ["sync", "EIO"], ["write", "ENOSPC"]] as const) {
        await log.faults.order({ operation, suffix: ".db", error });
        const before = await log.faults.failures();
        while (await log.faults.failures() === before) await log.flow(50);
        await log.flow(50);
      }
      await log.kill(engine);
      await log.faults.clear();
      await log.start();
      await log.flow(30);
      await assertSound(log);
    }),
});

Deno.test({
  name: `weir serve: while writes find no space it answers 503, and goes on by itself afterwards${reason}`,
  ignore: library === "",
  fn: () =>
    withFaultyLog({ library, seed: 3 }, async (log) => {
      const engine = await log.start(log.faults.environment);
      await withholdLog(log, engine, {
        begin: () => log.faults.order({ operation: "write", suffix: "-wal", error: "ENOSPC" }),
        end: () => log.faults.clear(),
      });
      assert(await log.faults.failures() > 0);
      await assertSound(log);
    }),
});

const noSmallDisk = await whyNoSmallDisk();

for (const [what, minFree] of [["is nearly full", "2MiB"], ["is full", "1B"]] as const) {
  Deno.test({
    name: `weir serve: while the disk ${what} it answers 503, and goes on by itself when there is space${
      noSmallDisk === undefined ? "" : ` (skipped: ${noSmallDisk})`
    }`,
    ignore: noSmallDisk !== undefined,
    async fn() {
      await using disk = await smallDisk("32m");
      await withFaultyLog({ seed: 4 }, async (log) => {
        await placeLog(log, { folder: disk.folder, minFree });
        await withholdLog(log, await log.start(), {
          begin: () => fillDisk(`${disk.folder}/ballast`),
          end: () => Deno.remove(`${disk.folder}/ballast`),
        });
        await assertSound(log);
      });
    },
  });
}
