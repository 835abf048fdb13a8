/**
 * Whoever keeps the engines: cancels, skips, resumes, redelivers, replays, pauses, reloads, stops them and sets the
 * clock, at moments of the seed's choosing.
 */

import { queueName } from "../../core/domain/config.ts";
import { createSeededIds, type Machine, pickEngine, type RunningEngine } from "./simulated_engine.ts";
import { epochMs, type World } from "./world.ts";

/** What was asked of the log by an operator and confirmed. */
export interface Confirmed {
  readonly cancelled: ReadonlySet<string>;
  /** Ids of the deliveries that redeliveries made. */
  readonly redelivered: ReadonlySet<string>;
  /** Cancellations that were asked for and never answered. */
  readonly cancelDoubted: ReadonlySet<string>;
  readonly skipAsked: ReadonlySet<string>;
}

/** The operator of one world. */
export interface Operator {
  readonly confirmed: Confirmed;
  /** Decides about whatever waits for a person. */
  release(): Promise<void>;
  /** Has every engine that is up take the configuration on the operator's desk. */
  reloadAll(): void;
}

/** Puts an operator in front of the machines of a world. */
export function createOperator(world: World, machines: readonly Machine[]): Operator {
  const { kernel, swarm, history, chance, outside } = world;
  const confirmed = {
    cancelled: new Set<string>(),
    redelivered: new Set<string>(),
    cancelDoubted: new Set<string>(),
    skipAsked: new Set<string>(),
  };
  const makeDeliveryId = createSeededIds(world);
  /** When each queue was last told to go on. */
  const goingOn = new Map<string, number>();

  async function pick(where: string): Promise<string | undefined> {
    const sql = `SELECT id FROM deliveries WHERE ${where} ORDER BY seq`;
    const { rows } = await world.disk.read({ sql, parameters: [] });
    return rows[chance.below(rows.length)]?.id as string | undefined;
  }

  async function cancel(id: string | undefined): Promise<void> {
    const engine = pickEngine(world, machines);
    if (id === undefined || engine === undefined) return;
    const runsBefore = openRuns(world, id);
    const doubted = confirmed.cancelDoubted.has(id);
    confirmed.cancelDoubted.add(id); // until it is answered nobody can know whether it was done
    const done = await engine.store.cancel(id, { now: wallNow(), reason: "cancelled by the operator" }).catch(() => {});
    if (done !== undefined && engine.alive) engine.wake();
    world.trace(`operator cancels ${id}: ${done}`);
    if (done === false && !doubted) confirmed.cancelDoubted.delete(id);
    if (done !== true) return;
    confirmed.cancelled.add(id);
    const still = openRuns(world, id);
    for (const run of runsBefore.filter((each) => still.includes(each))) {
      world.findings.push({ name: "CANCELLED-RUN", subject: id, detail: `cancelled although ${run} was running` });
    }
    see(id);
  }

  async function redeliver(id: string | undefined): Promise<void> {
    const engine = pickEngine(world, machines);
    if (id === undefined || engine === undefined) return;
    const made = makeDeliveryId("dlv");
    world.released.add(made);
    const done = await engine.store.redeliver(id, { id: made, now: wallNow() }).catch(() => {});
    if (done !== undefined && engine.alive) engine.wake();
    world.trace(`operator redelivers ${id} as ${made}: ${done}`);
    if (done === true) confirmed.redelivered.add(made);
    if (done === false) {
      world.findings.push({ name: "REFUSED", subject: id, detail: "is finished, and its redelivery was refused" });
    }
  }

  /** One thing that an operator does by hand, on whatever is in the state for it. */
  async function intervene(): Promise<void> {
    const kind = chance.below(4);
    if (kind === 0) return await skip(await pick("finished_at IS NULL"));
    if (kind === 1) return await resume(await pick("state = 'parked'"));
    if (kind === 2) return await replay();
    const { rows } = await world.disk.read({ sql: "SELECT route, target FROM queues ORDER BY id", parameters: [] });
    const row = rows[chance.below(rows.length)];
    if (row === undefined) return;
    const queue = { route: String(row.route), target: String(row.target) };
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
    if (!paused) {
      world.paused.delete(name);
      goingOn.set(name, kernel.now);
    }
    const done = await ask(
      `${paused ? "pauses" : "lets go on"} ${name}`,
      (engine) =>
        engine.store.pauseQueue(queue, paused ? { at: wallNow(), reason: "paused by the operator" } : undefined),
    );
    if (done === true && paused && (goingOn.get(name) ?? -1) < askedAt) world.paused.set(name, kernel.now);
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

  function wallNow(): number {
    return epochMs + kernel.now + world.wallOffsetMs;
  }

  function reloadAll(): void {
    for (const { engine } of machines) {
      if (engine !== undefined && engine.config() !== world.config) engine.reload().catch(() => {});
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
    sometime(() => machines[chance.below(machines.length)]!.silence(30_000 + chance.below(40_000)));
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
      const id = await pick("state = 'parked'");
      if (id === undefined) return;
      if (chance.chance(0.2)) await cancel(id);
      else if (world.released.has(id)) await skip(id);
      else await resume(id);
    },
  };
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
