/**
 * Many seeds in several sittings: what has been simulated, how often each place killed an engine, and which seeds broke
 * a promise, kept in a file between the sittings. All of them count as one run only if they are of one program.
 */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { addCrashes, type CrashCounts, type CrashPoint, crashPointNames } from "./crash_points.ts";
import type { Finding } from "./simulation.ts";

/** From this many seeds on, each crash point must have killed {@link crashesMin} engines. */
const longRunSeeds = 100_000;
export const crashesMin = 1_000;

/** Findings kept of one seed. */
const findingsKept = 5;

/** Everything that decides what a seed does and how it is judged. */
const programParts = ["core", "plugins", "tests/simulation", "tests/support", "deno.json", "deno.lock"];
const root = new URL("../../", import.meta.url);

/** What is to be simulated: seeds from `from` on, dealt out to so many processes. */
export interface RunPlan {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
}

/** What a process tells its parent, a line each. */
export interface Progress {
  /** The first seed that it has not simulated. */
  readonly next: number;
  readonly seeds: number;
  readonly steps: number;
  readonly runs: number;
  readonly crashes: CrashCounts;
  readonly failed: readonly FailedSeed[];
}

/** A seed that broke a promise. */
export interface FailedSeed {
  readonly seed: number;
  readonly findings: readonly Finding[];
}

/** What has come of it until now. */
export interface LongRun {
  /** {@link hashProgram} of what runs. */
  readonly program: string;
  readonly plan: RunPlan;
  /** For each process the first seed that it has not simulated. */
  readonly nexts: number[];
  readonly crashes: CrashCounts;
  readonly failed: FailedSeed[];
  seeds: number;
  steps: number;
  runs: number;
  sittings: number;
}

/** Begins a run. */
export function beginRun(plan: RunPlan, program: string): LongRun {
  const nexts = Array.from({ length: plan.jobs }, (_, shard) => plan.from + shard);
  return { program, plan, nexts, crashes: {}, failed: [], seeds: 0, steps: 0, runs: 0, sittings: 0 };
}

/** Adds what process `shard` has told. */
export function addProgress(run: LongRun, shard: number, progress: Progress): void {
  run.nexts[shard] = progress.next;
  run.seeds += progress.seeds;
  run.steps += progress.steps;
  run.runs += progress.runs;
  addCrashes(run.crashes, progress.crashes);
  for (const { seed, findings } of progress.failed) {
    run.failed.push({ seed, findings: findings.slice(0, findingsKept) });
  }
}

/** What the run came to, over all sittings. */
export interface Judgement {
  /** Every seed of the plan has been simulated. */
  readonly finished: boolean;
  /** Places that killed too few engines for a run of this length. */
  readonly untried: readonly CrashPoint[];
  /** Finished, nothing broken and every place tried. */
  readonly sound: boolean;
}

/** Judges a run. */
export function judgeRun({ plan, seeds, crashes, failed }: LongRun): Judgement {
  const finished = seeds === plan.seeds;
  const untried = plan.seeds < longRunSeeds
    ? []
    : crashPointNames.filter((point) => (crashes[point] ?? 0) < crashesMin);
  return { finished, untried, sound: finished && untried.length === 0 && failed.length === 0 };
}

/**
 * Goes on with the run in a file, or begins one.
 *
 * @throws RangeError when the file is of another program or of another plan
 */
export async function resumeRun(file: string, plan: RunPlan, program: string): Promise<LongRun> {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return beginRun(plan, program);
    throw error;
  }
  const run: LongRun = JSON.parse(text);
  const mend = "go on as it was begun, or begin anew with another file";
  if (run.program !== program) {
    throw new RangeError(
      `${file} is a run of another program (${run.program.slice(0, 12)}, this is ${program.slice(0, 12)}); ${mend}`,
    );
  }
  const words = ({ from, seeds, jobs }: RunPlan) => `--from ${from} --seeds ${seeds} --jobs ${jobs}`;
  if (words(run.plan) !== words(plan)) {
    throw new RangeError(`${file} was begun with ${words(run.plan)}, not with ${words(plan)}; ${mend}`);
  }
  return run;
}

/** Keeps a run in a file. A death at any moment leaves the old one or the new one; what came after it is simulated again. */
export async function saveRun(file: string, run: LongRun): Promise<void> {
  await Deno.writeTextFile(`${file}.new`, `${JSON.stringify(run)}\n`);
  await Deno.rename(`${file}.new`, file);
}

/** Names the program: the same hash means the same seeds with the same outcome. */
export async function hashProgram(): Promise<string> {
  const hash = createHash("sha256").update(Deno.version.deno);
  for (const part of programParts) await hashPath(new URL(part, root));

  async function hashPath(path: URL): Promise<void> {
    if ((await Deno.stat(path)).isFile) {
      hash.update(`\0${fileURLToPath(path).slice(fileURLToPath(root).length)}\0`).update(await Deno.readFile(path));
      return;
    }
    const names: string[] = [];
    for await (const { name } of Deno.readDir(path)) names.push(name);
    for (const name of names.sort()) await hashPath(new URL(`${path.href}/${encodeURIComponent(name)}`));
  }
  return hash.digest("hex");
}
