/**
 * What everything in one simulation shares: time, chance, the disk that outlives every engine, and what was seen.
 */

import type { Config } from "../../core/domain/config.ts";
import type { Database } from "../../core/store/database.ts";
import type { HistoryRecord } from "../support/history.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { type CrashCounts, type CrashPoint, seldomReached } from "./crash_points.ts";
import type { FinishedRows } from "./finished_rows.ts";
import type { Kernel, Life } from "./kernel.ts";
import type { PlantedBug } from "./planted_bugs.ts";
import type { Swarm } from "./swarm.ts";

/** Wall time at which every simulation begins. */
export const epochMs = 1_750_000_000_000;

/** One broken promise, in the words of the history checker or of the simulation's own checks. */
export interface Finding {
  readonly name: string;
  readonly subject: string;
  readonly detail: string;
}

/** One start of an engine; its own generation of everything in memory. */
export interface EngineLife extends Life {
  /** Names it in the history. A silence gives it a new one: what ran before may be repeated by others. */
  label: string;
  /** Until then nothing of it reaches the database. */
  silentUntil: number;
  /** Its log's file has failed: it will end soon. */
  failed: boolean;
  /** What it has claimed as having taken an engine down before. */
  readonly suspects: Set<string>;
  /** Of each delivery that it has claimed, which claim that was. */
  readonly claims: Map<string, number>;
  /** Others may have taken it for dead while it lives. */
  beGivenUp(): void;
  /** Ends it at once and for good. */
  die(why: string): void;
}

/** One simulation. */
export interface World {
  readonly swarm: Swarm;
  readonly kernel: Kernel;
  /** Decides what goes wrong. */
  readonly chance: SeededRandom;
  /** Makes ids, tokens and jitter. */
  readonly entropy: SeededRandom;
  /** The database that survives. */
  readonly disk: Database;
  /** What it has called finished. */
  readonly finished: FinishedRows;
  readonly configs: readonly Config[];
  readonly history: HistoryRecord[];
  readonly findings: Finding[];
  readonly crashes: CrashCounts;
  /** Clients, operators and the network: what outlives engines. */
  readonly outside: Life;
  readonly bug?: PlantedBug;
  /** The configuration on the operator's desk. */
  config: Config;
  /** Faults are over. */
  quiet: boolean;
  wallOffsetMs: number;
  /** When the wall clock was last set. */
  jumpedAt: number;
  /** By how much in all, in either direction. */
  jumpedMs: number;
  /** Queues that are paused for certain, and since when. */
  readonly paused: Map<string, number>;
  /** Sources that are paused for certain. */
  readonly pausedSources: Set<string>;
  /** Deliveries that somebody let go on before their time. */
  readonly released: Set<string>;
  trace(line: string): void;
}

/** A fault that happens with this probability while faults go on. */
export function goesWrong(world: World, probability: number): boolean {
  return !world.quiet && probability > 0 && world.chance.chance(probability);
}

/** Comes by a place where an engine may die. True when it is dead now: whoever asked must not go on. */
export function reach(world: World, engine: EngineLife, point: CrashPoint): boolean {
  if (!engine.alive) return true;
  const { crashChance } = world.swarm;
  if (!goesWrong(world, seldomReached.has(point) ? Math.min(0.3, crashChance * 8) : crashChance)) return false;
  world.crashes[point] = (world.crashes[point] ?? 0) + 1;
  engine.die(point);
  return true;
}

/** A promise that nothing settles: where the continuation of a dead engine ends. */
export function never<Value>(): Promise<Value> {
  return new Promise(() => {});
}
