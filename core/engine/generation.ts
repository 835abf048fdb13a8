/**
 * One configuration at work: its queues with their numbers in the log and the runners behind them. A reload builds the
 * next generation and swaps it in whole; attempts in flight finish under the one they began with.
 */

import { type Config, type Destination, queueName, type Route, targetName } from "../domain/config.ts";
import type { Handler, Runner, RunnerFactories, RunnerHost } from "../domain/handler.ts";
import type { QueueId, Store } from "../store/store.ts";
import { createInlineRunner } from "./inline.ts";

/** All deliveries of one route and target. */
export interface Queue {
  readonly id: QueueId;
  /** The route, and the target where there is one: `payments`, `mirror/ci`. */
  readonly name: string;
  readonly route: Route;
  readonly destination: Destination;
  readonly runner: Runner;
}

/** A configuration with its queues. */
export interface Generation {
  readonly config: Config;
  readonly queues: ReadonlyMap<QueueId, Queue>;
  /** The queues of one route, one per destination. */
  queuesOf(route: Route): readonly Queue[];
}

/** What a generation is made of. */
export interface GenerationParts {
  readonly store: Pick<Store, "registerQueues">;
  readonly runners: RunnerFactories;
  /** Functions of the embedding program, by route. */
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly host: RunnerHost;
}

/**
 * Builds the generation of a configuration. Runners whose definition did not change are taken over from `previous`, so
 * that a reload does not cost warm processes.
 */
export async function createGeneration(
  config: Config,
  parts: GenerationParts & { previous?: Generation },
): Promise<Generation> {
  const definitions = config.routes.flatMap((route) =>
    route.destinations.map((destination) => ({ route, destination, target: targetName(destination) }))
  );
  const ids = await parts.store.registerQueues(
    definitions.map(({ route, target }) => ({ route: route.name, target })),
  );
  const queues = new Map<QueueId, Queue>();
  const byRoute = new Map<string, Queue[]>();
  definitions.forEach(({ route, destination, target }, at) => {
    const id = ids[at]!;
    const before = parts.previous?.queues.get(id);
    const kept = before !== undefined && isSameWork(before.destination, destination, config, parts.previous!.config);
    const runner = kept ? before.runner : createRunner(route, destination, config, parts);
    const queue = { id, name: queueName(route.name, target), route, destination, runner };
    queues.set(id, queue);
    byRoute.set(route.name, [...(byRoute.get(route.name) ?? []), queue]);
  });
  return { config, queues, queuesOf: (route) => byRoute.get(route.name) ?? [] };
}

/** The runners of `generation` that `next` has no use for; they can be closed once their attempts have ended. */
export function retiredRunners(generation: Generation, next: Generation): Runner[] {
  const kept = new Set([...next.queues.values()].map((queue) => queue.runner));
  return [...generation.queues.values()].map((queue) => queue.runner).filter((runner) => !kept.has(runner));
}

function createRunner(route: Route, destination: Destination, config: Config, parts: GenerationParts): Runner {
  switch (destination.kind) {
    case "script": {
      const env = grantedEnvironment(destination, config);
      return parts.runners.script({ ...destination, route: route.name, env }, parts.host);
    }
    case "target":
      return parts.runners.target({ ...destination, route: route.name }, parts.host);
    case "inline":
      return createInlineRunner(parts.handlers[route.name]!, {
        timeoutMs: destination.timeoutMs,
        clock: parts.host.clock,
      });
  }
}

function grantedEnvironment(destination: Destination, config: Config): Record<string, string> {
  if (destination.kind !== "script") return {};
  return Object.fromEntries(
    destination.permissions.env.flatMap((name) => {
      const value = config.environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function isSameWork(before: Destination, now: Destination, configNow: Config, configBefore: Config): boolean {
  return JSON.stringify([before, grantedEnvironment(before, configBefore)]) ===
    JSON.stringify([now, grantedEnvironment(now, configNow)]);
}
