/**
 * What the admin API takes and gives where a person acts: lanes, pauses, many deliveries at once, replays, and the
 * explanation of one event. The rest is in `admin_schema.ts`, and the same holds here.
 */

import { z } from "@hono/zod-openapi";
import type { Source } from "../domain/config.ts";
import { type DeliveryState, deliveryStates } from "../domain/delivery.ts";
import type { RouteDecision } from "../domain/route.ts";
import { type Bulk, bulkRowsMax } from "../engine/bulk.ts";
import type { PurgeAnswer } from "../engine/purge.ts";
import { type Replayed, replayEventsMax } from "../engine/replay.ts";
import type { Backup } from "../store/backup.ts";
import type { LaneRow, Paused } from "../store/store.ts";
import {
  at,
  count,
  type DeliveryDetailView,
  deliveryRowSchema,
  deliverySchema,
  type DeliveryView,
  openMembers,
  type OpenView,
  pausedSchema,
} from "./admin_schema.ts";
import { momentSchema } from "./admin_query_schema.ts";

/** A lane with what its head waits for, or how long it may run. */
export interface LaneView extends LaneRow, OpenView {}

/** GET /api/v1/lanes. */
export interface LaneListView {
  readonly rows: readonly LaneView[];
}

/** GET /api/v1/lanes/show. */
export interface LaneDetailView extends LaneView {
  readonly headDelivery: DeliveryDetailView;
  /** What waits behind the head, in order. */
  readonly behind: readonly DeliveryView[];
  /** There are more: hand it back as `after`. */
  readonly nextAfter?: number;
}

/** The head of a lane that a person has moved. */
export interface LaneMovedView {
  readonly id: string;
  readonly state: DeliveryState;
  /** Its queue is paused all the same: nothing of the lane runs until that is ended. */
  readonly paused?: Paused;
}

/** What a pause, or its end, did. */
export interface PausedQueuesView {
  readonly queues: readonly { readonly route: string; readonly target: string; readonly paused?: Paused }[];
}

/** What a pause of a source, or its end, did. */
export interface SourcePauseView {
  readonly name: string;
  /** Absent when it is no longer in the configuration. */
  readonly kind?: Source["kind"];
  readonly paused?: Paused;
}

/** Why one route takes an event, or does not, by the configuration of now. */
export interface RouteExplanation {
  readonly route: string;
  readonly decision: RouteDecision["kind"];
  /** Why it does not match, or why a person would have to look. */
  readonly reason?: string;
  readonly lane?: string;
  readonly version?: number;
}

/** GET /api/v1/events/{id}/explain. */
export interface ExplanationView {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly receivedAt: number;
  readonly idempotencyKey?: string;
  readonly duplicates: number;
  readonly mismatches: number;
  readonly lastDuplicateAt?: number;
  readonly replayOf?: string;
  /** Why its source's `id` or `type` gives nothing for it, by the configuration of now. */
  readonly fault?: string;
  readonly routes: readonly RouteExplanation[];
  readonly deliveries: readonly DeliveryView[];
}

const laneMembers = {
  route: z.string(),
  target: z.string(),
  lane: z.string(),
  depth: count,
  head: z.string(),
  headState: z.enum(deliveryStates),
  headReason: z.string().optional(),
  headDueAt: at.optional(),
  headExecutions: count,
  headFailures: count,
  headClaimedAt: at.optional(),
  headAt: at,
  ...openMembers,
};

/** {@link LaneListView} */
export const laneListSchema: z.ZodType<LaneListView> = z.strictObject({
  rows: z.array(z.strictObject(laneMembers).openapi("Lane")),
}).openapi("LaneList");

/** {@link LaneDetailView} */
export const laneDetailSchema: z.ZodType<LaneDetailView> = z.strictObject({
  ...laneMembers,
  headDelivery: deliverySchema,
  behind: z.array(deliveryRowSchema),
  nextAfter: count.optional(),
}).openapi("LaneDetail");

/** {@link LaneMovedView} */
export const laneMovedSchema: z.ZodType<LaneMovedView> = z.strictObject({
  id: z.string(),
  state: z.enum(deliveryStates),
  paused: pausedSchema.optional(),
}).openapi("LaneMoved");

/** {@link PausedQueuesView} */
export const pausedQueuesSchema: z.ZodType<PausedQueuesView> = z.strictObject({
  queues: z.array(z.strictObject({ route: z.string(), target: z.string(), paused: pausedSchema.optional() })),
}).openapi("PausedQueues");

/** {@link SourcePauseView} */
export const sourcePauseSchema: z.ZodType<SourcePauseView> = z.strictObject({
  name: z.string(),
  kind: z.enum(["http", "publish", "cron"]).optional(),
  paused: pausedSchema.optional(),
}).openapi("SourcePause");

/** {@link Bulk} */
export const bulkSchema: z.ZodType<Bulk> = z.strictObject({
  matched: count.optional(),
  done: count,
  nextAfter: count.optional(),
  before: count,
  until: at.optional(),
}).openapi("Bulk");

/** {@link Replayed} */
export const replayedSchema: z.ZodType<Replayed> = z.strictObject({
  events: count,
  unrouted: count,
  routes: z.record(z.string(), count),
  missing: z.array(z.string()),
  nextAfter: count.optional(),
  before: count,
  until: at.optional(),
}).openapi("Replayed");

/** {@link PurgeAnswer} */
export const purgedSchema: z.ZodType<PurgeAnswer> = z.strictObject({
  events: count,
  deliveries: count,
  unfinished: count.openapi({ description: "of these deliveries, those that had not come to their end" }),
  running: count,
  next: count.optional(),
  before: count,
  until: at.optional(),
}).openapi("Purged");

/** A copy of the log that stands. */
export const backupSchema: z.ZodType<Backup & { readonly ok: true }> = z.strictObject({
  ok: z.literal(true),
  bytes: count,
  durationMs: count,
}).openapi("Backup");

/** {@link ExplanationView} */
export const explanationSchema: z.ZodType<ExplanationView> = z.strictObject({
  id: z.string(),
  source: z.string(),
  type: z.string(),
  receivedAt: at,
  idempotencyKey: z.string().optional(),
  duplicates: count,
  mismatches: count,
  lastDuplicateAt: at.optional(),
  replayOf: z.string().optional(),
  fault: z.string().optional().openapi({ description: "why its source's id or type gives nothing for it" }),
  routes: z.array(
    z.strictObject({
      route: z.string(),
      decision: z.enum(["matched", "parked", "unmatched"]),
      reason: z.string().optional(),
      lane: z.string().optional(),
      version: z.number().optional(),
    }),
  ),
  deliveries: z.array(deliveryRowSchema),
}).openapi("Explanation");

/** Query of GET /api/v1/lanes. */
export const laneQuerySchema = z.strictObject({
  route: z.string().optional(),
  target: z.string().optional(),
  lane: z.string().optional(),
  state: z.enum(["ready", "running", "parked"]).optional().openapi({ description: "the state of its head" }),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});

/** Query of GET /api/v1/lanes/show. */
export const laneShowQuerySchema = z.strictObject({
  route: z.string(),
  target: z.string().default(""),
  lane: z.string(),
  after: z.coerce.number().int().nonnegative().default(0).openapi({ description: "the last page's nextAfter" }),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});

/** Names one lane. */
export const laneBodySchema = z.strictObject({ route: z.string(), target: z.string().default(""), lane: z.string() });

/** Body of a pause. Its reason is shown wherever somebody wonders. */
const pauseReason = z.string().min(1).max(500).default("paused by a person");

/** Names the queues of a route, or one of them. */
export const queueBodySchema = z.strictObject({ route: z.string(), target: z.string().optional() });

/** {@link queueBodySchema}, and why. */
export const queuePauseBodySchema = queueBodySchema.extend({ reason: pauseReason });

/** Names a source. */
export const sourceBodySchema = z.strictObject({ name: z.string() });

/** {@link sourceBodySchema}, and why. */
export const sourcePauseBodySchema = sourceBodySchema.extend({ reason: pauseReason });

const moments = { since: momentSchema.optional(), until: momentSchema.optional() };

const pieces = {
  dryRun: z.boolean().default(false),
  after: z.number().int().nonnegative().optional().openapi({ description: "the last answer's nextAfter" }),
  before: z.number().int().nonnegative().optional().openapi({ description: "the first answer's before" }),
};

/** Body of POST /api/v1/deliveries/redeliver and /cancel. An empty filter is everything; it has to be said all the same. */
export const bulkBodySchema = z.strictObject({
  filter: z.strictObject({
    route: z.string().optional(),
    target: z.string().optional(),
    lane: z.string().optional(),
    state: z.enum(deliveryStates).optional(),
    source: z.string().optional(),
    ...moments,
  }),
  ...pieces,
  limit: z.number().int().min(1).max(bulkRowsMax).default(bulkRowsMax),
});

/** Names events, or describes them. */
const events = {
  ids: z.array(z.string().min(1).max(64)).min(1).max(replayEventsMax).optional(),
  filter: z.strictObject({ source: z.string().optional(), type: z.string().optional(), ...moments }).optional(),
};
const namesOrDescribes = ({ ids, filter }: { ids?: unknown; filter?: unknown }) =>
  (ids === undefined) !== (filter === undefined);
const namesOrDescribesError = { error: "name events by ids, or by a filter: one of the two" };

/** Body of POST /api/v1/events/replay. */
export const replayBodySchema = z.strictObject({
  ...events,
  routes: z.array(z.string()).min(1).optional(),
  ...pieces,
  limit: z.number().int().min(1).max(replayEventsMax).default(replayEventsMax),
}).refine(namesOrDescribes, namesOrDescribesError);

/** Body of POST /api/v1/events/purge. */
export const purgeBodySchema = z.strictObject({ ...events, ...pieces }).refine(namesOrDescribes, namesOrDescribesError);

/** Body of POST /api/v1/backup. */
export const backupBodySchema = z.strictObject({
  file: z.string().min(1).openapi({ description: "an absolute path on the engine's machine; nothing is overwritten" }),
});
