/**
 * The benchmark: `deno task bench` runs every workload at least nine times in turns and prints a table; `--short` runs
 * each once with few events and fails only when a measurement is broken, never because a machine is slow.
 */

import { parseArgs } from "node:util";
import { type Figure, type FigureInfo, type Figures, figures } from "./figures.ts";
import { createRig, type Rig, type Sizes } from "./rig.ts";
import { summarize, type Summary } from "./statistics.ts";
import { workloads } from "./workloads.ts";

const usage = `deno task bench [--short] [--pairs N] [--only NAME,NAME] [--json FILE]
workloads: ${Object.keys(workloads).join(", ")}`;

/** Fewer measurements than this are shown, but neither given an interval nor held against a bar. */
const pairsMin = 9;

const fullSizes: Sizes = {
  pairs: 9,
  events: 20_000,
  wireEvents: 10_000,
  warmupEvents: 3_000,
  hotKeyEvents: 3_000,
  latencySeconds: 5,
  backlogRows: 1_000_000,
};

const shortSizes: Sizes = {
  pairs: 1,
  events: 500,
  wireEvents: 500,
  warmupEvents: 100,
  hotKeyEvents: 100,
  latencySeconds: 1,
  backlogRows: 10_000,
};

/** What is run. */
interface Plan {
  readonly sizes: Sizes;
  readonly names: readonly string[];
  readonly jsonFile?: string;
}

function readPlan(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      short: { type: "boolean", default: false },
      pairs: { type: "string" },
      only: { type: "string" },
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
  return { sizes: { ...sizes, pairs }, names, jsonFile: values.json };
}

/** Runs the workloads in turns: whatever else the machine does falls on all of them alike. */
async function measure(rig: Rig, names: readonly string[]): Promise<Map<Figure, number[]>> {
  const measured = new Map<Figure, number[]>();
  for (let pair = 1; pair <= rig.sizes.pairs; pair++) {
    for (const name of names) {
      console.error(`pair ${pair} of ${rig.sizes.pairs}: ${name}`);
      const found: Figures = await workloads[name]!(rig);
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
  const measured = await measure(rig, plan.names);
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

if (Deno.args.includes("--help")) console.log(usage);
else await run(readPlan(Deno.args));
