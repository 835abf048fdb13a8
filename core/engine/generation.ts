/**
 * One configuration at work: its queues with their numbers in the log and the runners behind them. A reload builds the
 * next generation and swaps it in whole; attempts in flight finish under the one they began with.
 */

import { type Config, type Destination, queueName, type Route, targetName } from "../domain/config.ts";
import type {
  Handler,
  Permissions,
  Runner,
  RunnerFactories,
  RunnerHost,
  ScriptSpec,
  TargetSpec,
} from "../domain/handler.ts";
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
  /** The routes that take events of a source at all. */
  routesFrom(source: string): readonly Route[];
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
    definitions.map(({ route, target, destination }) => ({
      route: route.name,
      target,
      isInline: destination.kind === "inline",
    })),
  );
  const queues = new Map<QueueId, Queue>();
  const byRoute = new Map<string, Queue[]>();
  definitions.forEach(({ route, destination, target }, at) => {
    const id = ids[at]!;
    const before = parts.previous?.queues.get(id);
    const spec = specOf(route, destination, config);
    const kept = before !== undefined &&
      isSameWork(specOf(before.route, before.destination, parts.previous!.config), spec);
    const runner = kept ? before.runner : createRunner(spec, parts);
    const queue = { id, name: queueName(route.name, target), route, destination, runner };
    queues.set(id, queue);
    byRoute.set(route.name, [...(byRoute.get(route.name) ?? []), queue]);
  });
  const bySource = Map.groupBy(
    config.routes.flatMap((route) => [...new Set(route.from)].map((source) => ({ source, route }))),
    ({ source }) => source,
  );
  const routesFrom = new Map([...bySource].map(([source, found]) => [source, found.map(({ route }) => route)]));
  return {
    config,
    queues,
    routesFrom: (source) => routesFrom.get(source) ?? [],
    queuesOf: (route) => byRoute.get(route.name) ?? [],
  };
}

/** The runners of `generation` that `next` has no use for; they can be closed once their attempts have ended. */
export function retiredRunners(generation: Generation, next: Generation): Runner[] {
  const kept = new Set([...next.queues.values()].map((queue) => queue.runner));
  return [...generation.queues.values()].map((queue) => queue.runner).filter((runner) => !kept.has(runner));
}

/** All that a runner is told; what is counted in the log, limits and rates and breakers, is none of its business. */
type RunnerSpec =
  | { readonly kind: "script"; readonly spec: ScriptSpec }
  | { readonly kind: "target"; readonly spec: TargetSpec }
  | { readonly kind: "inline"; readonly spec: { readonly route: string; readonly timeoutMs: number } };

function specOf(route: Route, destination: Destination, config: Config): RunnerSpec {
  const { timeoutMs } = destination;
  switch (destination.kind) {
    case "script": {
      const { kind, file, permissions } = destination;
      return {
        kind,
        spec: { route: route.name, file, permissions, timeoutMs, env: grantedEnvironment(permissions, config) },
      };
    }
    case "target": {
      const { kind, name, url, secrets, headers } = destination;
      return { kind, spec: { route: route.name, name, url, secrets, headers, timeoutMs } };
    }
    case "inline":
      return { kind: "inline", spec: { route: route.name, timeoutMs } };
  }
}

function createRunner({ kind, spec }: RunnerSpec, { runners, handlers, host }: GenerationParts): Runner {
  switch (kind) {
    case "script":
      return runners.script(spec, host);
    case "target":
      return runners.target(spec, host);
    case "inline":
      return createInlineRunner(handlers[spec.route]!, { timeoutMs: spec.timeoutMs, clock: host.clock });
  }
}

function grantedEnvironment({ env }: Permissions, { environment }: Config): Record<string, string> {
  return Object.fromEntries(
    env.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function isSameWork(before: RunnerSpec, now: RunnerSpec): boolean {
  return JSON.stringify(before) === JSON.stringify(now);
}
