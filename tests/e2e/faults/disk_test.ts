/**
 * A disk that fails and a disk that is full, under a flooded `weir serve`.
 */

import { assert } from "@std/assert";
import { buildFaultShim, type FaultOrder } from "./faults.ts";
import { assertSound, failDisk, withFaultyLog, withholdLog } from "./fault_rig.ts";

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
      for (const operation of ["write", "sync"] as const) {
        await log.faults.order({ operation, suffix: ".db", error: "EIO" });
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
    fn: () =>
      withFaultyLog({ seed: 4 }, async (log) => {
        const disk = `${log.folder}/disk`;
        await Deno.mkdir(disk);
        await run("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk);
        try {
          const routes = await Deno.readTextFile(log.routesFile);
          await Deno.writeTextFile(
            log.routesFile,
            routes.replace("url: ${RIG_LOG}", `url: file:${disk}/weir.db\n  min_free: ${minFree}`),
          );
          const engine = await log.start();
          await withholdLog(log, engine, {
            begin: () => fill(`${disk}/ballast`),
            end: () => Deno.remove(`${disk}/ballast`),
          });
          await assertSound(log);
        } finally {
          for (const engine of log.engines) await log.kill(engine);
          await run("umount", disk);
        }
      }),
  });
}

/** Writes until there is no space left. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const bytes = new Uint8Array(65_536);
  try {
    for (;;) await file.write(bytes);
  } catch {
    // It is full: that was the point.
  }
}

/** A full disk is played on a file system of a few megabytes, and mounting one needs root. */
async function whyNoSmallDisk(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "mounting a small file system is only tried on Linux";
  const place = await Deno.makeTempDir();
  try {
    await run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place);
    await run("umount", place);
  } catch (error) {
    return `a small file system cannot be mounted: ${(error as Error).message}`;
  } finally {
    await Deno.remove(place);
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
}
