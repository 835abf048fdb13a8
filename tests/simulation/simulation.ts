/**
 * One seed, from the empty log to the verdict: faults for a while, then quiet, in which everything must end.
 */

import { createHash } from "node:crypto";
import { loadConfig } from "../../core/config/load.ts";
import { type Config, defaultRetention, type Route } from "../../core/domain/config.ts";
import type { Expression } from "../../core/domain/expression.ts";
import { migrate } from "../../core/store/migrations.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { none } from "../../plugins/providers/none.ts";
import { checkHistory } from "../support/check_history.ts";
import { createRandom } from "../support/seeded_random.ts";
import type { CrashCounts } from "./crash_points.ts";
import { checkFinally, checkLaneHeads, isAtRest, readFinally } from "./final_checks.ts";
import { checkDeliveries } from "./check_deliveries.ts";
import { checkQueues } from "./check_queues.ts";
import { keepErased } from "./erased_rows.ts";
import { gatherEvidence } from "./evidence.ts";
import { watchFinished } from "./finished_rows.ts";
import { keepJournal } from "./journal.ts";
import { createKernel } from "./kernel.ts";
import { limitsOf } from "./limits.ts";
import { watchOverdue } from "./overdue.ts";
import type { PlantedBug } from "./planted_bugs.ts";
import { createOperator } from "./operator.ts";
import { createSenders } from "./senders.ts";
import { createMachine } from "./simulated_engine.ts";
import { drawSwarm, lossMs, type Swarm } from "./swarm.ts";
import { createWorkshop, type SimulatedBody, versionScales } from "./work.ts";
import { epochMs, type Finding, type World } from "./world.ts";

export type { Finding };

/** In the quiet, this long without anybody starting work means that nobody ever will. */
const stillMsMax = 600_000;

/** The longest that even the fullest lane of failing work may take. */
const quietMsMax = 3 * 86_400_000;

/** How often it is looked whether all is at rest, and whether the lanes hold. */
const lookMs = 5_000;

/** What came of one seed. */
export interface SimulationReport {
  readonly seed: number;
  readonly findings: readonly Finding[];
  readonly crashes: CrashCounts;
  /** Of everything that happened, in order: the same seed gives the same hash. */
  readonly hash: string;
  readonly steps: number;
  readonly events: number;
  readonly runs: number;
  /** Virtual milliseconds. */
  readonly tookMs: number;
}

/** How to simulate. */
export interface SimulationOptions {
  /** A folder for the log; best in memory. */
  readonly folder: string;
  readonly bug?: PlantedBug;
  /** Hears every line of the timeline. */
  readonly trace?: (line: string) => void;
}

/** Simulates one seed. */
export async function simulate(seed: number, options: SimulationOptions): Promise<SimulationReport> {
  // Each question has a source of its own, so that a change in one does not reshuffle the others.
  const stream = (number: number) => createRandom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b));
  const swarm = drawSwarm(stream(1));
  const path = `${options.folder}/simulated.db`;
  await removeLog(path);
  const disk = openSqlite(path);
  await migrate(disk);
  const erased = await keepErased(disk, swarm.retention ?? defaultRetention);
  await keepJournal(disk);
  const finished = watchFinished(disk);
  const kernel = createKernel(stream(2));
  const hash = createHash("sha256");
  const configs = await loadConfigs(swarm);
  const world: World = {
    swarm,
    kernel,
    chance: stream(3),
    entropy: stream(4),
    disk,
    finished,
    configs,
    config: configs[0]!,
    history: [],
    findings: [],
    crashes: {},
    outside: { name: "outside", alive: true },
    bug: options.bug,
    quiet: false,
    wallOffsetMs: 0,
    jumpedAt: -Infinity,
    jumpedMs: 0,
    paused: new Map(),
    pausedSources: new Set(),
    released: new Set(),
    trace(line) {
      const text = `${String(kernel.now).padStart(9)} ${line}`;
      hash.update(text);
      options.trace?.(text);
    },
  };
  const workshop = createWorkshop(world);
  const machines = Array.from({ length: swarm.engines }, (_, at) => createMachine(world, { name: `e${at}`, workshop }));
  const senders = createSenders(world, machines);
  const operator = createOperator(world, machines);

  const overdue = watchOverdue(world);

  let ended = false;
  let runsSeen = 0;
  let movedAt = 0;
  const judgeErased = () => erased.judge(epochMs + kernel.now + world.wallOffsetMs + 2 * world.jumpedMs);
  function look(): void {
    const stillMs = world.quiet ? kernel.now - movedAt : 0;
    kernel.schedule(world.outside, Math.max(lookMs, stillMs / 10), async () => {
      look();
      world.findings.push(...await checkLaneHeads(disk));
      if (swarm.retention !== undefined) world.findings.push(...await judgeErased());
      if (world.findings.length > 0) ended = true;
      if (!world.quiet) return;
      operator.reloadAll(); // one that was just starting may have begun with an older configuration
      const released = await operator.release();
      const runs = world.history.length;
      if (runs !== runsSeen || released) movedAt = kernel.now;
      const up = machines.every(({ engine }) => engine !== undefined);
      const isHeard = machines.every(({ engine }) => engine !== undefined && engine.silentUntil + lossMs < kernel.now);
      world.findings.push(...await overdue.look(isHeard && runs === runsSeen && !released));
      runsSeen = runs;
      if (up && senders.pending === 0 && await isAtRest(disk)) ended = true;
      if (kernel.now - movedAt > stillMsMax + world.jumpedMs) ended = true;
    });
  }
  look();
  kernel.schedule(world.outside, swarm.faultsMs, () => {
    world.quiet = true;
    world.config = configs[0]!;
    movedAt = kernel.now;
    world.trace("quiet");
  });
  kernel.schedule(world.outside, swarm.faultsMs + lossMs, () => {
    if (swarm.losesOne && machines.length > 1) machines.shift()!.discard();
  });
  while (!ended && kernel.now < swarm.faultsMs + quietMsMax && await kernel.step());

  world.history.push(...await readFinally(disk));
  const verdict = checkHistory(world.history, limitsOf(configs));
  const evidence = await gatherEvidence(world, workshop.ran);
  // What was found on the way ended the simulation, and then much is simply not finished.
  const findings = world.findings.length > 0 ? world.findings : [
    ...verdict.anomalies,
    ...await judgeErased(),
    ...await checkFinally(world, { confirmed: operator.confirmed, outcomes: workshop.outcomes }),
    ...checkDeliveries(evidence),
    ...checkQueues(evidence),
  ];
  await disk.close();
  return {
    seed,
    findings,
    crashes: world.crashes,
    hash: hash.digest("hex"),
    steps: kernel.steps,
    events: verdict.events,
    runs: verdict.runs,
    tookMs: kernel.now,
  };
}

async function loadConfigs(swarm: Swarm): Promise<Config[]> {
  const configs: Config[] = [];
  for (const file of swarm.configs) {
    const inlineHandlers = Object.keys(file.routes ?? {}).filter((name) => name.startsWith("inline"));
    const loaded = await loadConfig(file, { providers: [none], inlineHandlers, environment: {} });
    if (!loaded.ok) {
      throw new TypeError(`the simulation's own configuration is not valid: ${Deno.inspect(loaded.issues)}`);
    }
    configs.push(withPolicies(loaded.config, swarm, versionOn(configs.length % versionScales.length)));
  }
  return configs;
}

/** Adds what the world asks of each route, and a retention shorter than a file may ask for. */
function withPolicies(config: Config, swarm: Swarm, version: Expression): Config {
  const { policies, retention = config.retention } = swarm;
  const routes = config.routes.map((route): Route => {
    const { onExhausted, delayMs, priority, skipsOlder, keyLimit, rateLimit, breaker } = policies[route.name]!;
    const keyed = keyLimit !== undefined && route.orderBy !== undefined;
    return {
      ...route,
      when: isClear,
      onExhausted,
      delayMs,
      priority,
      skipOlder: skipsOlder ? version : undefined,
      orderBy: keyed ? undefined : route.orderBy,
      concurrencyKey: keyed ? { key: route.orderBy!, limit: keyLimit } : undefined,
      destinations: route.destinations.map((destination) => ({ ...destination, rateLimit, breaker })),
    };
  });
  return { ...config, routes, retention };
}

/** What a person has to look at because of it keeps its place in its lane. */
const isClear: Expression = {
  text: "is clear",
  evaluate: ({ body }) =>
    (body as SimulatedBody).vague ? { kind: "error", reason: "simulated: vague" } : { kind: "value", value: true },
};

/** A reload changes what a version is: what was reckoned otherwise says nothing. */
function versionOn(scale: number): Expression {
  const evaluate: Expression["evaluate"] = ({ body }) => {
    return { kind: "value", value: versionScales[scale]!((body as SimulatedBody).version) };
  };
  return { text: `version on scale ${scale}`, evaluate };
}

async function removeLog(path: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm"]) {
    await Deno.remove(path + suffix).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}
