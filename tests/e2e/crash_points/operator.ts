/**
 * Whoever keeps the engine: cancels, redelivers, replays, resumes and skips what is parked, pauses and reloads, through
 * the admin API and while everything else goes on. What an engine confirmed it must still know when it has died; whatever
 * it did not answer may or may not have happened.
 */

import { type Client, createClient } from "../../../cli/client.ts";
import type { DeliveryRecord, HistoryRecord } from "../../support/history.ts";
import type { SeededRandom } from "../../support/seeded_random.ts";
import { toRecord } from "../engine_reader.ts";

/** What an operator does; the crash points of the same commits begin with the same word. */
export const actionNames = ["cancel", "redeliver", "resume", "replay", "pause", "reload"] as const;

export type ActionName = (typeof actionNames)[number];

/** An engine's admin side. */
export interface AdminDoor {
  readonly adminUrl: string;
  readonly token: string;
}

/** Options of {@link createOperator}. */
export interface OperatorOptions {
  readonly records: HistoryRecord[];
  readonly random: SeededRandom;
  readonly routesFile: string;
}

/** The operator of one log, through any number of engines. */
export interface Operator {
  /** Deliveries that were open at the last look. */
  readonly open: number;
  /** How often each action was confirmed. */
  readonly confirmed: Readonly<Record<ActionName, number>>;
  /** Does this and that, one thing most of all, until told to go. */
  attend(door: AdminDoor, options: { favourite?: ActionName; until: AbortSignal }): Promise<void>;
  /** Lets go on whatever waits for a person, until told to go. */
  release(door: AdminDoor, options: { until: AbortSignal }): Promise<void>;
  /** What is not in the log as it was confirmed, or is there and nobody asked for it. */
  judge(): string[];
}

const queues = [{ route: "work", target: "" }, { route: "mirror", target: "rig" }] as const;
type QueueKey = "work/" | "mirror/rig";

/** The pause between two actions, and how many of them between two looks at the whole. */
const restMs = 15;
const lookEvery = 4;

/** What an engine may well answer: somebody else was faster, or it has just died. */
const expected =
  /no engine answers|only one that waits|only a finished one|not parked|is running|just finished|nothing open|log cannot be reached/;

/** Makes an operator. */
export function createOperator({ records, random, routesFile }: OperatorOptions): Operator {
  const template = Deno.readTextFileSync(routesFile);
  const asked = { ended: new Set<string>(), replayed: new Map<string, number>() };
  /** What they were confirmed to be, by delivery. */
  const ended = new Map<string, "cancelled" | "skipped">();
  /** New deliveries, and the ones that they repeat. */
  const redelivered = new Map<string, string>();
  /** Deliveries confirmed, by event. */
  const replayed = new Map<string, number>();
  const resumed = new Set<string>();
  /** Undefined while nobody knows. */
  const paused = new Map<QueueKey, boolean | undefined>();
  const confirmed = { cancel: 0, redeliver: 0, resume: 0, replay: 0, pause: 0, reload: 0 };
  const complaints: string[] = [];
  let open = 0;
  let versions = 0;

  const pick = <Item>(items: readonly Item[]): Item | undefined => items[random.below(items.length)];
  const add = (counts: Map<string, number>, key: string, count: number) =>
    counts.set(key, (counts.get(key) ?? 0) + count);

  const actions: Record<ActionName, (client: Client, door: AdminDoor) => Promise<void>> = {
    async cancel(client) {
      const { rows } = await client.deliveries({ state: random.chance(0.5) ? "blocked" : "ready", limit: 50 });
      const row = pick(rows);
      if (row === undefined) return;
      asked.ended.add(row.id);
      await client.cancel(row.id);
      note(row.id, "cancelled");
      records.push({ ...toRecord(row), state: "cancelled" });
      confirmed.cancel++;
    },
    async redeliver(client) {
      // A target is told the lineage and not the delivery, so it could not tell a redelivery from a repetition.
      const { rows } = await client.deliveries({ route: "work", state: "succeeded", limit: 50 });
      const row = pick(rows);
      if (row === undefined) return;
      const { id } = await client.redeliver(row.id);
      redelivered.set(id, row.id);
      confirmed.redeliver++;
    },
    async resume(client) {
      for (const { route, target, lane, head } of (await client.lanes({ state: "parked", limit: 10 })).rows) {
        if (resumed.has(head)) {
          // It fails as it did before: the same attempts end alike.
          asked.ended.add(head);
          note((await client.skipLane({ route, target, lane })).id, "skipped");
        } else {
          await client.resumeLane({ route, target, lane });
          resumed.add(head);
          confirmed.resume++;
        }
      }
    },
    async replay(client) {
      const event = pick((await client.events({ limit: 50 })).rows);
      if (event === undefined) return;
      add(asked.replayed, event.id, queues.length);
      const { routes } = await client.replay({ ids: [event.id] });
      add(replayed, event.id, Object.values(routes).reduce((sum, count) => sum + count, 0));
      confirmed.replay++;
    },
    async pause(client) {
      const queue = pick(queues)!;
      await setPaused(client, queue, paused.get(keyOf(queue)) !== true);
      confirmed.pause++;
    },
    async reload(_client, door) {
      writeVersion(++versions);
      const headers = { authorization: `Bearer ${door.token}` };
      const answer = await fetch(`${door.adminUrl}/api/v1/config/reload`, { method: "POST", headers })
        .then(async (response) => ({ ok: response.ok, text: await response.text() }))
        .catch(() => undefined); // it has died
      if (answer?.ok === false) throw new Error(`a reload was refused: ${answer.text}`);
      if (answer?.ok === true) confirmed.reload++;
    },
  };

  function note(id: string, state: "cancelled" | "skipped"): void {
    ended.set(id, state);
    if (!asked.ended.has(id)) complaints.push(`${id} was ${state} in the place of another`);
  }

  async function setPaused(client: Client, queue: typeof queues[number], yes: boolean): Promise<void> {
    paused.set(keyOf(queue), undefined);
    await (yes ? client.pauseQueues(queue) : client.resumeQueues(queue));
    paused.set(keyOf(queue), yes);
  }

  /** The file is there in one step: an engine may start at any moment. */
  function writeVersion(version: number): void {
    const text = template.replace("version-0", `version-${version}`)
      .replace("timeout: 3m #", `timeout: ${3 + version % 2}m #`);
    Deno.writeTextFileSync(`${routesFile}.new`, text);
    Deno.renameSync(`${routesFile}.new`, routesFile);
  }

  /** Holds the engine against what was confirmed before it, and lets go on what was paused. */
  async function look(client: Client): Promise<void> {
    const { queues: rows } = await client.status();
    open = rows.reduce((sum, { ready, blocked, running, parked }) => sum + ready + blocked + running + parked, 0);
    for (const queue of queues) {
      const row = rows.find(({ route, target }) => route === queue.route && target === queue.target);
      if (row === undefined) continue;
      const is = row.paused !== undefined;
      const known = paused.get(keyOf(queue));
      if (known !== undefined && known !== is) {
        complaints.push(`${keyOf(queue)} was ${known ? "paused" : "let go on"}, and the next look said otherwise`);
      }
      paused.set(keyOf(queue), is);
      if (is) await setPaused(client, queue, false);
    }
  }

  /** Does something until told to go; what an engine answers in its agony is nobody's fault. */
  async function repeat(until: AbortSignal, act: (nth: number) => Promise<void>): Promise<void> {
    for (let nth = 0; !until.aborted; nth++) {
      try {
        await act(nth);
      } catch (error) {
        const { message } = error as Error;
        if (!until.aborted && !expected.test(message)) complaints.push(message);
      }
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  }

  return {
    get open() {
      return open;
    },
    confirmed,
    async attend(door, { favourite, until }) {
      const client = createClient(door.adminUrl, door.token);
      await repeat(until, async (nth) => {
        if (nth % lookEvery === 0) await look(client);
        const name = favourite !== undefined && random.chance(0.5) ? favourite : pick(actionNames)!;
        await actions[name](client, door);
      });
    },
    async release(door, { until }) {
      const client = createClient(door.adminUrl, door.token);
      await repeat(until, async () => {
        await look(client);
        await actions.resume(client, door);
      });
    },
    judge: () => [...complaints, ...judgeFinal()],
  };

  function judgeFinal(): string[] {
    const rows = finalDeliveries(records);
    const found = new Map(rows.map((row) => [row.id, row]));
    const replays = Map.groupBy(rows.filter((row) => row.redeliveryOf === "replay"), ({ eventId }) => eventId);
    const lost = [...ended].filter(([id, state]) => found.get(id)?.state !== state)
      .map(([id, state]) => `${id} was confirmed as ${state} and is ${found.get(id)?.state}`);
    const unasked = rows.filter(({ id, state }) => /cancelled|skipped/.test(state) && !asked.ended.has(id))
      .map(({ id, state }) => `${id} is ${state}, and nobody asked for it`);
    const missing = [...redelivered].filter(([id, of]) => found.get(id)?.redeliveryOf !== of)
      .map(([id, of]) => `the redelivery ${id} of ${of} was confirmed and is not in the log`);
    const events = new Set([...asked.replayed.keys(), ...replays.keys()]);
    const miscounted = [...events].flatMap((id) => {
      const count = replays.get(id)?.length ?? 0;
      const [least, most] = [replayed.get(id) ?? 0, asked.replayed.get(id) ?? 0];
      return count >= least && count <= most
        ? []
        : [`${id} has ${count} replays; ${least} were confirmed and ${most} asked for`];
    });
    return [...lost, ...unasked, ...missing, ...miscounted];
  }
}

function keyOf({ route, target }: typeof queues[number]): QueueKey {
  return `${route}/${target}` as QueueKey;
}

/** The final read of a history. */
function finalDeliveries(records: readonly HistoryRecord[]): DeliveryRecord[] {
  const from = records.findIndex(({ kind }) => kind === "final");
  if (from === -1) throw new RangeError("the history has no final read");
  return records.slice(from).filter((record) => record.kind === "delivery");
}
