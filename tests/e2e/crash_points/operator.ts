/**
 * Whoever keeps the engine: cancels, redelivers, replays, resumes and skips what is parked, pauses, erases and reloads,
 * through the admin API and while everything else goes on.
 */

import { type Client, createClient } from "../../../cli/client.ts";
import type { HistoryRecord } from "../../support/history.ts";
import type { SeededRandom } from "../../support/seeded_random.ts";
import { toRecord } from "../engine_reader.ts";
import { createLedger } from "./ledger.ts";
import { createScrap } from "./scrap.ts";

/** What an operator does; the crash points of the same commits begin with the same words. */
export const actionNames = [
  "cancel",
  "redeliver",
  "resume",
  "replay",
  "pause source",
  "pause",
  "reload",
  "erase",
] as const;

export type ActionName = (typeof actionNames)[number];

/** How often each action was confirmed. */
export type ActionCounts = Record<ActionName, number>;

/** The two sides of an engine, and what opens them. */
export interface Doors {
  readonly adminUrl: string;
  readonly token: string;
  readonly ingestUrl: string;
  readonly secret: string;
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
  /** What the last look saw of each queue. */
  readonly seen: string;
  readonly confirmed: Readonly<ActionCounts>;
  /** Does this and that, one thing most of all, until told to go. */
  attend(doors: Doors, options: { favourite?: ActionName; until: AbortSignal }): Promise<void>;
  /** Lets go on whatever waits for a person, until told to go. */
  release(doors: Doors, options: { until: AbortSignal }): Promise<void>;
  /** What is not in the log as it was confirmed, or is there and nobody asked for it. */
  judge(): string[];
}

/** No action was confirmed yet. */
export function countActions(): ActionCounts {
  return Object.fromEntries(actionNames.map((name) => [name, 0])) as ActionCounts;
}

const queues = [{ route: "work", target: "" }, { route: "mirror", target: "rig" }] as const;
const source = { name: "github" };

/** What can be paused: a queue, or the source. */
type Gate = "work/" | "mirror/rig" | "github";

/** The pause between two actions, and how many of them between two looks at the whole. */
const restMs = 15;
const lookEvery = 4;

/** What an engine may well answer: somebody else was faster, or it has just died. */
const expected =
  /no engine answers|only one that waits|only a finished one|not parked|is running|just finished|nothing open|log cannot be reached|shutting down/;

/** Makes an operator. */
export function createOperator({ records, random, routesFile }: OperatorOptions): Operator {
  const template = Deno.readTextFileSync(routesFile);
  const ledger = createLedger();
  const scrap = createScrap({ records, ledger });
  const resumed = new Set<string>();
  /** Undefined while nobody knows. */
  const paused = new Map<Gate, boolean | undefined>();
  const confirmed = countActions();
  let open = 0;
  let seen = "nothing yet";
  let versions = 0;

  const pick = <Item>(items: readonly Item[]): Item | undefined => items[random.below(items.length)];

  const actions: Record<ActionName, (client: Client, doors: Doors) => Promise<boolean>> = {
    async cancel(client) {
      const { rows } = await client.deliveries({ state: random.chance(0.5) ? "blocked" : "ready", limit: 50 });
      const row = pick(rows);
      if (row === undefined) return false;
      ledger.askEnd(row.id);
      await client.cancel(row.id);
      ledger.confirmEnd(row.id, "cancelled");
      records.push({ ...toRecord(row), state: "cancelled" });
      return true;
    },
    async redeliver(client) {
      // A target is told the lineage and not the delivery, so it could not tell a redelivery from a repetition.
      const { rows } = await client.deliveries({ route: "work", state: "succeeded", limit: 50 });
      const row = pick(rows);
      if (row === undefined) return false;
      ledger.confirmRedelivery((await client.redeliver(row.id)).id, row.id);
      return true;
    },
    async resume(client) {
      let any = false;
      for (const { route, target, lane, head } of (await client.lanes({ state: "parked", limit: 10 })).rows) {
        if (resumed.has(head)) {
          // It fails as it did before: the same attempts end alike.
          ledger.askEnd(head);
          ledger.confirmEnd((await client.skipLane({ route, target, lane })).id, "skipped");
        } else {
          await client.resumeLane({ route, target, lane });
          resumed.add(head);
          any = true;
        }
      }
      return any;
    },
    async replay(client) {
      const event = pick((await client.events({ source: source.name, limit: 50 })).rows);
      if (event === undefined) return false;
      ledger.askReplays(event.id, queues.length);
      const { routes } = await client.replay({ ids: [event.id] });
      ledger.confirmReplays(event.id, Object.values(routes).reduce((sum, count) => sum + count, 0));
      return true;
    },
    async "pause source"(client) {
      // Not for long: whoever is turned away comes again at once.
      await setPaused(source.name as Gate, true, () => client.pauseSource(source));
      await setPaused(source.name as Gate, false, () => client.resumeSource(source));
      return true;
    },
    async pause(client) {
      const queue = pick(queues)!;
      const yes = paused.get(gateOf(queue)) !== true;
      await setPaused(gateOf(queue), yes, () => yes ? client.pauseQueues(queue) : client.resumeQueues(queue));
      return true;
    },
    async reload(_client, doors) {
      writeVersion(++versions);
      const headers = { authorization: `Bearer ${doors.token}` };
      const answer = await fetch(`${doors.adminUrl}/api/v1/config/reload`, { method: "POST", headers })
        .then(async (response) => ({ ok: response.ok, text: await response.text() }))
        .catch(() => undefined); // it has died
      if (answer?.ok === false) throw new Error(`a reload was refused: ${answer.text}`);
      return answer !== undefined;
    },
    async erase(client, doors) {
      await scrap.send(doors);
      return await scrap.erase(client);
    },
  };

  async function setPaused(gate: Gate, yes: boolean, tell: () => Promise<unknown>): Promise<void> {
    paused.set(gate, undefined);
    await tell();
    paused.set(gate, yes);
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
    const { queues: all, pausedSources } = await client.status();
    const rows = all.filter(({ route }) => queues.some((queue) => queue.route === route));
    open = rows.reduce((sum, { ready, blocked, running, parked }) => sum + ready + blocked + running + parked, 0);
    seen = rows.map((row) =>
      `${row.route}: ${row.ready} ready, ${row.running} running, ${row.blocked} blocked, ${row.parked} parked` +
      (row.paused === undefined ? "" : ", paused")
    ).join("; ");
    for (const queue of queues) {
      const is = rows.some((row) => row.route === queue.route && row.paused !== undefined);
      await letGoOn(gateOf(queue), is, () => client.resumeQueues(queue));
    }
    await letGoOn(source.name as Gate, pausedSources.length > 0, () => client.resumeSource(source));
  }

  async function letGoOn(gate: Gate, isPaused: boolean, tell: () => Promise<unknown>): Promise<void> {
    const known = paused.get(gate);
    if (known !== undefined && known !== isPaused) {
      ledger.complain(`${gate} was ${known ? "paused" : "let go on"}, and the next look said otherwise`);
    }
    paused.set(gate, isPaused);
    if (isPaused) await setPaused(gate, false, tell);
  }

  /** Does something until told to go; what an engine answers in its agony is nobody's fault. */
  async function repeat(until: AbortSignal, act: (nth: number) => Promise<void>): Promise<void> {
    for (let nth = 0; !until.aborted; nth++) {
      try {
        await act(nth);
      } catch (error) {
        const { message } = error as Error;
        if (!until.aborted && !expected.test(message)) ledger.complain(message);
      }
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  }

  return {
    get open() {
      return open;
    },
    get seen() {
      return seen;
    },
    confirmed,
    async attend(doors, { favourite, until }) {
      const client = createClient(doors.adminUrl, doors.token);
      await repeat(until, async (nth) => {
        if (nth % lookEvery === 0) await look(client);
        const name = favourite !== undefined && random.chance(0.5) ? favourite : pick(actionNames)!;
        if (await actions[name](client, doors)) confirmed[name]++;
      });
    },
    async release(doors, { until }) {
      const client = createClient(doors.adminUrl, doors.token);
      await repeat(until, async () => {
        await look(client);
        await actions.resume(client, doors);
      });
    },
    judge: () => ledger.judge(records),
  };
}

function gateOf({ route, target }: typeof queues[number]): Gate {
  return `${route}/${target}` as Gate;
}
