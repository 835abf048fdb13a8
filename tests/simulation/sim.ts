/**
 * Simulates many seeds: `deno task sim --seeds 100000 [--from N] [--jobs 2]`, or one with its whole timeline:
 * `deno task sim --seed N --trace`. Exits 1 when a seed breaks a promise, or when a long run left a crash point untried.
 *
 * `--state FILE` keeps what has been done, and the same command goes on with it: all sittings are judged as one run, of
 * one program. `--minutes N` ends a sitting; one after which seeds are left exits with 3.
 */

import { fileURLToPath } from "node:url";
import { amount, flag, refuse, soakOptions, text, whole } from "../support/soak_options.ts";
import { TextLineStream } from "./text_lines.ts";
import { addCrashes, type CrashCounts, crashPointNames } from "./crash_points.ts";
import {
  addProgress,
  beginRun,
  crashesMin,
  hashProgram,
  judgeRun,
  type LongRun,
  type Progress,
  resumeRun,
  saveRun,
} from "./long_run.ts";
import { makeMemoryFolder } from "./memory_folder.ts";
import { simulate, type SimulationReport } from "./simulation.ts";

/** Seeds between two reports of a process. */
const reportSeeds = 25;

/** How often progress is printed. */
const progressMs = 15_000;

/** Exit code of a sitting after which seeds are left. */
const unfinished = 3;

const values = soakOptions({
  seeds: whole(1_000),
  from: whole(0, { least: 0 }),
  jobs: whole(2),
  state: text(undefined),
  minutes: amount(Infinity),
  /** For a process that this one starts: its first seed, of which it takes every `jobs`th. */
  shard: whole(undefined, { least: 0 }),
  seed: whole(undefined, { least: 0 }),
  trace: flag,
});
const { from, seeds, jobs } = values;
if (values.trace && values.seed === undefined) refuse("--trace is for one --seed");
if (values.seed !== undefined && values.state !== undefined) refuse("--state is for many seeds");
if (values.minutes !== Infinity && values.state === undefined) refuse("--minutes needs a --state to go on from");

if (values.seed !== undefined) await simulateOne(values.seed);
else if (values.shard !== undefined) await simulateShard(values.shard);
else Deno.exitCode = await simulateAll(values.state);

async function simulateOne(seed: number): Promise<void> {
  await using folder = await makeMemoryFolder();
  const report = await simulate(seed, { folder: folder.path, trace: values.trace ? console.log : undefined });
  console.log(report);
  if (report.findings.length > 0) Deno.exitCode = 1;
}

/** Simulates one of the jobs' share of the seeds. */
async function simulateShard(first: number): Promise<void> {
  await using folder = await makeMemoryFolder();
  let isOver = false;
  const end = (): void => void (isOver = true);
  Deno.addSignalListener("SIGTERM", end);
  let reports: SimulationReport[] = [];
  const tell = (next: number): void => {
    const crashes: CrashCounts = {};
    for (const report of reports) addCrashes(crashes, report.crashes);
    const progress: Progress = {
      next,
      seeds: reports.length,
      steps: reports.reduce((sum, { steps }) => sum + steps, 0),
      runs: reports.reduce((sum, { runs }) => sum + runs, 0),
      crashes,
      failed: reports.filter(({ findings }) => findings.length > 0).map(({ seed, findings }) => ({ seed, findings })),
    };
    console.log(JSON.stringify(progress));
    reports = [];
  };
  let seed = first;
  for (; seed < from + seeds && !isOver; seed += jobs) {
    reports.push(await simulate(seed, { folder: folder.path }));
    if (reports.length === reportSeeds) tell(seed + jobs);
  }
  tell(seed);
  Deno.removeSignalListener("SIGTERM", end);
}

/** Returns the exit code. */
async function simulateAll(state: string | undefined): Promise<number> {
  const program = await hashProgram();
  const plan = { from, seeds, jobs };
  using _lock = state === undefined ? undefined : await lock(`${state}.lock`);
  const run = state === undefined
    ? beginRun(plan, program)
    : await resumeRun(state, plan, program).catch((error) => refuse(error.message));
  run.sittings++;
  for (const { seed, findings } of run.failed) sayFailed(seed, findings);
  const codes = await sit(run, state);
  return conclude(run, { state, died: codes.some((code) => code !== 0) });
}

/** Simulates what is left of a run, until the sitting is over. Returns the exit codes of the processes that ended by themselves. */
async function sit(run: LongRun, state: string | undefined): Promise<number[]> {
  const begunAt = performance.now();
  const seedsBefore = run.seeds;
  const printProgress = (): void => {
    const rate = (run.seeds - seedsBefore) / (performance.now() - begunAt) * 1_000;
    console.log(
      `${run.seeds} of ${seeds} seeds, ${rate.toFixed(1)}/s, ${run.steps} steps, ${run.runs} runs, ` +
        `${run.failed.length} failed`,
    );
  };
  const timer = setInterval(printProgress, progressMs);
  const children = new Set<Deno.ChildProcess>();
  let isOver = false;
  const end = values.minutes === Infinity ? undefined : setTimeout(() => {
    isOver = true;
    for (const child of children) child.kill("SIGTERM");
  }, values.minutes * 60_000);
  let saving = Promise.resolve();
  const codes = await Promise.all(run.nexts.map(async (next, shard) => {
    if (next >= from + seeds) return 0;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", fileURLToPath(import.meta.url), "--shard", String(next)],
        ...["--from", String(from), "--seeds", String(seeds), "--jobs", String(jobs)],
      ],
      stdout: "piped",
    }).spawn();
    children.add(child);
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      const progress: Progress = JSON.parse(line);
      addProgress(run, shard, progress);
      for (const { seed, findings } of progress.failed) sayFailed(seed, findings);
      if (state !== undefined) saving = saving.then(() => saveRun(state, run));
    }
    const { code } = await child.status;
    children.delete(child);
    return isOver ? 0 : code;
  }));
  clearInterval(timer);
  clearTimeout(end);
  await saving;
  if (state !== undefined) await saveRun(state, run);
  printProgress();
  return codes;
}

function conclude(run: LongRun, { state, died }: { state: string | undefined; died: boolean }): number {
  const { finished, untried, sound } = judgeRun(run);
  for (const point of crashPointNames) console.log(`${String(run.crashes[point] ?? 0).padStart(9)} deaths: ${point}`);
  const left = run.nexts.map((next, shard) => `${next} (${shard})`).join(", ");
  if (died) console.log("a process that simulates has died: what it had not reported is not counted");
  if (!finished) {
    const how = state === undefined ? "" : "; the same command goes on with it";
    console.log(`not finished: ${run.seeds} of ${seeds} seeds, next ones ${left}${how}`);
  } else if (untried.length > 0) {
    console.log(`not valid: tried fewer than ${crashesMin} times: ${untried.join("; ")}`);
  }
  if (state !== undefined) console.log(`${run.sittings} sittings of program ${run.program.slice(0, 12)}`);
  if (sound && !died) return 0;
  return !finished && !died && run.failed.length === 0 ? unfinished : 1;
}

function sayFailed(seed: number, findings: readonly unknown[]): void {
  console.log(`seed ${seed} FAILED (deno task sim --seed ${seed} --trace):`, findings);
}

/** Two processes on one state would count seeds twice. */
async function lock(path: string): Promise<Disposable> {
  const file = await Deno.open(path, { write: true, create: true });
  if (!await file.tryLock(true)) refuse(`another process works on this state (${path})`);
  return file;
}
