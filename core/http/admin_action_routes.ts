/**
 * The second table of the admin API: what a person can do about lanes, queues, sources and many deliveries at once, and
 * how to ask why. `admin_actions.ts` says what each one does.
 */

import { createRoute, type z } from "@hono/zod-openapi";
import {
  backupBodySchema,
  backupSchema,
  bulkBodySchema,
  bulkSchema,
  explanationSchema,
  laneBodySchema,
  laneDetailSchema,
  laneListSchema,
  laneMovedSchema,
  laneQuerySchema,
  laneShowQuerySchema,
  pausedQueuesSchema,
  purgeBodySchema,
  purgedSchema,
  queueBodySchema,
  queuePauseBodySchema,
  replayBodySchema,
  replayedSchema,
  sourceBodySchema,
  sourcePauseBodySchema,
  sourcePauseSchema,
} from "./admin_action_schema.ts";
import { idParamSchema as params } from "./admin_query_schema.ts";
import { badQuery, json, noSuchDelivery, noSuchEvent, noSuchName, refusal } from "./admin_routes.ts";
import { movedSchema } from "./admin_schema.ts";

function body<S extends z.ZodType>(schema: S) {
  return { body: { required: true, content: { "application/json": { schema } } } };
}

const noSuchLane = { 404: refusal("There is nothing open in such a lane") };
const noSuchQueue = { 404: refusal("There is no such route or target") };
const noSuchSource = { 404: refusal("There is no such source") };
const moved = json("It has been moved", movedSchema);
const laneMoved = json("Its head has been moved", laneMovedSchema);

export const lanesRoute = createRoute({
  method: "get",
  path: "/api/v1/lanes",
  summary: "Lanes with something open in them, the longest first",
  request: { query: laneQuerySchema },
  responses: { 200: json("The lanes", laneListSchema), ...badQuery, ...noSuchName },
});

export const laneRoute = createRoute({
  method: "get",
  path: "/api/v1/lanes/show",
  summary: "One lane: its head, and what waits behind it in order",
  request: { query: laneShowQuerySchema },
  responses: { 200: json("The lane", laneDetailSchema), ...badQuery, ...noSuchLane },
});

export const laneSkipRoute = createRoute({
  method: "post",
  path: "/api/v1/lanes/skip",
  summary: "Ends the head of a lane as skipped; the lane goes on",
  request: body(laneBodySchema),
  responses: { 200: laneMoved, ...badQuery, ...noSuchLane, 409: refusal("The head is running") },
});

export const laneResumeRoute = createRoute({
  method: "post",
  path: "/api/v1/lanes/resume",
  summary: "Runs the parked head of a lane again, with fresh attempts",
  request: body(laneBodySchema),
  responses: { 200: laneMoved, ...badQuery, ...noSuchLane, 409: refusal("The head is not parked") },
});

export const skipRoute = createRoute({
  method: "post",
  path: "/api/v1/deliveries/{id}/skip",
  summary: "Ends a delivery that is waiting as skipped; its lane goes on",
  request: { params },
  responses: { 200: moved, ...noSuchDelivery, 409: refusal("It is running, or finished") },
});

export const resumeRoute = createRoute({
  method: "post",
  path: "/api/v1/deliveries/{id}/resume",
  summary: "Runs a parked delivery again, with fresh attempts",
  request: { params },
  responses: { 200: moved, ...noSuchDelivery, 409: refusal("It is not parked") },
});

export const queuePauseRoute = createRoute({
  method: "post",
  path: "/api/v1/queues/pause",
  summary: "Stops taking from the queues of a route, or from one of them",
  request: body(queuePauseBodySchema),
  responses: { 200: json("These queues are paused", pausedQueuesSchema), ...badQuery, ...noSuchQueue },
});

export const queueResumeRoute = createRoute({
  method: "post",
  path: "/api/v1/queues/resume",
  summary: "Takes from them again",
  request: body(queueBodySchema),
  responses: { 200: json("These queues go on", pausedQueuesSchema), ...badQuery, ...noSuchQueue },
});

export const sourcePauseRoute = createRoute({
  method: "post",
  path: "/api/v1/sources/pause",
  summary: "Answers the requests of a source with 503; one that is a clock does not tick",
  request: body(sourcePauseBodySchema),
  responses: {
    200: json("The source is paused", sourcePauseSchema),
    ...badQuery,
    ...noSuchSource,
    409: refusal("The program itself publishes under it"),
  },
});

export const sourceResumeRoute = createRoute({
  method: "post",
  path: "/api/v1/sources/resume",
  summary: "Takes its requests again, or lets it tick",
  request: body(sourceBodySchema),
  responses: { 200: json("The source goes on", sourcePauseSchema), ...badQuery, ...noSuchSource },
});

export const bulkRedeliverRoute = createRoute({
  method: "post",
  path: "/api/v1/deliveries/redeliver",
  summary: "Makes new deliveries from the finished ones that match, each the latest of its lineage, in order",
  request: body(bulkBodySchema),
  responses: {
    200: json("How many", bulkSchema),
    ...badQuery,
    ...noSuchName,
    409: refusal("That state is not a finished one"),
  },
});

export const bulkCancelRoute = createRoute({
  method: "post",
  path: "/api/v1/deliveries/cancel",
  summary: "Cancels what matches and is neither running nor finished, in order",
  request: body(bulkBodySchema),
  responses: {
    200: json("How many", bulkSchema),
    ...badQuery,
    ...noSuchName,
    409: refusal("Nothing is cancelled in that state"),
  },
});

export const replayRoute = createRoute({
  method: "post",
  path: "/api/v1/events/replay",
  summary: "Routes old events by the routes of now; new lineages",
  request: body(replayBodySchema),
  responses: { 200: json("Deliveries by route", replayedSchema), ...badQuery, ...noSuchName },
});

export const purgeRoute = createRoute({
  method: "post",
  path: "/api/v1/events/purge",
  summary: "Erases events with everything that belongs to them, finished or not",
  request: body(purgeBodySchema),
  responses: { 200: json("How many", purgedSchema), ...badQuery, ...noSuchName },
});

export const backupRoute = createRoute({
  method: "post",
  path: "/api/v1/backup",
  summary: "Copies the log, as it is now, into a file that does not exist yet",
  request: body(backupBodySchema),
  responses: { 200: json("The copy is whole", backupSchema), ...badQuery, 409: refusal("There is no copy, and why") },
});

export const explainRoute = createRoute({
  method: "get",
  path: "/api/v1/events/{id}/explain",
  summary: "Why each route takes the event or does not, and what its deliveries wait for",
  request: { params },
  responses: { 200: json("Why", explanationSchema), ...noSuchEvent },
});
