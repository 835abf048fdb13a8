/**
 * Typed client of the admin API: what every command that looks at a running engine goes through. None of them ever
 * opens the database of a running engine.
 */

import type {
  Bulk,
  DeadPageView,
  DeliveryDetailView,
  DeliveryView,
  EventRow,
  EventView,
  ExplanationView,
  LaneDetailView,
  LaneListView,
  LaneMovedView,
  Page,
  PausedQueuesView,
  PurgeAnswer,
  Replayed,
  SourcePauseView,
  StatusView,
} from "../core/mod.ts";
import { adminTokenFile, adminTokenPath, findAdminToken } from "./admin_token.ts";
import { Failure, UsageError } from "./failure.ts";

/** Where the engine is; the options that all these commands share. */
export interface EngineOptions {
  /** Path of routes.yaml. */
  readonly config: string;
  /** The admin address, when it is not the one of routes.yaml. */
  readonly admin?: string;
}

/** Which deliveries. Times are as `parseMoment` of the engine reads them: `2h` is two hours ago. */
export interface DeliveryFilter {
  readonly route?: string;
  readonly target?: string;
  readonly lane?: string;
  readonly state?: string;
  readonly source?: string;
  readonly since?: string;
  readonly until?: string;
}

/** Which deliveries to list. */
export interface DeliveryQuery extends DeliveryFilter {
  readonly eventId?: string;
  readonly before?: number;
  readonly limit?: number;
}

/** Which events. */
export interface EventFilter {
  readonly source?: string;
  readonly type?: string;
  readonly since?: string;
  readonly until?: string;
}

/** Which events to list. */
export interface EventQuery extends EventFilter {
  readonly before?: number;
  readonly limit?: number;
}

/** Which lanes to list. */
export interface LaneQuery {
  readonly route?: string;
  readonly target?: string;
  readonly lane?: string;
  readonly state?: string;
  readonly limit?: number;
}

/** Names one lane. */
export interface LaneName {
  readonly route: string;
  readonly target?: string;
  readonly lane: string;
}

/** One piece of an action on many. */
export interface BulkCall {
  readonly filter: DeliveryFilter;
  readonly dryRun?: boolean;
  readonly after?: number;
  readonly before?: number;
}

/** One piece of an action on many events. */
export interface EventsCall {
  readonly ids?: readonly string[];
  readonly filter?: EventFilter;
  readonly dryRun?: boolean;
  readonly after?: number;
  readonly before?: number;
}

/** One piece of a replay. */
export interface ReplayCall extends EventsCall {
  readonly routes?: readonly string[];
}

/** Longest wait for an answer. A piece of an action on many is a thousand small writes. */
const answerTimeoutMs = 30_000;

/** Longest wait for a backup: a large log takes its time. */
const backupTimeoutMs = 3_600_000;

/** The admin API of one engine. Every method throws {@link Failure} with what a person can do about it. */
export interface Client {
  status(): Promise<StatusView>;
  events(query: EventQuery): Promise<Page<EventRow>>;
  event(id: string): Promise<EventView>;
  explain(id: string): Promise<ExplanationView>;
  replay(call: ReplayCall): Promise<Replayed>;
  purge(call: EventsCall): Promise<PurgeAnswer>;
  backup(file: string): Promise<{ bytes: number; durationMs: number }>;
  deliveries(query: DeliveryQuery): Promise<Page<DeliveryView>>;
  delivery(id: string): Promise<DeliveryDetailView>;
  dead(query: DeliveryQuery & { unrepeated?: boolean }): Promise<DeadPageView>;
  redeliver(id: string): Promise<{ id: string }>;
  cancel(id: string): Promise<void>;
  skip(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  redeliverMany(call: BulkCall): Promise<Bulk>;
  cancelMany(call: BulkCall): Promise<Bulk>;
  lanes(query: LaneQuery): Promise<LaneListView>;
  lane(query: LaneName & { after?: number; limit?: number }): Promise<LaneDetailView>;
  /** Answers with the delivery that was at the head. */
  skipLane(lane: LaneName): Promise<LaneMovedView>;
  resumeLane(lane: LaneName): Promise<LaneMovedView>;
  pauseQueues(queues: { route: string; target?: string; reason?: string }): Promise<PausedQueuesView>;
  resumeQueues(queues: { route: string; target?: string }): Promise<PausedQueuesView>;
  pauseSource(source: { name: string; reason?: string }): Promise<SourcePauseView>;
  resumeSource(source: { name: string }): Promise<SourcePauseView>;
}

/** Finds the engine of a project: its address and its token. */
export async function connect(options: EngineOptions): Promise<Client> {
  const token = await findAdminToken(options.config);
  if (token === undefined) {
    throw new Failure(
      `no admin token: set WEIR_ADMIN_TOKEN, or run \`weir serve\`, which writes ${adminTokenPath(options.config)}`,
    );
  }
  const url = options.admin ?? Deno.env.get("WEIR_ADMIN_URL") ?? await adminUrl(options.config);
  if (!URL.canParse(url)) throw new UsageError(`the admin address must be a URL, got ${JSON.stringify(url)}`);
  return createClient(url, token);
}

/** Makes a client for an address and a token that are already known. */
export function createClient(url: string, token: string): Client {
  const base = `${url.replace(/\/+$/, "")}/api/v1`;
  const ask = <Answer>(path: string) => request(`${base}${path}`, { method: "GET", token }) as Promise<Answer>;
  const tell = <Answer>(path: string, body?: object, timeoutMs?: number) =>
    request(`${base}${path}`, { method: "POST", token, body, timeoutMs }) as Promise<Answer>;
  return {
    status: () => ask("/status"),
    events: (query) => ask(`/events${queryText(query)}`),
    event: (id) => ask(`/events/${encodeURIComponent(id)}`),
    deliveries: (query) => ask(`/deliveries${queryText(query)}`),
    delivery: (id) => ask(`/deliveries/${encodeURIComponent(id)}`),
    dead: (query) => ask(`/dead${queryText(query)}`),
    explain: (id) => ask(`/events/${encodeURIComponent(id)}/explain`),
    replay: (call) => tell("/events/replay", call),
    purge: (call) => tell("/events/purge", call),
    backup: (file) => tell("/backup", { file }, backupTimeoutMs),
    redeliver: (id) => tell(`/deliveries/${encodeURIComponent(id)}/redeliver`),
    cancel: (id) => tell(`/deliveries/${encodeURIComponent(id)}/cancel`),
    skip: (id) => tell(`/deliveries/${encodeURIComponent(id)}/skip`),
    resume: (id) => tell(`/deliveries/${encodeURIComponent(id)}/resume`),
    redeliverMany: (call) => tell("/deliveries/redeliver", call),
    cancelMany: (call) => tell("/deliveries/cancel", call),
    lanes: (query) => ask(`/lanes${queryText(query)}`),
    lane: (query) => ask(`/lanes/show${queryText(query)}`),
    skipLane: (lane) => tell("/lanes/skip", lane),
    resumeLane: (lane) => tell("/lanes/resume", lane),
    pauseQueues: (queues) => tell("/queues/pause", queues),
    resumeQueues: (queues) => tell("/queues/resume", queues),
    pauseSource: (source) => tell("/sources/pause", source),
    resumeSource: (source) => tell("/sources/resume", source),
  };
}

/** The URL of a listen address as this machine reaches it. */
export function localUrl(address: { hostname: string; port: number }): string {
  const any: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  const hostname = any[address.hostname] ?? address.hostname;
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${address.port}`;
}

async function request(
  url: string,
  call: { method: string; token: string; body?: object; timeoutMs?: number },
): Promise<unknown> {
  let response: Response;
  let answer: string;
  try {
    response = await fetch(url, {
      method: call.method,
      headers: {
        authorization: `Bearer ${call.token}`,
        accept: "application/json",
        ...(call.body && { "content-type": "application/json" }),
      },
      body: call.body && JSON.stringify(call.body),
      redirect: "error",
      signal: AbortSignal.timeout(call.timeoutMs ?? answerTimeoutMs),
    });
    answer = await response.text();
  } catch (thrown) {
    throw new Failure(
      `no engine answers at ${new URL(url).origin}: is \`weir serve\` running, and is this its admin address? ` +
        `(${(thrown as Error).message})`,
    );
  }
  const body = parseAnswer(answer);
  if (response.ok) return body;
  if (response.status === 401) {
    throw new Failure(
      `the engine at ${new URL(url).origin} refused the admin token: it was started with another one ` +
        `(WEIR_ADMIN_TOKEN, or ${adminTokenFile} beside its routes.yaml)`,
    );
  }
  const problem = body as { detail?: string; issues?: { path: string; message: string }[] } | undefined;
  const text = problem?.detail ?? `the engine answered ${response.status} to ${call.method} ${url}`;
  // What the command was called with is all that such a request is made of.
  if (response.status === 400) {
    throw new UsageError(
      [text, ...(problem?.issues ?? []).map(({ path, message }) => `${path}: ${message}`)].join("; "),
    );
  }
  throw new Failure(text);
}

function parseAnswer(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function queryText(query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined).map((
    [name, value],
  ) => [name, `${value}`]);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

async function adminUrl(config: string): Promise<string> {
  const { readAdminAddress } = await import("../core/mod.ts");
  const address = await readAdminAddress(config);
  if (address !== undefined) return localUrl(address);
  throw new Failure(
    `cannot tell the engine's admin address, because ${config} is not valid (see \`weir check\`): ` +
      "mend it, or name the address with --admin http://HOST:PORT",
  );
}
