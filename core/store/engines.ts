/**
 * Who else works on a remote log. Every engine counts its beats in a row of its own; one that has stopped counting is
 * fenced and its claims are taken back. A local file has one engine, and the lock on it says so.
 */

import type { Database } from "./database.ts";
import { planReclaim } from "./deliveries.ts";
import { type JudgeLost, judgeRunning, lostReason } from "./recovery.ts";

/** After this long without a beat, another engine's work is taken over. */
export const takeoverMs = 30_000;

/** How long before that an engine takes its own claims for lost: it may have stood still, and must not begin them then. */
const marginMs = 5_000;

/**
 * Between two looks no more than this counts as watching. Whoever looks again after longer has stood still, and with it
 * perhaps the others: all processes of a machine or a group are frozen and let go at once.
 */
const watchedMsMax = 10_000;

/** One engine's view of the others. */
export interface EngineWatch {
  /** The name under which this engine is known; after it was fenced, another. */
  readonly boot: string;
  /** Makes this engine known. */
  join(now: number): Promise<void>;
  /** Says that this engine lives; returns how many deliveries were taken over from others. */
  beat(at: { now: number; monotonic: number }): Promise<number>;
  /** Until when, on our monotonic clock, nobody can have taken over what we claim now. */
  heldUntil(monotonic: number): number;
  /** Numbers a claim. One that arrives after a later one is nothing. */
  nextTurn(): number;
  leave(): Promise<void>;
}

const writeJoin = "INSERT INTO engines (boot, beat, at) VALUES (?, 1, ?) ON CONFLICT (boot) DO NOTHING";

/** A beat that arrives after a claim that was sent later knows less of the time than that did. */
const writeBeat = "UPDATE engines SET beat = beat + 1, at = iif(claims > ?3, at, ?2) WHERE boot = ?1";

/** Claims can outlive their engine's row: it left with work undone. */
const readOthers = `SELECT boot, beat FROM engines WHERE boot <> ?1
  UNION ALL SELECT DISTINCT boot, -1 FROM deliveries
    WHERE state = 'running' AND boot <> ?1 AND boot NOT IN (SELECT boot FROM engines)`;

/**
 * Watches the engines of a remote log. One whose count stood still for {@link takeoverMs} on our own monotonic clock is
 * fenced (its row goes) and its claims are taken back in the same batch. Whoever was fenced and lives after all finds
 * its leases lost, and joins under another name: what it sent under the old one may still arrive, and is nothing.
 */
export function watchEngines(
  database: Database,
  { boot: firstBoot, judgeLost }: { boot: string; judgeLost?: JudgeLost },
): EngineWatch {
  let boot = firstBoot;
  let fenced = 0;
  let seen = new Map<string, { beat: number; since: number }>();
  let lookedAt: number | undefined;
  let blind = false;
  let turn = 0;

  async function join(now: number): Promise<void> {
    await database.write([{ sql: writeJoin, parameters: [boot, now] }]);
  }

  async function takeOver(other: { boot: string; beat: number; now: number }): Promise<number> {
    // What it has claimed or ended since they were read has another token: that is taken back, and nothing is counted.
    const deaths = await judgeRunning(database, { judge: judgeLost, boot: other.boot });
    const plan = planReclaim({ of: other, now: other.now, reason: lostReason, deaths });
    const [, ...results] = await database.write([
      { sql: "DELETE FROM engines WHERE boot = ? AND beat = ?", parameters: [other.boot, other.beat] },
      ...plan.statements,
    ]);
    return plan.read(results);
  }

  return {
    get boot() {
      return boot;
    },
    join,
    async beat(at) {
      const looked = lookedAt ?? at.monotonic;
      const wasBlind = blind;
      blind = true;
      const [beaten, others] = await database.write([
        { sql: writeBeat, parameters: [boot, at.now, turn] },
        { sql: readOthers, parameters: [boot] },
      ]);
      if (beaten!.changes === 0) {
        boot = `${firstBoot}.${++fenced}`;
        await join(at.now);
      }
      lookedAt = at.monotonic;
      blind = false;
      const sinceLookMs = at.monotonic - looked;
      // While the log was out of our reach it may have been out of theirs: that time says nothing about them.
      const unwatchedMs = wasBlind ? sinceLookMs : Math.max(0, sinceLookMs - watchedMsMax);
      let taken = 0;
      const watched = new Map<string, { beat: number; since: number }>();
      for (const row of others!.rows) {
        const other = { boot: String(row.boot), beat: Number(row.beat), now: at.now };
        const before = seen.get(other.boot);
        const since = before?.beat === other.beat ? before.since + unwatchedMs : at.monotonic;
        watched.set(other.boot, { beat: other.beat, since });
        if (at.monotonic - since >= takeoverMs) taken += await takeOver(other);
      }
      seen = watched;
      return taken;
    },
    nextTurn: () => ++turn,
    heldUntil: (monotonic) => (lookedAt ?? monotonic) + takeoverMs - marginMs,
    async leave() {
      await database.write([{ sql: "DELETE FROM engines WHERE boot = ?", parameters: [boot] }]);
    },
  };
}
