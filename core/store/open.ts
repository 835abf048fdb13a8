/**
 * Opens the log behind the {@link Store} face: locks and recovers a local file, or joins a remote server. All writes
 * pass through one commit group, in which appends, settlements and claims share a transaction.
 */

import { setImmediate } from "node:timers";
import type { Kysely } from "kysely";
import { type Plan, planAppend } from "./append.ts";
import { type CommitGroup, createCommitGroup } from "./commit_group.ts";
import { createKysely, type Database } from "./database.ts";
import { planCancel, planClaim, planRedeliver, planSettle, recoverClaims, splitResults } from "./deliveries.ts";
import { type FileLock, lockFile, waitForHolders } from "./file_lock.ts";
import { listDeliveries, listEvents, listQueues, readDelivery, readEvent } from "./listings.ts";
import { migrate } from "./migrations.ts";
import type { Tables } from "./schema.ts";
import { openSqlite } from "./sqlite.ts";
import { type NewRequest, type QueueId, type Settlement, type Store, StoreUnavailable } from "./store.ts";

/** How long the handlers of the engine before us may take to end. They watch a pipe, so it is a matter of moments. */
const holdersLimitMs = 25_000;

/** After this long without a beat, another engine's work is taken over. */
export const takeoverMs = 30_000;

/** Options of {@link openStore}. */
export interface OpenStoreOptions {
  /** `file:` with an absolute path, or `libsql:`, `http:`, `https:`. */
  readonly url: string;
  readonly authToken?: string;
  /** Names this start of this engine; random. */
  readonly boot: string;
  readonly now: number;
  /** How long an idempotency key is remembered; asked for at every append, so that a reload counts. */
  readonly idempotencyMs: () => number;
  /** Called once when the disk has failed: nothing more may be promised until the process starts again. */
  readonly onFailure?: (error: Error) => void;
}

/** The file on which the child processes of an engine hold a shared lock; undefined for a remote log. */
export function childLockFile(url: string): string | undefined {
  return url.startsWith("file:") ? `${filePath(url)}.children.lock` : undefined;
}

/**
 * Opens the log.
 *
 * @throws StoreUnavailable when another engine holds the file, or it cannot be used
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  if (!options.url.startsWith("file:")) {
    const { openLibsql } = await import("./libsql.ts"); // a local engine never pays for the client
    const database = openLibsql(options);
    await migrate(database);
    await database.write([{ sql: "INSERT INTO engines (boot, beat) VALUES (?, 0)", parameters: [options.boot] }]);
    return createStore(database, options, { recovered: 0 });
  }
  const path = filePath(options.url);
  const lock = await lockFile(`${path}.lock`).catch((cause) => {
    throw new StoreUnavailable(`cannot lock the log ${path}: ${cause.message}`, { cause });
  });
  if (lock === undefined) {
    throw new StoreUnavailable(
      `the log ${path} is in use by another engine; stop it, or give this one its own storage.url`,
    );
  }
  try {
    if (!await waitForHolders(`${path}.children.lock`, holdersLimitMs)) {
      throw new StoreUnavailable(`handlers of an earlier engine still run on ${path}; end them and start again`);
    }
    const database = openSqlite(path, options);
    await migrate(database);
    // The lock proves that whoever claimed these is gone, so their leases end here and not by the clock.
    const [, taken] = await database.write(recoverClaims({ now: options.now }));
    return createStore(database, options, { recovered: taken!.changes, lock });
  } catch (error) {
    lock.release();
    throw error;
  }
}

function filePath(url: string): string {
  return decodeURIComponent(url.slice("file:".length).replace(/^\/\//, ""));
}

type Operation =
  | { readonly kind: "append"; readonly request: NewRequest }
  | { readonly kind: "settle"; readonly settlement: Settlement }
  | { readonly kind: "plan"; readonly plan: Plan<unknown> };

function createStore(
  database: Database,
  options: OpenStoreOptions,
  opened: { recovered: number; lock?: FileLock },
): Store {
  const db: Kysely<Tables> = createKysely(database);
  const { boot } = options;
  const group: CommitGroup<Operation, unknown> = createCommitGroup({
    commit: (operations) => commitGroup(database, operations, options),
    bytes: (operation) => operation.kind === "append" ? operation.request.raw.length : 0,
    defer: (run) => void setImmediate(run),
  });
  const submitPlan = <Answer>(plan: Plan<Answer>): Promise<Answer> =>
    group.submit({ kind: "plan", plan }) as Promise<Answer>;
  const takeover = watchEngines(database, boot);

  return {
    recovered: opened.recovered,
    registerQueues: (queues) => registerQueues(db, database, queues),
    append: (request) => group.submit({ kind: "append", request }) as Promise<Awaited<ReturnType<Store["append"]>>>,
    claim: (credits, claim) => submitPlan(planClaim(credits, { ...claim, boot })),
    settle: (settlement) => group.submit({ kind: "settle", settlement }) as Promise<boolean>,
    beat: (at) => opened.lock !== undefined ? Promise.resolve(0) : takeover(at),
    cancel: (deliveryId, at) => submitPlan(planCancel(deliveryId, at)),
    redeliver: (deliveryId, made) => submitPlan(planRedeliver(deliveryId, made)),
    event: (id) => readEvent(db, id),
    events: (filter) => listEvents(db, filter),
    delivery: (id) => readDelivery(db, id),
    deliveries: (filter) => listDeliveries(db, filter),
    queues: () => listQueues(db),
    async ping() {
      await database.read({ sql: "SELECT 1", parameters: [] });
    },
    async close() {
      await group.idle();
      if (opened.lock === undefined) {
        await database.write([{ sql: "DELETE FROM engines WHERE boot = ?", parameters: [boot] }]).catch(() => {});
      }
      await database.close();
      opened.lock?.release();
    },
  };
}

/** One transaction: everything that was accepted, then everything that ended, then whatever else, claims among it. */
async function commitGroup(
  database: Database,
  operations: readonly Operation[],
  options: OpenStoreOptions,
): Promise<unknown[]> {
  const requests = operations.flatMap((operation) => operation.kind === "append" ? [operation.request] : []);
  const settlements = operations.flatMap((operation) => operation.kind === "settle" ? [operation.settlement] : []);
  const plans = operations.flatMap((operation) => operation.kind === "plan" ? [operation.plan] : []);
  const append = planAppend(requests, { idempotencyMs: options.idempotencyMs() });
  const settle = planSettle(settlements);

  const parts: Plan<unknown>[] = [append, settle, ...plans];
  const results = await database.write(parts.flatMap((part) => part.statements));
  const shares = splitResults(results, parts.map((part) => part.statements.length));

  const appended = append.read(shares[0]!).values();
  const settled = settle.read(shares[1]!).values();
  let at = 2;
  return operations.map((operation) => {
    if (operation.kind === "append") return appended.next().value;
    if (operation.kind === "settle") return settled.next().value;
    return operation.plan.read(shares[at++]!);
  });
}

async function registerQueues(
  db: Kysely<Tables>,
  database: Database,
  queues: readonly { route: string; target: string }[],
): Promise<QueueId[]> {
  await database.write(queues.map(({ route, target }) => ({
    sql: "INSERT INTO queues (route, target) VALUES (?, ?) ON CONFLICT DO NOTHING",
    parameters: [route, target],
  })));
  const known = await db.selectFrom("queues").selectAll().execute();
  return queues.map(({ route, target }) => known.find((row) => row.route === route && row.target === target)!.id);
}

/**
 * On a remote log every engine counts its beats. One whose count stood still for {@link takeoverMs} on our own monotonic
 * clock is fenced (its row goes) and its claims are taken back in the same batch. Whoever was fenced and lives after all
 * finds its leases lost and registers anew.
 */
function watchEngines(database: Database, boot: string): (at: { now: number; monotonic: number }) => Promise<number> {
  const seen = new Map<string, { beat: number; since: number }>();
  return async ({ now, monotonic }) => {
    const [, engines] = await database.write([
      {
        sql: "INSERT INTO engines (boot, beat) VALUES (?, 1) ON CONFLICT (boot) DO UPDATE SET beat = beat + 1",
        parameters: [boot],
      },
      { sql: "SELECT boot, beat FROM engines WHERE boot <> ?", parameters: [boot] },
    ]);
    let taken = 0;
    for (const row of engines!.rows) {
      const other = String(row.boot);
      const beat = Number(row.beat);
      const before = seen.get(other);
      if (before === undefined || before.beat !== beat) seen.set(other, { beat, since: monotonic });
      else if (monotonic - before.since >= takeoverMs) taken += await takeOver(database, { boot: other, beat, now });
    }
    return taken;
  };
}

async function takeOver(database: Database, of: { boot: string; beat: number; now: number }): Promise<number> {
  const claims = recoverClaims({ boot: of.boot, now: of.now }).map(({ sql, parameters }) => ({
    sql: sql.replace("boot = ?", "boot = ? AND boot NOT IN (SELECT boot FROM engines)"),
    parameters,
  }));
  const results = await database.write([
    { sql: "DELETE FROM engines WHERE boot = ? AND beat = ?", parameters: [of.boot, of.beat] },
    ...claims,
  ]);
  return results[2]!.changes;
}
