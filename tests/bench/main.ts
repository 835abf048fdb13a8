/**
 * The benchmark: `deno task bench` runs every workload at least nine times in turns and prints a table; `--short` runs
 * each once with few events and fails only when a measurement is broken, never because a machine is slow. Other engines
 * run beside them when they are named with `--peers`.
 */

import { parseArgs } from "node:util";
import { type Figure, type FigureInfo, type Figures, figures } from "./figures.ts";
import { findPeers, peerNames } from "./peers/peers.ts";
import { createRig, type Rig, type Sizes } from "./rig.ts";
import { summarize, type Summary } from "./statistics.ts";
import { type Workload, workloads } from "./workloads.ts";

const usage = `deno task bench [--short] [--pairs N] [--only NAME,NAME] [--peers NAME,NAME] [--json FILE]
workloads: ${Object.keys(workloads).join(", ")}
peers: ${peerNames.join(", ")}; they run after the workloads, so --only yardstick --peers bullmq runs little else`;

/** Fewer measurements than this are shown, but neither given an interval nor held against a bar. */
const pairsMin = 9;

const fullSizes: Sizes = {
  pairs: 9,
  events: 20_000,
  wireEvents: 10_000,
  warmupEvents: 10_000, // as much as the yardstick has behind it: compiling alone costs 13 us an event of the first 20,000
  hotKeyEvents: 3_000,
  latencySeconds: 5,
  idleSeconds: 45, // it takes V8 half a minute of silence to give back what the start has left behind
  backlogRows: 1_000_000,
};

const shortSizes: Sizes = {
  pairs: 1,
  events: 500,
  wireEvents: 500,
  warmupEvents: 100,
  hotKeyEvents: 100,
  latencySeconds: 1,
  idleSeconds: 1,
  backlogRows: 10_000,
};

/** What is run. */
interface Plan {
  readonly sizes: Sizes;
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly jsonFile?: string;
}

function readPlan(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      short: { type: "boolean", default: false },
      pairs: { type: "string" },
      only: { type: "string" },
      peers: { type: "string" },
      json: { type: "string" },
    },
  });
  const sizes = values.short ? shortSizes : fullSizes;
  const pairs = Number(values.pairs ?? sizes.pairs);
  if (!Number.isInteger(pairs) || pairs < 1) {
    throw new RangeError(`--pairs is ${values.pairs}, expected a whole number`);
  }
  const names = values.only?.split(",") ?? Object.keys(workloads);
  const unknown = names.find((name) => !(name in workloads));
  if (unknown !== undefined) throw new RangeError(`there is no workload ${unknown}`);
  const chosen = names.map((name): [string, Workload] => [name, workloads[name]!]);
  const peers = findPeers(values.peers?.split(",") ?? []);
  return { sizes: { ...sizes, pairs }, workloads: new Map([...chosen, ...peers]), jsonFile: values.json };
}

/** Runs the workloads in turns: whatever else the machine does falls on all of them alike. */
async function measure(rig: Rig, chosen: Plan["workloads"]): Promise<Map<Figure, number[]>> {
  const measured = new Map<Figure, number[]>();
  for (let pair = 1; pair <= rig.sizes.pairs; pair++) {
    for (const [name, workload] of chosen) {
      console.error(`pair ${pair} of ${rig.sizes.pairs}: ${name}`);
      const found: Figures = await workload(rig);
      for (const [figure, value] of Object.entries(found) as [Figure, number][]) {
        if (!Number.isFinite(value)) throw new RangeError(`${figure} was measured as ${value}`);
        measured.set(figure, [...(measured.get(figure) ?? []), value]);
      }
    }
  }
  return measured;
}

function printTable(summaries: ReadonlyMap<Figure, Summary>): void {
  console.log(`| figure | median | 90 % interval | bar | |\n|---|---|---|---|---|`);
  for (const [name, { title, unit, bar }] of Object.entries(figures) as [Figure, FigureInfo][]) {
    const summary = summaries.get(name);
    if (summary === undefined) continue;
    const { median, low, high, count } = summary;
    const isJudged = count >= pairsMin;
    const cells = [
      title,
      `${show(median)} ${unit}`,
      isJudged ? `${show(low)} - ${show(high)}` : `${count} measured`,
      bar === undefined ? "" : "atLeast" in bar ? `>= ${bar.atLeast}` : `<= ${bar.atMost}`,
      bar === undefined || !isJudged
        ? ""
        : ("atLeast" in bar ? median >= bar.atLeast : median <= bar.atMost)
        ? "met"
        : "missed",
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function show(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

async function run(plan: Plan): Promise<void> {
  await using rig = await createRig(plan.sizes);
  interruptBySignal(rig);
  const measured = await measure(rig, plan.workloads);
  const summaries = new Map([...measured].map(([figure, values]) => [figure, summarize(values)]));
  printTable(summaries);
  if (plan.jsonFile === undefined) return;
  const report = {
    at: new Date().toISOString(),
    machine: { cpus: navigator.hardwareConcurrency, os: Deno.build.os, arch: Deno.build.arch, deno: Deno.version.deno },
    sizes: plan.sizes,
    figures: Object.fromEntries([...summaries].map(([figure, summary]) => {
      return [figure, { ...figures[figure], ...summary, values: measured.get(figure) }];
    })),
  };
  await Deno.writeTextFile(plan.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
}

/** The first signal ends the measurement and everything that it started; a second one is the system's own. */
function interruptBySignal(rig: Rig): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const interrupt = (): void => {
      Deno.removeSignalListener(signal, interrupt);
      rig.interrupt();
    };
    Deno.addSignalListener(signal, interrupt);
  }
}

/** The plan, or one line that says which flag is wrong or which server is not installed; nothing has started yet. */
function readPlanOrExit(args: string[]): Plan {
  try {
    return readPlan(args);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    Deno.exit(1);
  }
}

if (Deno.args.includes("--help")) console.log(usage);
else await run(readPlanOrExit(Deno.args));
