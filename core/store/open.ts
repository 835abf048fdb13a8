/**
 * Opens the log behind the {@link Store} face: locks and recovers a local file, or joins a remote server. All writes
 * pass through one commit group, in which appends, settlements and claims share a transaction.
 */

import { dirname, resolve } from "node:path";
import { setImmediate } from "node:timers";
import { planAppend } from "./append.ts";
import { completeClaim, planClaim, planCountDue } from "./claims.ts";
import { type CommitGroup, createCommitGroup, groupAheadMin } from "./commit_group.ts";
import type { Database, Plan } from "./database.ts";
import { createDoubts } from "./doubts.ts";
import {
  planBegin,
  planEnd,
  planRedeliver,
  planReplay,
  planResume,
  planSettle,
  splitResults,
  wasSettled,
} from "./deliveries.ts";
import { listSources, planPauseQueue, planPauseSource } from "./pauses.ts";
import { type EngineWatch, watchEngines } from "./engines.ts";
import { type FileLock, lockFile, waitForHolders } from "./file_lock.ts";
import { migrate } from "./migrations.ts";
import { purgeBatch } from "./purge.ts";
import { createExpiry } from "./retention.ts";
import type { Reader } from "./reader.ts";
import { type JudgeLost, recoverClaims } from "./recovery.ts";
import { openSqliteThread, type ThreadedDatabase } from "./sqlite_thread.ts";
import {
  type Appended,
  type NewRequest,
  type QueueDefinition,
  type QueueId,
  type Settlement,
  type Store,
  StoreUnavailable,
} from "./store.ts";

/** How long the handlers of the engine before us may take to end. They watch a pipe, so it is a matter of moments. */
const holdersLimitMs = 25_000;

/** How long after its answer was given up for lost a batch may still be on its way to a server. */
const batchLateMs = 30_000;

/** Links that lead from one to the next before a log that is not made yet; more is a circle. */
const linksMax = 32;

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
  /** What becomes of deliveries that a dead engine was running. Default: they were interrupted. */
  readonly judgeLost?: JudgeLost;
}

/** The file on which the child processes of an engine hold a shared lock; undefined for a remote log. */
export function childLockFile(url: string): string | undefined {
  return url.startsWith("file:") ? `${filePath(url)}.children.lock` : undefined;
}

/** The log's own file; undefined for a remote log. */
export function logFile(url: string): string | undefined {
  return url.startsWith("file:") ? filePath(url) : undefined;
}

/**
 * Opens the log.
 *
 * @throws StoreUnavailable when another engine holds the file, or it cannot be used
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  return options.url.startsWith("file:") ? await openFile(options) : await openServer(options);
}

async function openFile(options: OpenStoreOptions): Promise<Store> {
  const path = filePath(options.url);
  const lock = await lockFile(`${path}.lock`).catch((cause) => {
    throw new StoreUnavailable(`cannot lock the log ${path}: ${cause.message}`, { cause });
  });
  if (lock === undefined) {
    throw new StoreUnavailable(
      `the log ${path} is in use by another engine; stop it, or give this one its own storage.url`,
    );
  }
  let database: Database | undefined;
  try {
    if (!await waitForHolders(`${path}.children.lock`, holdersLimitMs)) {
      throw new StoreUnavailable(`handlers of an earlier engine still run on ${path}; end them and start again`);
    }
    const thread = database = await openSqliteThread(path, options);
    return await ownLog(thread, { ...options, lock, openReading: () => thread.openReading() });
  } catch (error) {
    await database?.close(); // before the lock goes: a second handle beside the next engine's would drop its locks
    lock.release();
    throw error;
  }
}

async function openServer(options: OpenStoreOptions): Promise<Store> {
  const { openLibsql } = await import("./libsql.ts"); // a local engine never pays for the client
  const database = openLibsql(options);
  try {
    return await shareLog(database, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** What a log needs to know besides the database that it is in. */
export interface LogOptions extends Omit<OpenStoreOptions, "url" | "authToken" | "onFailure"> {
  /** Runs a function once the events that already wait have been taken. Default: the platform's own way. */
  readonly defer?: (run: () => void) => void;
  /** Fewest operations that are handed to a database that keeps the order while it still writes others. Default: 32. */
  readonly aheadMin?: number;
  /** Opens the same log a second time, so that what people ask never holds up a commit. Default: they share the first. */
  readonly openReading?: () => Promise<ThreadedDatabase>;
}

/** Opens the log in a database that this engine has for itself: whoever claimed anything in it is gone. */
export async function ownLog(database: Database, options: LogOptions & { lock?: FileLock }): Promise<Store> {
  await migrate(database);
  // The lock proves that whoever claimed these is gone, so their leases end here and not by the clock.
  const recovered = await recoverClaims(database, { now: options.now, judge: options.judgeLost });
  return createStore(database, options, { recovered, lock: options.lock });
}

/** Joins the log in a database in which other engines work too. */
export async function shareLog(database: Database, options: LogOptions): Promise<Store> {
  await migrate(database);
  const watch = watchEngines(database, options);
  await watch.join(options.now);
  return createStore(database, options, { recovered: 0, watch });
}

/** Where the file really is: two names of one log must meet at one lock. */
function filePath(url: string): string {
  return followLinks(decodeURIComponent(url.slice("file:".length).replace(/^\/\//, "")), linksMax);
}

function followLinks(path: string, linksLeft: number): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    // Not made yet, or not reachable: then opening it will say so.
  }
  try {
    if (linksLeft > 0) return followLinks(resolve(dirname(path), Deno.readLinkSync(path)), linksLeft - 1);
  } catch {
    // No link, so this is the name under which it will be made.
  }
  return path;
}

type Operation =
  | { readonly kind: "append"; readonly request: NewRequest }
  | { readonly kind: "settle"; readonly settlement: Settlement }
  | { readonly kind: "plan"; readonly plan: Plan<unknown> };

function createStore(
  database: Database,
  options: LogOptions,
  opened: { recovered: number; lock?: FileLock; watch?: EngineWatch },
): Store {
  const group: CommitGroup<Operation, unknown> = createCommitGroup({
    commit: (operations, turn) => commitGroup(database, operations, { ...turn, ...options }),
    bytes: weigh,
    aheadMin: database.keepsOrder ? options.aheadMin ?? groupAheadMin : undefined,
    defer: options.defer ?? ((run) => void setImmediate(run)),
  });
  const submit = (operation: Operation): Promise<unknown> =>
    closing === undefined ? group.submit(operation) : Promise.reject(new StoreUnavailable("the log is closed"));
  const submitPlan = <Answer>(plan: Plan<Answer>): Promise<Answer> => submit({ kind: "plan", plan }) as Promise<Answer>;
  const doubts = createDoubts(database, { lateMs: opened.watch === undefined ? 0 : batchLateMs });
  let reader: Promise<Reader> | undefined;
  let reading: ThreadedDatabase | undefined;
  let closing: Promise<void> | undefined;

  async function openReader(): Promise<Reader> {
    const [{ createReader }, opened] = await Promise.all([import("./reader.ts"), options.openReading?.()]);
    reading = opened;
    return createReader(reading ?? database);
  }

  function read(): Promise<Reader> {
    if (closing !== undefined) return Promise.reject(new StoreUnavailable("the log is closed"));
    if (reading?.isBroken) reader = undefined; // as a program; a disk that fails has failed for all
    return reader ??= openReader().catch((error) => {
      reader = undefined; // the next one may have more luck
      throw error;
    });
  }

  async function close(): Promise<void> {
    try {
      await group.idle();
      await reader?.catch(() => {});
      await reading?.close(); // before the one that takes the WAL into the file
      await opened.watch?.leave().catch(() => {}); // others then see it stand still, which comes to the same
      await database.close();
    } finally {
      opened.lock?.release();
    }
  }

  return {
    recovered: opened.recovered,
    registerQueues: (queues) => registerQueues(database, queues),
    append: (request) => submit({ kind: "append", request }) as Promise<Appended[]>,
    countDue: (credits, { now }) => submitPlan(planCountDue(credits, now)),
    async claim(credits, { monotonic, ...claim }) {
      const heldUntil = monotonic === undefined ? undefined : opened.watch?.heldUntil(monotonic());
      try {
        const { boot } = opened.watch ?? options;
        const rows = await submitPlan(planClaim(credits, { ...claim, boot, turn: opened.watch?.nextTurn() }));
        const claimed = await completeClaim(database, rows);
        if (heldUntil === undefined || monotonic!() <= heldUntil) return claimed;
        throw new StoreUnavailable("a claim was answered so late that it may have been taken over; it is given back");
      } catch (error) {
        doubts.add(claim.token);
        throw error;
      }
    },
    async begin(delivery, { death, monotonic }) {
      const heldUntil = opened.watch?.heldUntil(monotonic());
      const held = await submitPlan(planBegin(delivery, death));
      return held && (heldUntil === undefined || monotonic() <= heldUntil);
    },
    async settle(settlement) {
      return await submit({ kind: "settle", settlement }) as boolean || await wasSettled(database, settlement);
    },
    async beat(at) {
      return (await opened.watch?.beat(at) ?? 0) + await doubts.giveBack(at);
    },
    cancel: (deliveryId, at) => submitPlan(planEnd(deliveryId, { ...at, state: "cancelled" })),
    skip: (deliveryId, at) => submitPlan(planEnd(deliveryId, { ...at, state: "skipped" })),
    resume: (deliveryId, at) => submitPlan(planResume(deliveryId, at)),
    replay: (eventId, deliveries, at) => submitPlan(planReplay(eventId, deliveries, at)),
    pauseQueue: (queue, paused) => submitPlan(planPauseQueue(queue, paused)),
    async pauseSource(name, paused) {
      await submitPlan(planPauseSource(name, paused));
    },
    expire: createExpiry(database, { submit: submitPlan, isFile: opened.watch === undefined }),
    purge: (filter, at) => purgeBatch(database, filter, { ...at, submit: submitPlan }),
    redeliver: (deliveryId, made) => submitPlan(planRedeliver(deliveryId, made)),
    event: async (id) => (await read()).event(id),
    events: async (filter) => (await read()).events(filter),
    delivery: async (id) => (await read()).delivery(id),
    deliveries: async (filter) => (await read()).deliveries(filter),
    countDeliveries: async (filter) => (await read()).countDeliveries(filter),
    gates: async () => (await read()).gates(),
    queues: async () => (await read()).queues(),
    sources: () => listSources(database),
    lanes: async (filter) => (await read()).lanes(filter),
    async ping() {
      await database.read({ sql: "SELECT 1", parameters: [] });
    },
    close: () => closing ??= close(),
  };
}

function weigh(operation: Operation): number {
  switch (operation.kind) {
    case "append": {
      const { raw, query, headers, events } = operation.request;
      let length = raw.length + query.length;
      for (const name in headers) length += name.length + headers[name]!.length;
      for (const { item } of events) length += item?.length ?? 0;
      return length;
    }
    case "settle": {
      const { attempt: { output = "", reason = "" }, transition } = operation.settlement;
      const { result = "" } = transition.state === "succeeded" ? transition : {};
      return output.length + result.length + 2 * reason.length; // the delivery has the reason too
    }
    case "plan":
      return 0;
  }
}

/** One transaction: everything that was accepted, then everything that ended, then whatever else, claims among it. */
async function commitGroup(
  database: Database,
  operations: readonly Operation[],
  { isAhead, idempotencyMs }: LogOptions & { isAhead: boolean },
): Promise<unknown[]> {
  const requests = operations.flatMap((operation) => operation.kind === "append" ? [operation.request] : []);
  const settlements = operations.flatMap((operation) => operation.kind === "settle" ? [operation.settlement] : []);
  const plans = operations.flatMap((operation) => operation.kind === "plan" ? [operation.plan] : []);
  const append = planAppend(requests, { idempotencyMs: idempotencyMs() });
  const settle = planSettle(settlements);

  const parts: Plan<unknown>[] = [append, settle, ...plans];
  const results = await database.write(parts.flatMap((part) => part.statements), { isAhead });
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
  database: Database,
  queues: readonly QueueDefinition[],
): Promise<QueueId[]> {
  if (queues.length === 0) return [];
  await database.write(queues.map(({ route, target, isInline }) => ({
    sql: `INSERT INTO queues (route, target, inline) VALUES (?, ?, ?)
      ON CONFLICT (route, target) DO UPDATE SET inline = excluded.inline WHERE inline <> excluded.inline`,
    parameters: [route, target, isInline ? 1 : 0],
  })));
  const { rows } = await database.read({ sql: "SELECT id, route, target FROM queues", parameters: [] });
  const ids = new Map(rows.map(({ id, route, target }) => [JSON.stringify([route, target]), id as QueueId]));
  return queues.map(({ route, target }) => ids.get(JSON.stringify([route, target]))!);
}
