/**
 * What one seed simulates: each seed draws a world of its own (swarm testing), so that features are also tried alone
 * and in odd company instead of always all at once.
 */

import { fileURLToPath } from "node:url";
import type { BreakerPolicy } from "../../core/domain/breaker.ts";
import type { RoutesFile } from "../../core/config/load.ts";
import type { OnExhausted, Retention } from "../../core/domain/config.ts";
import type { Rate } from "../../core/domain/duration.ts";
import type { SeededRandom } from "../support/seeded_random.ts";

/** Any file that exists: the simulation's own runners stand in for the scripts. */
const scriptFile = fileURLToPath(new URL("./swarm.ts", import.meta.url));

/** When in the quiet an engine is lost: all are up again by then. */
export const lossMs = 100_000;

/** One event that a client will send. */
export interface PlannedEvent {
  readonly key: string;
  readonly lane: string;
  /** How many attempts of it fail before one succeeds; Infinity for one that never does. */
  readonly fails: number;
  readonly rejects: boolean;
  /** Its ordering key is no key, so it parks where order is asked for. */
  readonly odd: boolean;
  /** Whether a route takes it cannot be told, so it parks in its place. */
  readonly vague: boolean;
  readonly version: number;
}

/** One request, sent once or several times. */
export interface PlannedRequest {
  /** Each time at which it is sent of the client's own accord. */
  readonly sentAt: readonly number[];
  readonly events: readonly PlannedEvent[];
  /** The first time it goes to the engine that will be lost. */
  readonly toDoomed?: boolean;
}

/** What a route asks for besides what its file says; the same under every configuration of its world. */
export interface Policy {
  readonly onExhausted: OnExhausted;
  readonly delayMs?: number;
  readonly priority?: number;
  readonly skipsOlder: boolean;
  readonly rateLimit?: Rate;
  readonly breaker?: BreakerPolicy;
  /** This many of a key at once, instead of one. */
  readonly keyLimit?: number;
}

/** A world. Chances are per occasion. */
export interface Swarm {
  /** Several engines on one server, or one on its own file. */
  readonly shared: boolean;
  readonly engines: number;
  /** How long faults go on. */
  readonly faultsMs: number;
  readonly crashChance: number;
  readonly busyChance: number;
  readonly unknownChance: number;
  readonly constraintChance: number;
  /** Longest way of a batch to the database, and of its answer back. */
  readonly latencyMsMax: number;
  readonly failChance: number;
  readonly hangChance: number;
  readonly deathChance: number;
  readonly workMsMax: number;
  readonly resendChance: number;
  readonly clockJumps: number;
  readonly reloads: number;
  readonly cancels: number;
  readonly redeliveries: number;
  readonly stops: number;
  /**
   * Deliveries that are skipped or resumed by hand, events that are replayed, queues and sources that are paused for a
   * while, and whatever a filter matches that is cancelled or redelivered in one go.
   */
  readonly interventions: number;
  /** Times at which an engine on a server does not reach it for longer than the others wait. */
  readonly silences: number;
  /** {@link lossMs} into the quiet one of several engines dies for good: the others must do its work. */
  readonly losesOne: boolean;
  readonly requests: readonly PlannedRequest[];
  /** The configurations: the first at the start and again at the end, the others by reload in between. */
  readonly configs: readonly RoutesFile[];
  readonly policies: Readonly<Record<string, Policy>>;
  /** How soon what is done with is erased; without it nothing ever is. */
  readonly retention?: Retention;
  /** Most attempts at once in one engine, where that is few enough to be reached. */
  readonly runningMax?: number;
  /** Fewest operations that are handed to a local file while it still writes others, where so few are reached. */
  readonly aheadMin?: number;
  /** The queues that each event must reach, where no configuration lacks one. */
  readonly queues?: readonly string[];
}

/** Draws the world of a seed. */
export function drawSwarm(random: SeededRandom): Swarm {
  const some = (chance: number, value: () => number): number => random.chance(chance) ? value() : 0;
  const shared = random.chance(0.3);
  const reloads = some(0.4, () => 1 + random.below(3));
  const faultsMs = 10_000 + random.below(110_000);
  const full = drawRoutes(random);
  const losesOne = shared && random.chance(0.4);
  const requests = drawRequests(random, faultsMs);
  // Something for the one that is lost to leave behind: begun, failed once, and not yet due again.
  const leftBehind = { key: "left", lane: "left", fails: 1, rejects: false, odd: false, vague: false, version: 1 };
  if (losesOne) requests.push({ sentAt: [faultsMs + lossMs - 300], events: [leftBehind], toDoomed: true });
  const lacking = reloads > 0 && Object.keys(full).length > 1 && random.chance(0.3);
  const configs = [full, ...Array.from({ length: reloads }, () => varyRoutes(full, { random, lacking }))];
  return {
    shared,
    engines: shared ? 1 + random.below(3) : 1,
    faultsMs,
    crashChance: some(0.8, () => 0.002 + 0.03 * random.next()),
    busyChance: some(0.4, () => 0.1 * random.next()),
    unknownChance: some(0.4, () => 0.05 * random.next()),
    constraintChance: some(0.2, () => 0.05 * random.next()),
    latencyMsMax: random.below(4) === 0 ? 0 : 1 + random.below(30),
    failChance: some(0.6, () => 0.4 * random.next()),
    hangChance: some(0.2, () => 0.1 * random.next()),
    deathChance: some(0.3, () => 0.1 * random.next()),
    workMsMax: [0, 20, 500, 8_000][random.below(4)]!,
    resendChance: random.next(),
    clockJumps: some(0.3, () => 1 + random.below(3)),
    reloads,
    cancels: some(0.5, () => 1 + random.below(6)),
    redeliveries: some(0.5, () => 1 + random.below(6)),
    stops: some(0.3, () => 1 + random.below(2)),
    interventions: some(0.5, () => 1 + random.below(12)),
    silences: shared ? some(0.7, () => 1 + random.below(2)) : 0,
    losesOne,
    requests,
    configs: configs.map((routes) => toFile(routes)),
    policies: Object.fromEntries(Object.keys(full).map((name) => [name, drawPolicy(random)])),
    retention: random.chance(0.3) ? drawRetention(random) : undefined,
    queues: lacking ? undefined : queueNames(full),
    runningMax: random.chance(0.3) ? 1 + random.below(6) : undefined,
    aheadMin: random.chance(0.7) ? 1 + random.below(4) : undefined,
  };
}

/** Soon enough that something is erased while faults go on. Keys outlive everything: a late repeat must not run. */
function drawRetention(random: SeededRandom): Retention {
  const soon = (): number => 1_000 + random.below(40_000);
  return { eventsMs: soon(), attemptsMs: soon(), deadMs: soon(), idempotencyMs: 6 * 86_400_000 };
}

type Routes = NonNullable<RoutesFile["routes"]>;

function drawRoutes(random: SeededRandom): Routes {
  const routes: Routes = {};
  const count = 1 + random.below(3);
  for (let at = 0; at < count; at++) {
    const kind = random.below(3);
    const rest = {
      from: ["app", "batch"],
      ...(random.chance(0.8) ? { order_by: "body.key" } : {}),
      retry: {
        attempts: 1 + random.below(5),
        schedule: Array.from({ length: 1 + random.below(3) }, () => `${1 + random.below(20)}s`),
        jitter: random.below(2) * 0.5,
      },
    };
    const limits = { timeout: `${3 + random.below(20)}s`, concurrency: 1 + random.below(8) };
    if (kind === 0) routes[`inline${at}`] = { ...rest, ...limits };
    else if (kind === 1) routes[`script${at}`] = { ...rest, ...limits, handler: scriptFile };
    else {
      const send = Array.from({ length: 1 + random.below(3) }, (_, n) => ({
        name: `t${n}`,
        url: `https://t${n}.example.com/`,
        ...limits,
      }));
      routes[`send${at}`] = { ...rest, send };
    }
  }
  return routes;
}

function drawPolicy(random: SeededRandom): Policy {
  const plain = random.chance(0.4);
  const maybe = <Value>(chance: number, value: () => Value): Value | undefined =>
    !plain && random.chance(chance) ? value() : undefined;
  return {
    onExhausted: maybe(0.4, () => random.chance(0.6) ? "park" : "halt") ?? "dead",
    delayMs: maybe(0.2, () => random.below(20_000)),
    priority: maybe(0.3, () => random.below(3) - 1),
    skipsOlder: maybe(0.2, () => true) ?? false,
    rateLimit: maybe(0.2, () => ({ count: 1 + random.below(10), perMs: 1_000 * (1 + random.below(10)) })),
    breaker: maybe(0.3, () => ({ failures: 1 + random.below(4), openMs: 5_000, openMsMax: 40_000 })),
    keyLimit: maybe(0.15, () => 1 + random.below(3)),
  };
}

/** Other limits and policies for the same queues; where `lacking`, also without one of the routes. */
function varyRoutes(full: Routes, options: { random: SeededRandom; lacking: boolean }): Routes {
  const { random, lacking } = options;
  const names = Object.keys(full);
  const gone = lacking ? names[random.below(names.length)] : undefined;
  return Object.fromEntries(
    names.filter((name) => name !== gone).map((name) => {
      const route = full[name]!;
      const concurrency = 1 + random.below(8);
      const retry = { ...route.retry, attempts: 1 + random.below(5) };
      return [
        name,
        route.send === undefined
          ? { ...route, concurrency, retry }
          : { ...route, retry, send: route.send.map((target) => ({ ...target, concurrency })) },
      ];
    }),
  );
}

function toFile(routes: Routes): RoutesFile {
  const source = { provider: "none", id: "body.id" };
  return {
    version: 1,
    storage: { url: "file:simulated.db" },
    retention: { idempotency: "6d" },
    sources: { app: source, batch: { ...source, split: "body.items" } },
    routes,
  };
}

function queueNames(routes: Routes): string[] {
  return Object.entries(routes).flatMap(([name, route]) =>
    route.send?.map((target) => `${name}/${target.name}`) ?? [name]
  );
}

function drawOddity(random: SeededRandom): Pick<PlannedEvent, "odd" | "vague"> {
  const drawn = random.next();
  return { odd: drawn < 0.02, vague: drawn > 0.98 };
}

function drawRequests(random: SeededRandom, faultsMs: number): PlannedRequest[] {
  const lanes = 1 + random.below(random.chance(0.7) ? 4 : 50);
  const count = 3 + random.below(20);
  const failing = random.next() * 0.6;
  const repeats = random.next() * 0.6;
  const bursts = random.chance(0.5);
  let made = 0;
  const event = (): PlannedEvent => ({
    key: `key${++made}`,
    lane: `lane${random.below(lanes)}`,
    fails: random.chance(failing) ? (random.chance(0.3) ? Infinity : 1 + random.below(3)) : 0,
    rejects: random.chance(0.03),
    ...drawOddity(random),
    version: random.below(20),
  });
  return Array.from({ length: count }, () => {
    const events = Array.from({ length: random.chance(0.2) ? 2 + random.below(3) : 1 }, event);
    const at = bursts ? random.below(4) * (faultsMs / 4) + random.below(20) : random.below(faultsMs);
    const sentAt = [Math.floor(at)];
    while (random.chance(repeats) && sentAt.length < 4) {
      sentAt.push(Math.floor(at) + random.below(random.chance(0.5) ? 30 : 20_000));
    }
    return { sentAt, events };
  });
}
