/**
 * Other processes at the log of a flooded `weir serve`: a second engine, and a stranger who holds the write lock.
 */

import { assertEquals } from "@std/assert";
import { assertSound, holdLock, startSecond, withFaultyLog, withholdLog } from "./fault_rig.ts";

Deno.test("weir serve: a second engine on the same file ends at once and says why, under any name of the file", async () => {
  await withFaultyLog({ seed: 11 }, async (log) => {
    const engine = await log.start();
    await log.flow(30);
    const linked = `${log.folder}/linked.db`;
    await Deno.symlink(log.file, linked);
    const folder = `${log.folder}/linked`;
    await Deno.symlink(`${log.folder}/project`, folder);
    for (const name of [log.file, linked, `${folder}/weir.db`]) await startSecond(log, name);
    await log.flow(30);
    assertEquals(log.engines, [engine]);
    await assertSound(log);
  });
});

Deno.test("weir serve: a link to a log that is not made yet leads to the same lock as the log", async () => {
  await withFaultyLog({ seed: 12 }, async (log) => {
    const linked = `${log.folder}/linked.db`;
    await Deno.symlink(log.file, linked);
    await log.start({ RIG_LOG: `file:${linked}` });
    await log.flow(30);
    await startSecond(log, log.file);
    await assertSound(log);
  });
});

Deno.test("weir serve: while a stranger holds the write lock it answers 503, and is not the worse for it", async () => {
  await withFaultyLog({ seed: 13 }, async (log) => {
    const engine = await log.start();
    let stranger: { release(): Promise<void> } | undefined;
    const { acknowledgedMeanwhile } = await withholdLog(log, engine, {
      begin: async () => void (stranger = await holdLock(log.file)),
      end: async () => await stranger!.release(),
    });
    assertEquals(acknowledgedMeanwhile, 0);
    await assertSound(log);
  });
});
