/**
 * The way from an engine to the database: slow, sometimes refused, sometimes without an answer, and cut for ever when
 * the engine dies. The SQL that gets through runs on a real SQLite.
 */

import { ConstraintBroken, type Database, NotTried, type Result, type Statement } from "../../core/store/database.ts";
import { StoreUnavailable } from "../../core/store/store.ts";
import { type CommitKind, kindsOf } from "./crash_points.ts";
import type { Life } from "./kernel.ts";
import { type EngineLife, goesWrong, never, reach, type World } from "./world.ts";

/** After this long an engine gives up waiting for a server. */
const answerLimitMs = 15_000;

/** Longest time after which a batch that was given up may still arrive at a server. */
const strayMsMax = 14_000;

/** Makes the database as one engine sees it. */
export function createFaultyDatabase(world: World, engine: EngineLife): Database {
  const { kernel, swarm, chance } = world;
  const latencyMs = (): number =>
    Math.max(chance.below(swarm.latencyMsMax + 1), engine.silentUntil - kernel.now + chance.below(50));

  const [there, back] = [createWay(world.outside), createWay(engine)];

  /** One direction. To a local file and from it everything comes in the order in which it was sent. */
  function createWay(life: Life): (task: () => void) => void {
    const sent: (() => void)[] = [];
    return (task) => {
      if (!swarm.shared) sent.push(task);
      kernel.schedule(life, latencyMs(), swarm.shared ? task : () => sent.shift()!());
    };
  }

  /** Sends something there and brings what it gave back; what is lost on the way gives nothing. */
  function ask<Answer>(arrive: () => Promise<Answer> | undefined): Promise<Answer> {
    if (!engine.alive) return never();
    const failed = new StoreUnavailable("simulated: the disk has failed");
    if (engine.failed) return Promise.reject(failed);
    return new Promise((resolve, reject) => {
      if (swarm.shared) {
        const giveUp = (): void => reject(new StoreUnavailable("simulated: no answer from the server"));
        kernel.schedule(engine, answerLimitMs, giveUp);
      }
      there(() => {
        // What a dead engine had sent may still arrive at a server; on a local file it died with the engine.
        if (!engine.alive && !(swarm.shared && chance.chance(0.5))) return;
        if (engine.failed) return back(() => reject(failed)); // it was on its way when the disk failed
        arrive()?.then(
          (answer) => back(() => resolve(answer)),
          (error) => {
            if (error instanceof ConstraintBroken) isBroken = true;
            back(() => reject(error));
          },
        );
      });
    });
  }

  /** A batch broke a rule, and none that was sent by who knows it has arrived yet. */
  let isBroken = false;

  function write(batch: readonly Statement[], { isAhead }: { isAhead?: boolean } = {}): Promise<Result[]> {
    const kinds = kindsOf(batch);
    return ask(() => {
      if (isAhead && isBroken) return refuse(kinds, new NotTried("simulated"));
      if (isAhead === false) isBroken = false;
      if (engine.alive && diesAt(kinds, "before")) return undefined;
      if (goesWrong(world, swarm.busyChance)) return refuse(kinds, new StoreUnavailable("simulated: locked"));
      if (goesWrong(world, swarm.constraintChance)) return refuse(kinds, new ConstraintBroken("simulated"));
      if (goesWrong(world, swarm.unknownChance)) return lose(kinds, batch);
      if (swarm.shared && goesWrong(world, swarm.unknownChance)) return repeat(kinds, batch);
      return commit(kinds, batch);
    });
  }

  async function commit(kinds: readonly CommitKind[], batch: readonly Statement[]): Promise<Result[]> {
    try {
      const results = await world.disk.write(batch);
      world.history.push(...await world.finished.take());
      world.trace(`${engine.label} commit ${kinds.join("+")}`);
      return engine.alive && diesAt(kinds, "after") ? await never() : results;
    } catch (error) {
      // A rule of the schema is broken only by a wrong query. Anything else is the log's own affair.
      if (error instanceof ConstraintBroken) {
        const detail = `${kinds.join("+")}: ${error.message}`;
        world.findings.push({ name: "CONSTRAINT", subject: engine.label, detail });
      }
      throw error;
    }
  }

  /** The answer is lost; the batch may have been committed, or may be yet. A file that answers so has failed. */
  async function lose(kinds: readonly CommitKind[], batch: readonly Statement[]): Promise<Result[]> {
    const fate = chance.below(swarm.shared ? 3 : 2);
    world.trace(`${engine.label} lose ${kinds.join("+")} ${["dropped", "committed", "late"][fate]}`);
    if (fate === 1) await commit(kinds, batch);
    if (fate === 2) arriveLate(kinds, batch);
    if (!swarm.shared && engine.alive) {
      engine.failed = true;
      kernel.schedule(engine, chance.below(20), () => engine.die("the disk has failed"));
    }
    throw new StoreUnavailable("simulated: the answer was lost");
  }

  /**
   * Whoever sends it on sends it twice, and only the first answer is heard. Where events are erased within seconds
   * it is at once: a late repeat of an append would bring back what has ended and is gone.
   */
  async function repeat(kinds: readonly CommitKind[], batch: readonly Statement[]): Promise<Result[]> {
    const isAtOnce = chance.chance(0.5) || swarm.retention !== undefined;
    world.trace(`${engine.label} repeat ${kinds.join("+")} ${isAtOnce ? "at once" : "late"}`);
    if (!isAtOnce) arriveLate(kinds, batch);
    const results = await commit(kinds, batch);
    if (isAtOnce) await commit(kinds, batch);
    return results;
  }

  function arriveLate(kinds: readonly CommitKind[], batch: readonly Statement[]): void {
    kernel.schedule(world.outside, 1 + chance.below(strayMsMax), () => void commit(kinds, batch));
  }

  function refuse(kinds: readonly CommitKind[], error: Error): Promise<never> {
    world.trace(`${engine.label} refuse ${kinds.join("+")}: ${error.name}`);
    return Promise.reject(error);
  }

  function diesAt(kinds: readonly CommitKind[], when: "before" | "after"): boolean {
    return kinds.some((kind) => reach(world, engine, `${kind} ${when} commit`));
  }

  return {
    keepsOrder: !swarm.shared,
    read: (statement) => ask(() => world.disk.read(statement)),
    write,
    close: () => engine.alive ? Promise.resolve() : never(),
  };
}
