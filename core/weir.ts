/**
 * The composition root: options in, parts wired together, an engine out. Nothing is decided here; follow an event from
 * `http/ingress.ts` through `engine/intake.ts` to `engine/scheduler.ts` and `engine/execute.ts`.
 */

import type { Clock, Random } from "./domain/clock.ts";
import type { Address, Config } from "./domain/config.ts";
import { countDeath } from "./domain/delivery.ts";
import type { Handler, RunnerFactories } from "./domain/handler.ts";
import type { Provider } from "./domain/provider.ts";
import { type ConfigIssue, formatIssue } from "./config/issue.ts";
import { loadConfig, type RoutesFile } from "./config/load.ts";
import { createCron } from "./engine/cron.ts";
import { createDiskGuard, freeBytesMin } from "./engine/disk_guard.ts";
import { createGeneration, type Generation, retiredRunners } from "./engine/generation.ts";
import { createIntake, type Publication } from "./engine/intake.ts";
import { createJanitor } from "./engine/janitor.ts";
import { createObservers, type Observer } from "./engine/observer.ts";
import { type ReloadEffect, reloadEffect } from "./engine/reload_effect.ts";
import { type Ports, reportReloads } from "./engine/reload_report.ts";
import { createReplay } from "./engine/replay.ts";
import { createScheduler } from "./engine/scheduler.ts";
import { createSourcePauses } from "./engine/source_pauses.ts";
import { createIdMaker, systemClock } from "./engine/system_clock.ts";
import type { Admin } from "./http/admin.ts";
import { createIngress } from "./http/ingress.ts";
import { listen, type Listener } from "./http/listener.ts";
import { createMetrics } from "./http/metrics.ts";
import { openPort } from "./http/port.ts";
import { canParseRequests, denoVersionMin } from "./http/request_parser.ts";
import { type Backup, createBackups } from "./store/backup.ts";
import { childLockFile, logFile, openStore } from "./store/open.ts";
import { type Appended, StoreUnavailable } from "./store/store.ts";
import { version } from "./domain/version.ts";

export { StoreUnavailable };

/** How long attempts may go on after {@link Weir.stop}. */
export const stopGraceMs = 25_000;

/** Shortest admin token. */
const adminTokenLengthMin = 16;

/** How often an engine on a remote log says that it lives. */
const beatMs = 5_000;

/** What an engine is made of. */
export interface WeirOptions {
  /** Usually from `standard()` in `weir/plugins`. */
  readonly providers: readonly Provider[];
  /** Usually from `standard()` in `weir/plugins`. */
  readonly runners: RunnerFactories;
  /** Path of a routes.yaml, or an object of the same shape. */
  readonly config: string | RoutesFile;
  /** Handlers that are functions of this program, by the name of their route. */
  readonly handlers?: Readonly<Record<string, Handler>>;
  /** What `${NAME}` in the configuration reads. Default: the process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Bearer token of the admin API, at least 16 bytes. Without it there is no admin API. */
  readonly adminToken?: string;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What came of a reload. */
export type Reloaded = ({ readonly ok: true } & ReloadEffect) | {
  readonly ok: false;
  readonly issues: readonly ConfigIssue[];
};

/** A workflow engine for webhooks. */
export interface Weir {
  /** The configuration at work now. */
  readonly config: Config;
  /** Takes requests of senders; mount it anywhere. Answers 503 until {@link start}. */
  readonly fetch: (request: Request, info?: { remoteAddr?: Deno.Addr }) => Promise<Response>;
  /** Takes requests of operators: the admin API. 404 without an `adminToken`. */
  readonly admin: (request: Request, info?: { remoteAddr?: Deno.Addr }) => Promise<Response>;
  /** Begins to accept and to work. */
  start(): Promise<void>;
  /** Opens the two ports that the configuration names. */
  listen(): Promise<{ readonly ingest: Address; readonly admin: Address }>;
  /**
   * Logs an event of this program itself.
   *
   * @returns when it is durable
   * @throws RangeError for a source without `publish: true`; TypeError for a body that is not JSON
   */
  publish(publication: Publication): Promise<{ readonly id: string; readonly status: Appended["status"] }>;
  /** Hears of every unit of work until the returned function is called. */
  observe(observer: Observer): () => void;
  /** Reads the configuration again and swaps it in whole; on any issue the old one stays. */
  reload(): Promise<Reloaded>;
  /**
   * Copies the log, as it is now, into a file that does not exist yet; the engine goes on meanwhile.
   *
   * @param file absolute
   */
  backup(file: string): Promise<Backup>;
  /** Resolves with the error when the log's disk has failed. Nothing is acknowledged any more: end the process. */
  readonly failed: Promise<Error>;
  /** Stops accepting, lets attempts finish within the grace, then closes the log. */
  stop(options?: { graceMs?: number }): Promise<void>;
}

/** The configuration is not valid. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map(formatIssue).join("\n"));
    this.issues = issues;
  }
}

/**
 * Makes an engine: loads the configuration, opens the log and takes back what a dead engine had claimed.
 *
 * @example An engine with a handler of its own
 * ```ts
 * import { createWeir } from "weir";
 * import { standard } from "weir/plugins";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: unknown[] = [];
 * const folder = await Deno.makeTempDir();
 * const weir = await createWeir({
 *   ...standard(),
 *   config: {
 *     version: 1,
 *     storage: { url: `file:${folder}/weir.db` },
 *     sources: { app: { publish: true } },
 *     routes: { greet: { from: "app" } },
 *   },
 *   handlers: { greet: (event) => void seen.push(event.body) },
 * });
 * await weir.start();
 * const done = new Promise<void>((resolve) => weir.observe((o) => o.kind === "delivery.attempted" && resolve()));
 * await weir.publish({ source: "app", type: "user.created", body: { id: 1 } });
 * await done;
 * await weir.stop();
 * assertEquals(seen, [{ id: 1 }]);
 * ```
 *
 * @throws ConfigError with every issue when the configuration is not valid
 * @throws StoreUnavailable when another engine holds the log, or it cannot be opened
 */
export async function createWeir(options: WeirOptions): Promise<Weir> {
  const { clock = systemClock, random = Math.random, handlers = {}, runners } = options;
  const load = (): ReturnType<typeof loadConfig> =>
    loadConfig(options.config, {
      providers: options.providers,
      inlineHandlers: Object.keys(handlers),
      environment: options.environment,
    });
  if (options.adminToken !== undefined && options.adminToken.length < adminTokenLengthMin) {
    throw new RangeError(
      `createWeir: adminToken has ${options.adminToken.length} characters, expected ${adminTokenLengthMin} or more`,
    );
  }
  const loaded = await load();
  if (!loaded.ok) throw new ConfigError(loaded.issues);
  const first = loaded.config;

  const metrics = createMetrics();
  const { observe, add: addObserver } = createObservers(metrics.observe);
  const failure = Promise.withResolvers<Error>();
  let closed: string | undefined = "the engine has not started";

  let { routes } = first; // as configured now; the log asks for them before there is a generation
  const makeId = createIdMaker(clock);
  const store = await openStore({
    ...first.storage,
    boot: crypto.randomUUID(),
    now: clock.now(),
    judgeLost: (delivery, name) => {
      const route = routes.find((each) => each.name === name);
      return countDeath(delivery, route, { now: clock.now(), random: random() });
    },
    idempotencyMs: () => generation.config.retention.idempotencyMs,
    onFailure: (error) => {
      closed = "the log has failed";
      observe({ kind: "engine", at: clock.now(), level: "error", message: `the log has failed: ${error.message}` });
      failure.resolve(error);
    },
  });
  const parts = { store, runners, handlers, host: { clock, childLockFile: childLockFile(first.storage.url) } };
  let generation: Generation = await createGeneration(first, parts).catch(async (error) => {
    await store.close(); // its thread would keep the program from ending
    throw error;
  });

  const scheduler = createScheduler({
    store,
    generation: () => generation,
    clock,
    random,
    makeToken: () => crypto.randomUUID(),
    observe,
  });
  const { wake } = scheduler;
  const file = logFile(first.storage.url);
  const spare = { freeBytesMin: () => generation.config.storage.freeBytesMin ?? freeBytesMin };
  const disk = createDiskGuard({ file, ...spare, clock, observe });
  const janitor = createJanitor({ store, retention: () => generation.config.retention, clock, observe });
  const backups = createBackups(file, spare);
  const whyClosed = (): string | undefined => closed ?? disk.full;
  const intake = createIntake({
    store: { append: disk.guard(store.append, ({ raw }) => raw.length) },
    generation: () => generation,
    clock,
    makeId,
    observe,
    wake,
  });
  const pauses = createSourcePauses(store);
  const ingress = createIngress({
    generation: () => generation,
    intake,
    closed: whyClosed,
    paused: pauses.get,
    observe,
    clock,
  });
  const cron = createCron({
    store,
    generation: () => generation,
    intake,
    paused: (source) => pauses.get(source) !== undefined,
    clock,
    observe,
  });
  const startedAt = clock.now();
  const listeners: Listener[] = [];
  let ports: Ports | undefined;
  const retiring = new Set<Promise<void>>();
  let isBeating = true;
  let cancelBeat = (): void => {};
  let reloading: Promise<unknown> = Promise.resolve();
  let stopped: Promise<void> | undefined;

  async function swap(): Promise<Reloaded> {
    const next = await load();
    if (!next.ok) return next;
    const { storage } = next.config;
    if (storage.url !== first.storage.url || storage.authToken !== first.storage.authToken) {
      const message = "the log cannot be changed while the engine runs; restart it";
      return { ok: false, issues: [{ path: "storage", message }] };
    }
    const before = generation;
    const effect = reloadEffect(before.config, next.config, await store.queues());
    generation = await createGeneration(next.config, { ...parts, previous: before });
    ({ routes } = next.config);
    for (const runner of retiredRunners(before, generation)) {
      retiring.add(scheduler.whenFree(runner).then(() => runner.close()));
    }
    wake();
    cron.wake();
    return { ok: true, ...effect };
  }

  const config = (): Config => generation.config;
  const reportedSwap = reportReloads(swap, { config, ports: () => ports, formatIssue, clock, observe });

  function reload(): Promise<Reloaded> {
    // While the engine stops it would bring runners that nobody closes, and retire some that are being closed.
    const refused: Reloaded = { ok: false, issues: [{ path: "", message: "the engine is shutting down" }] };
    const result = reloading.then(() => stopped === undefined ? reportedSwap() : refused);
    reloading = result.catch(() => {});
    return result;
  }

  function beat(): void {
    cancelBeat = clock.timer(beatMs, async () => {
      try {
        const taken = await store.beat({ now: clock.now(), monotonic: clock.monotonic() });
        // On a shared log another engine may have left work that is due, or opened a queue, and told nobody.
        if (taken > 0 || file === undefined) wake();
        await pauses.load(); // another engine may have been told
      } catch (error) {
        observe({
          kind: "engine",
          at: clock.now(),
          level: "error",
          message: `cannot beat: ${(error as Error).message}`,
        });
      }
      if (isBeating) beat();
    });
  }

  let admin: Promise<Admin> | undefined;
  /** Loaded when first asked for: an engine that nobody looks at does not pay for the admin side. */
  function openAdmin(token: string): Promise<Admin> {
    const makeDeliveryId = (): string => makeId("dlv");
    return admin ??= import("./http/admin.ts").then(({ createAdmin }) =>
      createAdmin({
        store: { ...store, redeliver: disk.guard(store.redeliver) },
        config,
        wake,
        reload,
        metrics,
        observe,
        token,
        makeDeliveryId,
        replay: createReplay({
          store,
          generation: () => generation,
          clock,
          makeDeliveryId,
          wake,
          ensureRoom: disk.ensureRoom,
        }),
        pauses,
        backup: (file) => backups.make(file),
        clock,
        status: () => ({
          version,
          startedAt,
          ready: whyClosed() === undefined,
          closed: whyClosed(),
          storage: first.storage.url.startsWith("file:") ? "file" : "remote",
          configHash: generation.config.hash,
          configFile: typeof options.config === "string" ? options.config : undefined,
          listen: listeners[0] && `${listeners[0].address.hostname}:${listeners[0].address.port}`,
          running: scheduler.running,
        }),
      })
    );
  }

  async function stopOnce(graceMs: number): Promise<void> {
    closed ??= "the engine is shutting down";
    await reloading;
    await cron.stop();
    await scheduler.stop(graceMs);
    isBeating = false; // not before: others would take over what still runs
    cancelBeat();
    await Promise.all([janitor.stop(), disk.stop(), backups.stop()]);
    await Promise.all([...generation.queues.values()].map(({ runner }) => runner.close()));
    await Promise.all([...retiring, ...listeners.map((listener) => listener.close())]);
    await store.close();
  }

  const weir: Weir = {
    get config() {
      return generation.config;
    },
    fetch: (request, info) => ingress.fetch(request, info),
    async admin(request, info) {
      if (options.adminToken === undefined) return new Response(null, { status: 404 });
      return (await openAdmin(options.adminToken)).fetch(request, info);
    },
    async start() {
      await store.ping();
      await pauses.load();
      await disk.check();
      if (closed === "the engine has not started") closed = undefined;
      if (store.recovered > 0) {
        const message = `took back ${store.recovered} deliveries of an engine that is gone`;
        observe({ kind: "engine", at: clock.now(), level: "info", message });
      }
      disk.start();
      janitor.start();
      scheduler.start();
      cron.start();
      beat();
    },
    async listen() {
      const { server } = generation.config;
      if (!canParseRequests) {
        const message =
          `on Deno ${Deno.version.deno} (expected ${denoVersionMin}) connections of senders, and how long ` +
          "they are silent, have no limit; put a proxy with timeouts in front of it";
        observe({ kind: "engine", at: clock.now(), level: "info", message });
      }
      const ingest = canParseRequests
        ? openPort(server.listen, ingress, { clock, observe })
        : await listen(server.listen, ingress.fetch, { clock, observe });
      listeners.push(ingest);
      const door = await listen(server.admin, weir.admin, { clock, observe });
      listeners.push(door);
      return ports = { ingest: ingest.address, admin: door.address };
    },
    async publish(publication) {
      const { eventId, status } = await intake.publish(publication);
      return { id: eventId, status };
    },
    observe: addObserver,
    backup: (file) => backups.make(file),
    reload,
    failed: failure.promise,
    stop: ({ graceMs = stopGraceMs } = {}) => stopped ??= stopOnce(graceMs),
  };
  return weir;
}
