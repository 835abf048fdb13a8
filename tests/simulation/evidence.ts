/**
 * Everything that the judges of a finished simulation need, gathered once: the log's diary, what each delivery is, what
 * its route asks for, and what the workshop saw. The judges themselves are pure.
 */

import { queueName, targetName } from "../../core/domain/config.ts";
import type { Policy } from "./swarm.ts";
import type { Entry } from "./journal.ts";
import { readJournal } from "./journal.ts";
import { epochMs, type World } from "./world.ts";
import type { Ran, SimulatedBody } from "./work.ts";

/** What a delivery is, from its making to its end. */
export interface Fact {
  readonly id: string;
  readonly queue: Queue;
  readonly lane: string | null;
  readonly origin: "event" | "redelivery" | "replay";
  /** What the log holds others against, where its route asks for that. */
  readonly version: number | null;
  readonly body: SimulatedBody;
}

/** A queue, and what is asked of it. */
export interface Queue {
  readonly id: number;
  readonly name: string;
  readonly isInline: boolean;
  readonly policy: Policy;
  /** Under the strictest and the most generous configuration. */
  readonly attempts: { readonly min: number; readonly max: number };
  readonly concurrencyMax: number;
  /** It has lanes, so that what has no proper key has to wait for a person. */
  readonly isOrdered: boolean;
  /** The shortest and the longest delay after so many failures. */
  delayMs(failures: number): { readonly min: number; readonly max: number };
}

/** What was seen and what was asked for. */
export interface Evidence {
  readonly entries: readonly Entry[];
  readonly queues: ReadonlyMap<number, Queue>;
  /** By position in the log. */
  readonly facts: ReadonlyMap<number, Fact>;
  /** What ran for a claim; undefined when nothing did. */
  ranFor(delivery: string, n: number): Ran | undefined;
  /** Deliveries that somebody let go on before their time. */
  readonly released: ReadonlySet<string>;
  readonly isShared: boolean;
  /** The wall clock was set, so that times in the log cannot be held against each other. */
  readonly hasJumped: boolean;
  /** Rows were erased on the way. */
  readonly erases: boolean;
  /** Every configuration has every route. */
  readonly isWhole: boolean;
  /** What the clock on the wall said, where it was never set. */
  wallAt(kernelMs: number): number;
}

/** Gathers it from a world in which all is over. */
export async function gatherEvidence(world: World, runs: ReadonlyMap<string, Ran>): Promise<Evidence> {
  const { disk, swarm, released } = world;
  const read = async (sql: string) => (await disk.read({ sql, parameters: [] })).rows;
  const queues = new Map<number, Queue>();
  for (const { id, route, target, inline } of await read("SELECT id, route, target, inline FROM queues")) {
    const name = queueName(String(route), String(target));
    const ruled = describeQueue(world, { route: String(route), target: String(target) });
    if (ruled !== undefined) queues.set(Number(id), { id: Number(id), name, isInline: inline === 1, ...ruled });
  }
  const facts = new Map<number, Fact>();
  const rows = await read(
    `SELECT d.seq, d.id, d.queue, d.lane, d.origin, d.version, coalesce(e.item, CAST(r.raw AS TEXT)) AS body FROM all_deliveries AS d
      JOIN all_events AS e ON e.seq = d.event_seq JOIN all_requests AS r ON r.id = e.request_id`,
  );
  for (const row of rows) {
    const queue = queues.get(Number(row.queue));
    if (queue === undefined) continue;
    const { id, lane, origin, version } = row as unknown as Fact;
    facts.set(Number(row.seq), { id, queue, lane, origin, version, body: JSON.parse(String(row.body)) });
  }
  return {
    entries: await readJournal(disk),
    queues,
    facts,
    ranFor: (delivery, n) => runs.get(`${delivery} ${n}`),
    released,
    isShared: swarm.shared,
    hasJumped: world.jumpedMs > 0,
    erases: swarm.retention !== undefined,
    isWhole: swarm.queues !== undefined,
    wallAt: (kernelMs) => epochMs + kernelMs,
  };
}

type Ruled = Omit<Queue, "id" | "name" | "isInline">;

function describeQueue(
  { configs, swarm }: World,
  { route, target }: { route: string; target: string },
): Ruled | undefined {
  const routes = configs.flatMap((config) => config.routes.filter(({ name }) => name === route));
  const policy = swarm.policies[route];
  if (policy === undefined || routes.length === 0) return undefined;
  const attempts = routes.map(({ retry }) => retry.attempts);
  const slots = routes.flatMap(({ destinations }) =>
    destinations.filter((each) => targetName(each) === target).map(({ concurrency }) => concurrency)
  );
  return {
    policy,
    attempts: { min: Math.min(...attempts), max: Math.max(...attempts) },
    concurrencyMax: Math.max(...slots),
    isOrdered: routes.some(({ orderBy, concurrencyKey }) => orderBy !== undefined || concurrencyKey !== undefined),
    delayMs(failures) {
      const delays = routes.map(({ retry: { scheduleMs, jitter } }) => {
        const ms = scheduleMs[Math.min(failures, scheduleMs.length) - 1] ?? 0;
        return { min: ms, max: Math.ceil(ms * (1 + jitter)) };
      });
      return { min: Math.min(...delays.map(({ min }) => min)), max: Math.max(...delays.map(({ max }) => max)) };
    },
  };
}
