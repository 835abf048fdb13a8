/**
 * What the admin API takes and gives, once: the TypeScript types that its clients use, and the schemas that check the
 * queries and make the OpenAPI document. Each schema is held against its type by the compiler.
 */

import { z } from "@hono/zod-openapi";
import type { BreakerPhase } from "../domain/breaker.ts";
import { type DeliveryState, deliveryStates } from "../domain/delivery.ts";
import type { Rate } from "../domain/duration.ts";
import type { HeaderMap } from "../domain/event.ts";
import type { Permissions } from "../domain/handler.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import { type Waiting, waitingKinds } from "../domain/waiting.ts";
import type { ReloadEffect } from "../engine/reload_effect.ts";
import type {
  AttemptRow,
  DeliveryDetail,
  DeliveryRow,
  EventDetail,
  EventRow,
  Page,
  Paused,
  QueueRow,
} from "../store/store.ts";
import type { ProblemDocument } from "./problem.ts";

/** How the engine is. */
export interface EngineStatus {
  readonly version: string;
  readonly startedAt: number;
  /** Whether requests are taken now. */
  readonly ready: boolean;
  /** Why not. */
  readonly closed?: string;
  readonly storage: "file" | "remote";
  readonly configHash: string;
  readonly configFile?: string;
  /** The ingest address, `host:port`; absent when the engine is mounted in another program. */
  readonly listen?: string;
  /** Attempts going on now. */
  readonly running: number;
}

/** GET /api/v1/status. */
export interface StatusView extends EngineStatus {
  readonly queues: readonly QueueView[];
  /** Open deliveries whose route or target is not in the configuration. */
  readonly orphaned: number;
  readonly pausedSources: readonly PausedSource[];
}

/** A source that takes no requests now. */
export interface PausedSource {
  readonly name: string;
  readonly paused: Paused;
}

/** A queue with what the configuration says of it. */
export interface QueueView extends QueueRow {
  /** What its breaker lets through; absent when it has none. */
  readonly phase?: BreakerPhase;
  /** Its route or its target is not in the configuration: nothing of it runs. */
  readonly orphaned: boolean;
}

/** What the configuration of now says of work that has not finished. */
export interface OpenView {
  /** What it waits for; absent while it runs, and once it has finished. */
  readonly waiting?: Waiting;
  /** How long the attempt that goes on may take; absent while none does, and when its route or target is gone. */
  readonly timeoutMs?: number;
}

/** A delivery with what it waits for. */
export interface DeliveryView extends DeliveryRow, OpenView {}

/** GET /api/v1/deliveries/{id}. */
export interface DeliveryDetailView extends DeliveryDetail, OpenView {}

/** GET /api/v1/dead. */
export interface DeadPageView extends Page<DeliveryView> {
  /** How many were left out because they have been redelivered; absent where that was not asked for, and with `before`. */
  readonly repeated?: number;
}

/** GET /api/v1/events/{id}. */
export interface EventView extends Omit<EventDetail, "raw" | "deliveryRows"> {
  readonly deliveryRows: readonly DeliveryView[];
  /** The request's bytes as they came. */
  readonly rawBase64: string;
  /** What handlers see; absent when the bytes cannot be parsed. */
  readonly body?: unknown;
}

/** One entry of GET /api/v1/routes. */
export interface RouteView {
  readonly name: string;
  readonly from: readonly string[];
  readonly on: readonly string[];
  readonly when?: string;
  readonly orderBy?: string;
  readonly onExhausted: string;
  readonly retry: RetryPolicy;
  readonly destinations: readonly DestinationView[];
}

/** Where a route's deliveries go, without anything secret. */
export interface DestinationView {
  readonly kind: "script" | "inline" | "target";
  /** Empty for a handler. */
  readonly target: string;
  readonly timeoutMs: number;
  readonly concurrency: number;
  /** Of a script. */
  readonly file?: string;
  /** Of a script. */
  readonly permissions?: Permissions;
  /** Of a target: scheme, host and port alone, because the rest of a URL may be a secret. */
  readonly origin?: string;
  /** Of a target: the names of the headers that it adds. */
  readonly headerNames?: readonly string[];
}

/** One entry of GET /api/v1/sources. */
export interface SourceView {
  readonly name: string;
  readonly kind: "http" | "publish" | "cron";
  readonly path?: string;
  readonly provider?: string;
  readonly id?: string;
  readonly type?: string;
  readonly split?: string;
  readonly allowIps?: readonly string[];
  readonly bodyBytesMax?: number;
  readonly contentTypes?: readonly string[];
  readonly rateLimit?: Rate;
  readonly hasSchema?: boolean;
  /** Of a cron source. */
  readonly schedule?: string;
  readonly timezone?: string;
  /** Somebody has stopped it. */
  readonly paused?: Paused;
}

/** One mistake in the configuration. */
export interface IssueView {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly path: string;
  readonly message: string;
}

/** The body of a problem that says where it was. */
export interface IssuesProblem extends ProblemDocument {
  readonly issues: readonly IssueView[];
}

/** A number of things. */
export const count: z.ZodType<number> = z.number().int().nonnegative();
/** A point in time. */
export const at: z.ZodType<number> = z.number().openapi({ description: "epoch milliseconds" });
const texts = z.array(z.string());
const headers: z.ZodType<HeaderMap> = z.record(z.string(), z.string());
const state: z.ZodType<DeliveryState> = z.enum(deliveryStates);

const problemMembers = { type: z.string(), title: z.string(), status: z.number().int(), detail: z.string() };

/** An error, RFC 9457. */
export const problemSchema: z.ZodType<ProblemDocument> = z.looseObject(problemMembers).openapi("Problem");

const issue: z.ZodType<IssueView> = z.object({
  file: z.string().optional(),
  line: z.number().int().optional(),
  column: z.number().int().optional(),
  path: z.string(),
  message: z.string(),
});

/** An error with the places that are wrong. */
export const issuesProblemSchema: z.ZodType<IssuesProblem> = z.looseObject({
  ...problemMembers,
  issues: z.array(issue),
}).openapi("IssuesProblem");

/** Somebody stopped a queue or a source. */
export const pausedSchema: z.ZodType<Paused> = z.strictObject({ at, reason: z.string() }).openapi("Paused");

const queueView: z.ZodType<QueueView> = z.strictObject({
  route: z.string(),
  target: z.string(),
  ready: count,
  blocked: count,
  running: count,
  parked: count,
  dead: count,
  oldestAt: at.optional(),
  paused: pausedSchema.optional(),
  breaker: z.strictObject({ failures: count, openUntil: at.optional() }),
  rateAt: z.number(),
  lanes: count,
  laneDepthMax: count,
  laneHeadAt: at.optional(),
  phase: z.enum(["closed", "open", "half-open"]).optional(),
  orphaned: z.boolean(),
}).openapi("Queue");

/** {@link StatusView} */
export const statusSchema: z.ZodType<StatusView> = z.strictObject({
  version: z.string(),
  startedAt: at,
  ready: z.boolean(),
  closed: z.string().optional(),
  storage: z.enum(["file", "remote"]),
  configHash: z.string(),
  configFile: z.string().optional(),
  listen: z.string().optional(),
  running: count,
  queues: z.array(queueView),
  orphaned: count,
  pausedSources: z.array(z.strictObject({ name: z.string(), paused: pausedSchema })),
}).openapi("Status");

const eventMembers = {
  seq: count,
  id: z.string(),
  source: z.string(),
  type: z.string(),
  idempotencyKey: z.string().optional(),
  time: at.optional(),
  receivedAt: at,
  duplicates: count,
  mismatches: count,
  lastDuplicateAt: at.optional(),
  replayOf: z.string().optional(),
  deliveries: z.partialRecord(z.enum(deliveryStates), count),
};

/** {@link Waiting} */
export const waitingSchema: z.ZodType<Waiting> = z.strictObject({
  kind: z.enum(waitingKinds),
  reason: z.string(),
  until: at.optional(),
  head: z.string().optional(),
}).openapi("Waiting");

/** {@link OpenView} */
export const openMembers = { waiting: waitingSchema.optional(), timeoutMs: count.optional() };

const deliveryMembers = {
  seq: count,
  id: z.string(),
  eventId: z.string(),
  eventType: z.string(),
  source: z.string(),
  route: z.string(),
  target: z.string(),
  lane: z.string().optional(),
  state,
  reason: z.string().optional(),
  dueAt: at.optional(),
  behind: z.string().optional(),
  claimedAt: at.optional(),
  executions: count,
  failures: count,
  deaths: count.openapi({ description: "processes that it has taken down" }),
  createdAt: at,
  finishedAt: at.optional(),
  lineage: z.string(),
  redeliveryOf: z.string().optional(),
  origin: z.enum(["event", "redelivery", "replay"]),
  outOfOrder: z.boolean().openapi({
    description:
      "others of its lane may have passed before it was made; assumed after 1,000 later deliveries of any lane",
  }),
  ...openMembers,
};

/** {@link DeliveryView} */
export const deliveryRowSchema: z.ZodType<DeliveryView> = z.strictObject(deliveryMembers).openapi("DeliveryRow");
const eventRow: z.ZodType<EventRow> = z.strictObject(eventMembers).openapi("EventRow");

const attemptRow: z.ZodType<AttemptRow> = z.strictObject({
  n: count,
  startedAt: at,
  finishedAt: at,
  outcome: z.enum(["succeeded", "failed", "rejected", "interrupted"]),
  reason: z.string().optional(),
  output: z.string().optional(),
  codeHash: z.string().optional(),
}).openapi("Attempt");

/** A page of events, newest first. */
export const eventPageSchema: z.ZodType<Page<EventRow>> = z.strictObject({
  rows: z.array(eventRow),
  nextBefore: count.optional(),
}).openapi("EventPage");

/** A page of deliveries, newest first. */
export const deliveryPageSchema: z.ZodType<Page<DeliveryView>> = z.strictObject({
  rows: z.array(deliveryRowSchema),
  nextBefore: count.optional(),
}).openapi("DeliveryPage");

/** {@link DeadPageView} */
export const deadPageSchema: z.ZodType<DeadPageView> = z.strictObject({
  rows: z.array(deliveryRowSchema),
  nextBefore: count.optional(),
  repeated: count.optional(),
}).openapi("DeadPage");

/** {@link EventView} */
export const eventSchema: z.ZodType<EventView> = z.strictObject({
  ...eventMembers,
  query: z.string(),
  headers,
  item: z.string().optional(),
  deliveryRows: z.array(deliveryRowSchema),
  rawBase64: z.string(),
  body: z.unknown().optional(),
}).openapi("Event");

/** Everything about one delivery. */
export const deliverySchema: z.ZodType<DeliveryDetailView> = z.strictObject({
  ...deliveryMembers,
  result: z.string().optional(),
  redeliveredAs: z.strictObject({ id: z.string(), state }).optional(),
  attempts: z.array(attemptRow),
}).openapi("Delivery");

const destination: z.ZodType<DestinationView> = z.strictObject({
  kind: z.enum(["script", "inline", "target"]),
  target: z.string(),
  timeoutMs: count,
  concurrency: count,
  file: z.string().optional(),
  permissions: z.object({ net: texts, env: texts, read: texts }).optional(),
  origin: z.string().optional(),
  headerNames: texts.optional(),
});

/** {@link RouteView} */
export const routeListSchema: z.ZodType<readonly RouteView[]> = z.array(
  z.strictObject({
    name: z.string(),
    from: texts,
    on: texts,
    when: z.string().optional(),
    orderBy: z.string().optional(),
    onExhausted: z.string(),
    retry: z.object({ attempts: count, scheduleMs: z.array(count), jitter: z.number() }),
    destinations: z.array(destination),
  }).openapi("Route"),
);

/** {@link SourceView} */
export const sourceListSchema: z.ZodType<readonly SourceView[]> = z.array(
  z.strictObject({
    name: z.string(),
    kind: z.enum(["http", "publish", "cron"]),
    path: z.string().optional(),
    provider: z.string().optional(),
    id: z.string().optional(),
    type: z.string().optional(),
    split: z.string().optional(),
    allowIps: texts.optional(),
    bodyBytesMax: count.optional(),
    contentTypes: texts.optional(),
    rateLimit: z.object({ count, perMs: count }).optional(),
    hasSchema: z.boolean().optional(),
    schedule: z.string().optional(),
    timezone: z.string().optional(),
    paused: pausedSchema.optional(),
  }).openapi("Source"),
);

/** The id of a delivery that was made. */
export const createdSchema: z.ZodType<{ readonly id: string }> = z.strictObject({ id: z.string() }).openapi("Created");

/** A delivery that a person has moved. */
export const movedSchema: z.ZodType<{ readonly id: string; readonly state: DeliveryState }> = z.strictObject({
  id: z.string(),
  state,
}).openapi("Moved");

/** The configuration that is used now, and what it means for what is open. */
export const reloadedSchema: z.ZodType<ReloadEffect & { readonly configHash: string }> = z.strictObject({
  configHash: z.string(),
  orphaned: count,
  reorderedLanes: count,
}).openapi("Reloaded");
