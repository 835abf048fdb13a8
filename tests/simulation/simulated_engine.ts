/**
 * One engine of a simulation, from a start through any number of deaths to the next: the real store, generation,
 * scheduler and intake, wired the way `core/weir.ts` wires them, between a virtual clock and a faulty database.
 */

import type { Clock } from "../../core/domain/clock.ts";
import type { HttpSource } from "../../core/domain/config.ts";
import { countDeath, isSuspect } from "../../core/domain/delivery.ts";
import { makeId } from "../../core/domain/id.ts";
import { createGeneration, type Generation, retiredRunners } from "../../core/engine/generation.ts";
import { createIntake, type Intake, type SourceAtWork } from "../../core/engine/intake.ts";
import { createJanitor } from "../../core/engine/janitor.ts";
import type { Observer } from "../../core/engine/observer.ts";
import { createScheduler, type Scheduler } from "../../core/engine/scheduler.ts";
import { createSourcePauses, type SourcePauses } from "../../core/engine/source_pauses.ts";
import type { IdMaker } from "../../core/engine/system_clock.ts";
import { ownLog, shareLog } from "../../core/store/open.ts";
import type { Store } from "../../core/store/store.ts";
import { watchShares } from "./check_shares.ts";
import { createFaultyDatabase } from "./faulty_database.ts";
import type { Workshop } from "./work.ts";
import { type EngineLife, epochMs, never, reach, type World } from "./world.ts";

/** As in `core/weir.ts`. */
const beatMs = 5_000;

/** Without an answer to a beat for so long, others may take an engine for dead before its next one. */
const unheardMs = 2 * beatMs;

/** How long a simulated stop may take. */
const stopGraceMs = 25_000;

/** An engine that takes requests. */
export interface RunningEngine extends EngineLife {
  readonly store: Store;
  readonly intake: Intake;
  readonly pauses: SourcePauses;
  readonly wake: () => void;
  readonly generation: () => Generation;
  /** Calls back once when it dies. */
  onDeath(tell: () => void): void;
  /** Takes the configuration that the operator has put there. */
  reload(): Promise<void>;
  /** Ends it the way a signal does; it comes back. */
  stop(): Promise<void>;
}

/** A machine that starts its engine again whenever it has died. */
export interface Machine {
  /** The engine while it takes requests. */
  readonly engine: RunningEngine | undefined;
  /** Cuts it from the server for `ms`. */
  silence(ms: number): void;
  /** Switches it off for good. */
  discard(): void;
}

/** Some engine that is up, if any is. */
export function pickEngine(world: World, machines: readonly Machine[]): RunningEngine | undefined {
  const up = machines.flatMap(({ engine }) => engine === undefined ? [] : [engine]);
  return up[world.chance.below(up.length)];
}

/** Makes ids as the engine's own are made, from the seed. */
export function createSeededIds(world: World): IdMaker {
  return (prefix) => {
    const entropy = Uint8Array.from({ length: 10 }, () => world.entropy.below(256));
    return makeId(prefix, { now: epochMs + world.kernel.now, entropy });
  };
}

/** Makes a machine and switches it on. */
export function createMachine(world: World, options: { name: string; workshop: Workshop }): Machine {
  const { kernel, history, chance } = world;
  let starts = 0;
  let running: RunningEngine | undefined;
  let life: EngineLife | undefined;
  let discarded = false;

  function start(): void {
    if (discarded) return;
    const label = `${options.name}.${++starts}`;
    const mourners: (() => void)[] = [];
    const own: EngineLife = {
      name: label,
      label,
      alive: true,
      silentUntil: 0,
      failed: false,
      suspects: new Set(),
      claims: new Map(),
      beGivenUp() {
        // Others may take its work over: what it began so far is beyond recall, as after a death.
        history.push({ kind: "crash", boot: own.label, atMs: kernel.now });
        own.label += "~";
      },
      die(why) {
        if (!own.alive) return;
        own.alive = false;
        running = undefined;
        history.push({ kind: "crash", boot: own.label, atMs: kernel.now });
        world.trace(`${own.label} dies: ${why}`);
        for (const tell of mourners) tell();
        if (!discarded) kernel.schedule(world.outside, 1 + chance.below(world.quiet ? 100 : 3_000), start);
      },
    };
    life = own;
    world.trace(`${label} starts`);
    run(world, { engine: own, workshop: options.workshop, onDeath: (tell) => mourners.push(tell) }).then(
      (started) => running = started,
      (error) => own.die(`cannot start: ${(error as Error).message}`),
    );
  }

  start();
  return {
    discard() {
      discarded = true;
      life?.die("for good");
    },
    get engine() {
      return running;
    },
    silence(ms) {
      if (life === undefined || !life.alive) return;
      world.trace(`${life.label} falls silent for ${ms} ms`);
      life.beGivenUp();
      life.silentUntil = kernel.now + ms;
    },
  };
}

async function run(
  world: World,
  parts: { engine: EngineLife; workshop: Workshop; onDeath: (tell: () => void) => void },
): Promise<RunningEngine> {
  const { kernel, bug } = world;
  const { engine, workshop } = parts;
  const born = kernel.now;
  const clock: Clock = {
    now: () => epochMs + kernel.now + world.wallOffsetMs,
    monotonic: () => kernel.now - born,
    timer: (delayMs, wake) => kernel.schedule(engine, delayMs, wake),
  };
  const random = (): number => world.entropy.next();
  const makeEngineId = createSeededIds(world);
  const observe: Observer = (observation) => {
    if (observation.kind === "engine") world.trace(`${engine.label} says: ${observation.message}`);
    if (observation.kind === "lease.lost") world.trace(`${engine.label} lost the lease of ${observation.deliveryId}`);
  };

  const plain = createFaultyDatabase(world, engine);
  const database = bug?.database?.(plain) ?? plain;
  const open = world.swarm.shared ? shareLog : ownLog;
  const opened = await open(database, {
    boot: engine.name,
    now: clock.now(),
    judgeLost: (delivery, name) => {
      const route = world.config.routes.find((each) => each.name === name);
      return countDeath(delivery, route, { now: clock.now(), random: random() });
    },
    idempotencyMs: () => generation.config.retention.idempotencyMs,
    aheadMin: world.swarm.aheadMin,
    defer: (drain) => void kernel.schedule(engine, 0, drain),
  });
  const watched = watchShares(opened, {
    describe(id) {
      const { name, route } = generation.queues.get(id)!;
      return { queue: name, priority: world.swarm.policies[route.name]!.priority ?? 0 };
    },
    report: (findings) => world.findings.push(...findings),
  });
  const planted = bug?.store?.(watched, { database, random }) ?? watched;
  const store: Store = {
    ...planted,
    async claim(...asked) {
      const claim = await planted.claim(...asked);
      for (const delivery of claim.deliveries) {
        engine.claims.set(delivery.id, delivery.executions);
        if (isSuspect(delivery)) engine.suspects.add(delivery.id);
        else engine.suspects.delete(delivery.id);
      }
      return claim;
    },
  };
  const generationParts = {
    store,
    runners: {
      script: (spec: { route: string; timeoutMs: number }) => workshop.runner(engine, spec),
      target: (spec: { route: string; name: string; timeoutMs: number }) =>
        workshop.runner(engine, { ...spec, target: spec.name }),
    },
    handlers: Object.fromEntries(world.configs[0]!.routes.map(({ name }) => [name, workshop.handler(engine, name)])),
    host: { clock },
  };
  let generation: Generation = await createGeneration(world.config, generationParts);
  const scheduler: Scheduler = createScheduler({
    store,
    generation: () => generation,
    clock,
    random,
    runningMax: world.swarm.runningMax,
    makeToken: () => `${engine.name}-${world.entropy.below(2 ** 30)}-${world.entropy.below(2 ** 30)}`,
    observe,
  });
  const wake = bug?.wake === undefined ? scheduler.wake : bug.wake(scheduler.wake, random);
  const intake = createIntake({ store, generation: () => generation, clock, makeId: makeEngineId, observe, wake });
  const pauses = createSourcePauses(store);
  const janitor = createJanitor({ store, retention: () => generation.config.retention, clock, observe });
  await store.ping();
  await pauses.load();
  if (world.swarm.retention !== undefined) janitor.start();
  scheduler.start();
  beat();

  let beatAt = kernel.now;

  function beat(): void {
    clock.timer(beatMs, async () => {
      try {
        const taken = await store.beat({ now: clock.now(), monotonic: clock.monotonic() });
        beatAt = kernel.now;
        if (taken > 0 || (world.swarm.shared && !bug?.beatsOnly)) wake();
        await pauses.load();
      } catch (error) {
        world.trace(`${engine.label} cannot beat: ${(error as Error).message}`);
        if (kernel.now - beatAt > unheardMs) engine.beGivenUp();
      }
      beat();
    });
  }

  return Object.assign(engine, {
    store,
    intake,
    pauses,
    wake,
    generation: () => generation,
    onDeath: parts.onDeath,
    async reload() {
      const before = generation;
      const next = await createGeneration(world.config, { ...generationParts, previous: before });
      if (reach(world, engine, "reload before swap")) return await never<void>();
      generation = next;
      world.trace(`${engine.label} reloaded`);
      for (const runner of retiredRunners(before, next)) void scheduler.whenFree(runner).then(() => runner.close());
      wake();
      if (reach(world, engine, "reload after swap")) return await never<void>();
    },
    async stop() {
      world.trace(`${engine.label} stops`);
      kernel.schedule(engine, 1 + world.chance.below(100), () => reach(world, engine, "while stopping"));
      if (reach(world, engine, "while stopping")) return await never<void>();
      await scheduler.stop(stopGraceMs);
      await janitor.stop();
      await store.close();
      engine.die("stopped");
    },
  });
}

/** The source of that name in what the engine has loaded. */
export function sourceNamed(engine: RunningEngine, name: string): SourceAtWork<HttpSource> {
  const generation = engine.generation();
  return { source: generation.config.sources.get(name) as HttpSource, generation };
}
