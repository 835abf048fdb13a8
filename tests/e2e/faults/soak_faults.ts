/**
 * `deno task soak:faults -- [--rounds 50] [--seconds 60] [--seconds-lock 10] [--engines 100] [--seed N]`: every fault in its
 * long form. Each round fails the disk at another write or fsync; then disks are filled, a second engine is started a
 * hundred times, a stranger holds the lock, and engines are stopped in their tracks. Prints the figures; ends with 1 at
 * the first broken promise, and with 2 before it has begun when this machine cannot do all of it. `--only NAME` chooses.
 */

import { assert, assertEquals } from "@std/assert";
import type { HistoryReport } from "../../support/history.ts";
import { createRandom } from "../../support/seeded_random.ts";
import { choose, drawSeed, orRefuse, refuse, soakOptions, text, whole } from "../../support/soak_options.ts";
import { smallDisk, whyNoSmallDisk } from "../../support/small_disk.ts";
import { findSqld, startSqld } from "../../support/sqld.ts";
import { floodLog } from "../many_engines/flooded_log.ts";
import { buildFaultShim } from "./faults.ts";
import {
  assertSound,
  type DiskFailure,
  failDisk,
  type FaultyLog,
  fillDisk,
  freeze,
  freezeBeside,
  holdLock,
  placeLog,
  refusedMsMax,
  startSecond,
  withFaultyLog,
  type Withheld,
  withholdLog,
} from "./fault_rig.ts";

const values = soakOptions({
  rounds: whole(50),
  seconds: whole(60),
  "seconds-lock": whole(10),
  engines: whole(100),
  seed: whole(undefined, { least: 0 }),
  only: text(""),
});
const seed = values.seed ?? drawSeed();
const random = createRandom(seed);
const { rounds } = values;
/** By then another engine has taken over what one that stands still had begun, also on a busy machine. */
const takeoverMsMax = 45_000;
const frozenMs = values.seconds * 1_000;
const lockedMs = values["seconds-lock"] * 1_000;

const folder = await Deno.makeTempDir({ prefix: "weir-shim-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const built = await buildFaultShim(folder);
const noShim = "reason" in built ? built.reason : undefined;
const library = "library" in built ? built.library : "";
const noSmallDisk = await whyNoSmallDisk();
const sqld = await findSqld();
const noServer = "missing" in sqld ? sqld.missing : undefined;

/** Each part of the run, and what keeps this machine from it. */
const parts: Readonly<Record<string, { run(): Promise<void>; readonly missing?: string }>> = {
  "disk fails": { run: failDisks, missing: noShim },
  "no space for the log": { run: refuseSpace, missing: noShim },
  "disk full": {
    async run() {
      for (const minFree of ["2MiB", "1B"]) await fillDisks(minFree);
    },
    missing: noSmallDisk,
  },
  "second engine": { run: () => withFaultyLog({ seed }, startSeconds) },
  "stranger's lock": { run: () => withFaultyLog({ seed }, holdLocks) },
  "stopped alone": { run: () => withFaultyLog({ seed }, freezeAlone) },
  "stopped beside another": { run: freezeBesideAnother, missing: noServer },
};
const wanted = orRefuse(() => choose(Object.keys(parts), values.only));
const missing = wanted.flatMap((name) => parts[name]!.missing === undefined ? [] : `${name} (${parts[name]!.missing})`);
if (missing.length > 0) refuse(`this machine cannot do ${missing.join(", ")}; --only NAME leaves parts out`);
console.log(`seed ${seed}`);
for (const name of wanted) await parts[name]!.run();
console.log(`${values.only === "" ? "all" : "in part:"} ${wanted.length} of ${Object.keys(parts).length} parts held`);

async function failDisks(): Promise<void> {
  const seen: Record<"once" | "for ever", DiskFailure[]> = { "once": [], "for ever": [] };
  await withFaultyLog({ library, seed }, async (log) => {
    for (let round = 1; round <= rounds; round++) {
      const how = round % 5 === 0 ? "for ever" : "once";
      seen[how].push(
        await failDisk(log, {
          operation: random.chance(0.5) ? "sync" : "write",
          suffix: "-wal",
          error: "EIO",
          after: random.below(100),
          times: how === "once" ? 1 : undefined,
        }),
      );
      for (const engine of log.engines) await log.kill(engine);
      if (round % 10 === 0) console.log(`disk: ${round} failures, ${log.acknowledged()} acknowledged`);
    }
    await log.start();
    const report = await assertSound(log);
    for (const [how, failures] of Object.entries(seen)) {
      const took = spread(failures.map(({ endedAfterMs }) => endedAfterMs));
      const late = Math.max(0, ...failures.map(({ acknowledgedAfter }) => acknowledgedAfter));
      console.log(
        `disk fails ${how}: ${failures.length} times, each ended with 75 after ${took}; at most ${late} acknowledged after`,
      );
    }
    say("disk fails", report);
  });
}

/** Writes of the log find no space, again and again; then those of the checkpoint. */
async function refuseSpace(): Promise<void> {
  const seen: Withheld[] = [];
  await withFaultyLog({ library, seed }, async (log) => {
    await log.start(log.faults.environment);
    for (let round = 1; round <= Math.ceil(rounds / 5); round++) {
      const withheld = await withholdLog(log, log.engines[0]!, {
        begin: () => log.faults.order({ operation: "write", suffix: "-wal", error: "ENOSPC", after: random.below(50) }),
        end: () => log.faults.clear(),
        forMs: random.below(2_000),
      });
      assertEquals(withheld.acknowledgedMeanwhile, 0);
      seen.push(withheld);
    }
    await log.faults.order({ operation: "write", suffix: ".db", error: "ENOSPC" });
    await log.flow(3_000);
    assert(await log.faults.failures() > 0);
    await log.kill(log.engines[0]!);
    await log.faults.clear();
    await log.start();
    sayWithheld("no space for the log", seen, await assertSound(log));
  });
}

async function fillDisks(minFree: string): Promise<void> {
  const seen: Withheld[] = [];
  await using disk = await smallDisk("64m");
  await withFaultyLog({ seed }, async (log) => {
    await placeLog(log, { folder: disk.folder, minFree });
    await log.start();
    for (let round = 1; round <= Math.ceil(rounds / 10); round++) {
      seen.push(
        await withholdLog(log, log.engines[0]!, {
          begin: () => fillDisk(`${disk.folder}/ballast`),
          end: () => Deno.remove(`${disk.folder}/ballast`),
          forMs: 5_000,
        }),
      );
    }
    sayWithheld(`disk full (min_free ${minFree})`, seen, await assertSound(log));
  });
}

async function startSeconds(log: FaultyLog): Promise<void> {
  const linked = `${log.folder}/linked.db`;
  await Deno.symlink(log.file, linked);
  await Deno.symlink(`${log.folder}/project`, `${log.folder}/linked`);
  const engine = await log.start();
  await log.flow(30);
  const took: number[] = [];
  for (let n = 0; n < values.engines; n++) {
    took.push(await startSecond(log, [log.file, linked, `${log.folder}/linked/weir.db`][n % 3]!));
  }
  await log.flow(30);
  assertEquals(log.engines, [engine]);
  say("second engine", await assertSound(log));
  const late = took.filter((ms) => ms > refusedMsMax).length;
  console.log(
    `second engine: ${took.length} starts refused under three names, ${spread(took)}; ${late} took longer than ` +
      `${refusedMsMax} ms`,
  );
}

async function holdLocks(log: FaultyLog): Promise<void> {
  await log.start();
  let stranger: { release(): Promise<void> } | undefined;
  const withheld = await withholdLog(log, log.engines[0]!, {
    begin: async () => void (stranger = await holdLock(log.file)),
    end: async () => await stranger!.release(),
    forMs: lockedMs,
  });
  assertEquals(withheld.acknowledgedMeanwhile, 0);
  sayWithheld(`stranger's lock for ${lockedMs} ms`, [withheld], await assertSound(log));
}

async function freezeAlone(log: FaultyLog): Promise<void> {
  await freeze(log, await log.start(), frozenMs);
  say(`stopped for ${frozenMs} ms`, await assertSound(log));
}

/** Longer than a takeover: the other engine runs its work, and what it finishes itself afterwards must count no more. */
async function freezeBesideAnother(): Promise<void> {
  await using server = await startSqld((sqld as { path: string }).path);
  await using log = await floodLog({ seed, url: server.url });
  for (let n = 0; n < 2; n++) await log.start();
  const stoodMs = Math.max(frozenMs, takeoverMsMax);
  const { takenOver, refusedLate } = await freezeBeside(log, log.engines[0]!, stoodMs);
  const report = await log.finish();
  assertEquals([report.anomalies, log.refusals], [[], []]);
  assertEquals(await log.stop(), [0, 0]);
  say(`one of two engines stopped for ${stoodMs} ms`, report);
  console.log(`meanwhile ${takenOver} deliveries were taken over; ${refusedLate} late results were refused`);
}

function sayWithheld(what: string, seen: readonly Withheld[], report?: HistoryReport): void {
  const meanwhile = seen.reduce((sum, { acknowledgedMeanwhile }) => sum + acknowledgedMeanwhile, 0);
  const refused = spread(seen.map(({ refusedAfterMs }) => refusedAfterMs));
  const resumed = spread(seen.map(({ resumedAfterMs }) => resumedAfterMs));
  console.log(
    `${what}: ${seen.length} times; first refusal after ${refused}; ${meanwhile} acknowledged meanwhile; next after ${resumed}`,
  );
  if (report !== undefined) say(what, report);
}

function say(what: string, { acknowledged, events, runs, cutOff, repeated }: HistoryReport): void {
  console.log(
    `${what}: ${acknowledged} acknowledged, ${events} events, ${runs} attempts, ${cutOff} cut off, ` +
      `${repeated} repeated, 0 anomalies`,
  );
}

function spread(took: readonly number[]): string {
  const sorted = took.toSorted((a, b) => a - b).map(Math.round);
  return sorted.length === 0 ? "-" : `median ${sorted[sorted.length >> 1]} ms, most ${sorted.at(-1)} ms`;
}
