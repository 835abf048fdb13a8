/**
 * Simulates many seeds: `deno task sim --seeds 100000 [--from N] [--jobs 2]`, or one with its whole timeline:
 * `deno task sim --seed N --trace`. Exits 1 when a seed breaks a promise, or when a long run left a crash point untried.
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TextLineStream } from "./text_lines.ts";
import { addCrashes, type CrashCounts, crashPointNames } from "./crash_points.ts";
import { makeMemoryFolder } from "./memory_folder.ts";
import { type Finding, simulate, type SimulationReport } from "./simulation.ts";

/** From this many seeds on, each crash point must have killed {@link crashesMin} engines. */
const longRunSeeds = 100_000;
const crashesMin = 1_000;

/** Seeds between two reports of a process. */
const reportSeeds = 25;

/** How often progress is printed. */
const progressMs = 15_000;

/** Findings shown of one seed. */
const findingsShown = 5;

/** What a process tells its parent, a line each. */
interface Progress {
  /** The first seed that it has not simulated. */
  readonly next: number;
  readonly seeds: number;
  readonly steps: number;
  readonly runs: number;
  readonly crashes: CrashCounts;
  readonly failed: readonly { readonly seed: number; readonly findings: readonly Finding[] }[];
}

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "0" },
    jobs: { type: "string", default: "2" },
    shard: { type: "string" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const from = Number(values.from);
const seeds = Number(values.seeds);
const jobs = Number(values.jobs);

if (values.seed !== undefined) await simulateOne(Number(values.seed));
else if (values.shard !== undefined) await simulateShard(Number(values.shard));
else await simulateAll();

async function simulateOne(seed: number): Promise<void> {
  await using folder = await makeMemoryFolder();
  const report = await simulate(seed, { folder: folder.path, trace: values.trace ? console.log : undefined });
  console.log(report);
  if (report.findings.length > 0) Deno.exitCode = 1;
}

async function simulateShard(shard: number): Promise<void> {
  await using folder = await makeMemoryFolder();
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
  for (let seed = from + shard; seed < from + seeds; seed += jobs) {
    reports.push(await simulate(seed, { folder: folder.path }));
    if (reports.length === reportSeeds) tell(seed + jobs);
  }
  tell(from + seeds);
}

async function simulateAll(): Promise<void> {
  const begun = performance.now();
  const nexts = Array.from({ length: jobs }, (_, shard) => from + shard);
  const total = { seeds: 0, steps: 0, runs: 0, failed: 0 };
  const crashes: CrashCounts = {};
  const printProgress = (): void => {
    const rate = total.seeds / (performance.now() - begun) * 1_000;
    const next = Math.min(...nexts);
    console.log(
      `${total.seeds} of ${seeds} seeds, ${rate.toFixed(1)}/s, ${total.steps} steps, ${total.runs} runs, ` +
        `${total.failed} failed; to go on later: --from ${next} --seeds ${from + seeds - next}`,
    );
  };
  const timer = setInterval(printProgress, progressMs);
  const codes = await Promise.all(nexts.map(async (_, shard) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", fileURLToPath(import.meta.url), "--shard", String(shard)],
        ...["--from", String(from), "--seeds", String(seeds), "--jobs", String(jobs)],
      ],
      stdout: "piped",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      const progress: Progress = JSON.parse(line);
      nexts[shard] = progress.next;
      total.seeds += progress.seeds;
      total.steps += progress.steps;
      total.runs += progress.runs;
      total.failed += progress.failed.length;
      addCrashes(crashes, progress.crashes);
      for (const { seed, findings } of progress.failed) {
        console.log(`seed ${seed} FAILED (deno task sim --seed ${seed} --trace):`, findings.slice(0, findingsShown));
      }
    }
    return (await child.status).code;
  }));
  clearInterval(timer);
  printProgress();
  for (const point of crashPointNames) console.log(`${String(crashes[point] ?? 0).padStart(9)} deaths: ${point}`);
  const untried = crashPointNames.filter((point) => (crashes[point] ?? 0) < crashesMin);
  const invalid = seeds >= longRunSeeds && untried.length > 0;
  if (invalid) console.log(`not valid: tried fewer than ${crashesMin} times: ${untried.join("; ")}`);
  if (invalid || total.failed > 0 || codes.some((code) => code !== 0)) Deno.exitCode = 1;
}
