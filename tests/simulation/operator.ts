/**
 * Whoever keeps the engines: cancels, skips, resumes, redelivers, replays, pauses, reloads, stops them and sets the
 * clock, at moments of the seed's choosing.
 */

import { queueName } from "../../core/domain/config.ts";
import { type BulkFilter, createBulkActions } from "../../core/engine/bulk.ts";
import { createSeededIds, type Machine, pickEngine, type RunningEngine } from "./simulated_engine.ts";
import { epochMs, type World } from "./world.ts";

/** Why a queue is paused that an operator paused. */
export const operatorPauses = "paused by the operator";

/** What was asked of the log by an operator and confirmed. */
export interface Confirmed {
  readonly cancelled: ReadonlySet<string>;
  /** Ids of the deliveries that redeliveries made. */
  readonly redelivered: ReadonlySet<string>;
  /** How many cancellations of each delivery were asked for and never answered. */
  readonly cancelDoubted: ReadonlyMap<string, number>;
  readonly skipAsked: ReadonlySet<string>;
}

/** The operator of one world. */
export interface Operator {
  readonly confirmed: Confirmed;
  /** Decides about whatever waits for a person. */
  release(): Promise<boolean>;
  /** Has every engine that is up take the configuration on the operator's desk. */
  reloadAll(): void;
}

/** Puts an operator in front of the machines of a world. */
export function createOperator(world: World, machines: readonly Machine[]): Operator {
  const { kernel, swarm, history, chance, outside } = world;
  const confirmed = {
    cancelled: new Set<string>(),
    redelivered: new Set<string>(),
    cancelDoubted: new Map<string, number>(),
    skipAsked: new Set<string>(),
  };
  const makeDeliveryId = createSeededIds(world);
  let sourceTurns = 0;
  /** When each queue was last told to go on. */
  const goingOn = new Map<string, number>();

  async function pick(where: string): Promise<string | undefined> {
    const sql = `SELECT id FROM deliveries WHERE ${where} ORDER BY seq`;
    const { rows } = await world.disk.read({ sql, parameters: [] });
    return rows[chance.below(rows.length)]?.id as string | undefined;
  }

  async function cancel(id: string | undefined): Promise<void> {
    const engine = pickEngine(world, machines);
    if (id !== undefined && engine !== undefined) await cancelBy(engine, id);
  }

  /** Several may ask at once: the answer to one settles no doubt about another. */
  function countDoubt(id: string, more: 1 | -1): void {
    confirmed.cancelDoubted.set(id, (confirmed.cancelDoubted.get(id) ?? 0) + more);
  }

  async function cancelBy(engine: RunningEngine, id: string): Promise<boolean> {
    const runsBefore = openRuns(world, id);
    countDoubt(id, 1); // until it is answered nobody can know whether it was done
    const done = await engine.store.cancel(id, { now: wallNow(), reason: "cancelled by the operator" }).catch(() => {});
    if (done !== undefined && engine.alive) engine.wake();
    world.trace(`operator cancels ${id}: ${done}`);
    if (done !== undefined) countDoubt(id, -1);
    if (done !== true) return false;
    confirmed.cancelled.add(id);
    const still = openRuns(world, id);
    for (const run of runsBefore.filter((each) => still.includes(each))) {
      world.findings.push({ name: "CANCELLED-RUN", subject: id, detail: `cancelled although ${run} was running` });
    }
    see(id);
    return true;
  }

  async function redeliver(id: string | undefined): Promise<void> {
    const engine = pickEngine(world, machines);
    if (id !== undefined && engine !== undefined) await redeliverBy(engine, id, makeDeliveryId("dlv"));
  }

  async function redeliverBy(engine: RunningEngine, id: string, made: string): Promise<boolean> {
    world.released.add(made);
    const done = await engine.store.redeliver(id, { id: made, now: wallNow() }).catch(() => {});
    if (done !== undefined && engine.alive) engine.wake();
    world.trace(`operator redelivers ${id} as ${made}: ${done}`);
    if (done === true) confirmed.redelivered.add(made);
    if (done === false && await isInLog(id)) {
      world.findings.push({ name: "REFUSED", subject: id, detail: "is finished, and its redelivery was refused" });
    }
    return done === true;
  }

  /** Retention may have been faster than whoever asked. */
  async function isInLog(id: string): Promise<boolean> {
    return (await world.disk.read({ sql: "SELECT 1 FROM deliveries WHERE id = ?", parameters: [id] })).rows.length > 0;
  }

  /** Everything that a filter matches: of one queue, or of one state, or simply all. */
  async function sweep(): Promise<void> {
    const engine = pickEngine(world, machines);
    const queue = await pickQueue();
    if (engine === undefined || queue === undefined) return;
    const bulk = createBulkActions({
      store: {
        ...engine.store,
        cancel: (id) => cancelBy(engine, id),
        redeliver: (id, { id: made }) => redeliverBy(engine, id, made),
      },
      clock: { now: wallNow, monotonic: () => kernel.now, timer: (ms, wake) => kernel.schedule(outside, ms, wake) },
      makeDeliveryId: () => makeDeliveryId("dlv"),
      wake: engine.wake,
    });
    const cancels = chance.chance(0.3);
    const filter: BulkFilter = chance.chance(0.5) ? queue : { state: cancels ? "blocked" : "dead" };
    world.trace(`operator ${cancels ? "cancels" : "redelivers"} all of ${JSON.stringify(filter)}`);
    await (cancels ? bulk.cancel({ filter }) : bulk.redeliver({ filter })).catch(() => {});
  }

  async function pickQueue(): Promise<{ route: string; target: string } | undefined> {
    const { rows } = await world.disk.read({ sql: "SELECT route, target FROM queues ORDER BY id", parameters: [] });
    const row = rows[chance.below(rows.length)];
    return row && { route: String(row.route), target: String(row.target) };
  }

  /** One thing that an operator does by hand, on whatever is in the state for it. */
  async function intervene(): Promise<void> {
    const kind = chance.below(6);
    if (kind === 0) return await skip(await pick("finished_at IS NULL"));
    if (kind === 1) return await resume(await pick("state = 'parked'"));
    if (kind === 2) return await replay();
    if (kind === 3) return await sweep();
    if (kind === 4) {
      const source = chance.chance(0.5) ? "app" : "batch";
      pauseSource(source, true);
      return void kernel.schedule(outside, chance.below(60_000), () => void pauseSource(source, false));
    }
    const queue = await pickQueue();
    if (queue === undefined) return;
    pause(queue, true);
    kernel.schedule(outside, chance.below(60_000), () => void pause(queue, false));
  }

  async function skip(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    confirmed.skipAsked.add(id);
    await ask(`skips ${id}`, (engine) => engine.store.skip(id, { now: wallNow(), reason: "skipped by the operator" }));
  }

  async function resume(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    world.released.add(id);
    await ask(`resumes ${id}`, (engine) => engine.store.resume(id, { now: wallNow() }));
  }

  /** The event of some delivery once more, for the same queue and lane. */
  async function replay(): Promise<void> {
    const id = await pick("true");
    const sql =
      "SELECT e.id AS event, d.queue, d.lane FROM deliveries AS d JOIN events AS e ON e.seq = d.event_seq WHERE d.id = ?";
    const row = id === undefined ? undefined : (await world.disk.read({ sql, parameters: [id] })).rows[0];
    if (row === undefined) return;
    const made = {
      id: makeDeliveryId("dlv"),
      queue: Number(row.queue),
      lane: (row.lane as string | null) ?? undefined,
    };
    world.released.add(made.id);
    const done = await ask(
      `replays ${row.event}`,
      (engine) => engine.store.replay(String(row.event), [made], { now: wallNow() }),
    );
    if (done === true) confirmed.redelivered.add(made.id);
  }

  async function pause(queue: { route: string; target: string }, paused: boolean): Promise<void> {
    const name = queueName(queue.route, queue.target);
    const askedAt = kernel.now;
    // Until its answer is here it may be done at any moment, after a later pause too.
    if (!paused) goOn(name, Infinity);
    const done = await ask(
      `${paused ? "pauses" : "lets go on"} ${name}`,
      (engine) => engine.store.pauseQueue(queue, paused ? { at: wallNow(), reason: operatorPauses } : undefined),
    );
    if (!paused && done !== undefined) goOn(name, kernel.now);
    if (done === true && paused && (goingOn.get(name) ?? -1) < askedAt) world.paused.set(name, kernel.now);
  }

  function goOn(name: string, until: number): void {
    world.paused.delete(name);
    goingOn.set(name, until);
  }

  async function pauseSource(source: string, paused: boolean): Promise<void> {
    const turn = ++sourceTurns;
    if (!paused) world.pausedSources.delete(source);
    const value = paused ? { at: wallNow(), reason: "paused by the operator" } : undefined;
    const done = await ask(`${paused ? "pauses" : "opens"} the source ${source}`, async (engine) => {
      await engine.pauses.set(source, value);
      return true;
    });
    // Whoever has spoken since decides, and nobody knows in what order the log has heard the two.
    if (done === true && paused && turn === sourceTurns) world.pausedSources.add(source);
  }

  /** Asks some engine for something; undefined when nobody answered. */
  async function ask(what: string, act: (engine: RunningEngine) => Promise<boolean>): Promise<boolean | undefined> {
    const engine = pickEngine(world, machines);
    if (engine === undefined) return undefined;
    const done = await act(engine).catch(() => undefined);
    if (done !== undefined && engine.alive) engine.wake();
    world.trace(`operator ${what}: ${done}`);
    return done;
  }

  /** A look in passing: the checker holds everything after it against what was seen. */
  async function see(id: string): Promise<void> {
    const sql = `SELECT d.id, e.id AS event, d.seq, d.state, q.route, d.lane FROM deliveries AS d
      JOIN events AS e ON e.seq = d.event_seq JOIN queues AS q ON q.id = d.queue WHERE d.id = ?`;
    const row = (await world.disk.read({ sql, parameters: [id] })).rows[0];
    if (row === undefined) return;
    const text = (value: unknown): string => String(value);
    history.push({
      kind: "delivery",
      id,
      eventId: text(row.event),
      queue: text(row.route),
      seq: Number(row.seq),
      state: text(row.state),
    });
  }

  /** Cuts an engine off from the log, if possible in the middle of some work, which others then take over. */
  function silence(triesLeft: number): void {
    if (machines.some(({ engine }) => engine !== undefined && engine.silentUntil > kernel.now)) return;
    const busy = machines.filter(({ engine }) => engine !== undefined && isBusy(world, engine.label));
    if (busy.length === 0 && triesLeft > 0) return void kernel.schedule(outside, 100, () => silence(triesLeft - 1));
    const machine = (busy.length > 0 ? busy : machines)[chance.below(busy.length || machines.length)]!;
    machine.silence(35_000 + chance.below(45_000));
  }

  function wallNow(): number {
    return epochMs + kernel.now + world.wallOffsetMs;
  }

  function reloadAll(): void {
    for (const { engine } of machines) {
      if (engine !== undefined && engine.generation().config !== world.config) engine.reload().catch(() => {});
    }
  }

  function sometime(act: () => void): void {
    kernel.schedule(outside, chance.below(swarm.faultsMs), act);
  }

  for (let n = 0; n < swarm.cancels; n++) {
    // Most often what is open, now and then whatever there is.
    sometime(() => void pick(chance.chance(0.8) ? "finished_at IS NULL" : "true").then(cancel));
  }
  for (let n = 0; n < swarm.redeliveries; n++) {
    sometime(() => void pick("finished_at IS NOT NULL").then(redeliver));
  }
  for (let n = 0; n < swarm.interventions; n++) sometime(() => void intervene());
  if (Object.values(swarm.policies).some(({ onExhausted }) => onExhausted !== "dead")) {
    for (let n = 0; n < 8; n++) sometime(() => void pick("state = 'parked'").then(resume));
  }
  for (let n = 1; n <= swarm.reloads; n++) {
    sometime(() => {
      world.config = world.configs[n]!;
      reloadAll();
    });
  }
  for (let n = 0; n < swarm.stops; n++) {
    sometime(() => void machines[chance.below(machines.length)]!.engine?.stop().catch(() => {}));
  }
  for (let n = 0; n < swarm.silences; n++) {
    sometime(() => silence(200));
  }
  for (let n = 0; n < swarm.clockJumps; n++) {
    sometime(() => {
      const most = swarm.shared ? 600_000 : 21_600_000;
      const ms = Math.round((chance.next() * 2 - 1) * most);
      world.wallOffsetMs += ms;
      world.jumpedMs += Math.abs(ms);
      world.jumpedAt = kernel.now;
      world.trace(`the wall clock jumps by ${ms} ms`);
    });
  }

  return {
    confirmed,
    reloadAll,
    async release() {
      const { rows } = await world.disk.read({
        sql: "SELECT route, target FROM queues WHERE paused_at IS NOT NULL ORDER BY id",
        parameters: [],
      });
      for (const row of rows) pause({ route: String(row.route), target: String(row.target) }, false);
      const sources = await world.disk.read({
        sql: "SELECT name FROM sources WHERE paused_at IS NOT NULL ORDER BY name",
        parameters: [],
      });
      for (const { name } of sources.rows) pauseSource(String(name), false);
      const id = await pick("state = 'parked'");
      if (id === undefined) return false;
      if (chance.chance(0.2)) await cancel(id);
      else if (world.released.has(id)) await skip(id);
      else await resume(id);
      return true;
    },
  };
}

/** Whether an engine has work under way. */
function isBusy(world: World, boot: string): boolean {
  const open = new Set<string>();
  for (const record of world.history) {
    if (record.kind === "start" && record.boot === boot) open.add(record.run);
    else if (record.kind === "end") open.delete(record.run);
  }
  return open.size > 0;
}

/** Runs of a delivery that go on in engines that live. */
function openRuns(world: World, delivery: string): string[] {
  const open = new Map<string, string>();
  for (const record of world.history) {
    if (record.kind === "start" && record.delivery === delivery) open.set(record.run, record.boot!);
    else if (record.kind === "end") open.delete(record.run);
    else if (record.kind === "crash") { for (const [run, boot] of open) if (boot === record.boot) open.delete(run); }
  }
  return [...open.keys()];
}
