/**
 * The table of the admin API: each path with what it takes and what it answers. `admin.ts` says what each one does, and
 * the OpenAPI document is made of this.
 */

import { createRoute, type z } from "@hono/zod-openapi";
import {
  createdSchema,
  deadPageSchema,
  deliveryPageSchema,
  deliverySchema,
  eventPageSchema,
  eventSchema,
  issuesProblemSchema,
  movedSchema,
  problemSchema,
  reloadedSchema,
  routeListSchema,
  sourceListSchema,
  statusSchema,
} from "./admin_schema.ts";
import { deadQuerySchema, deliveryQuerySchema, eventQuerySchema, idParamSchema } from "./admin_query_schema.ts";

/** An answer in JSON. */
export function json<S extends z.ZodType>(description: string, schema: S) {
  return { description, content: { "application/json": { schema } } };
}

/** A problem document. */
export function refusal(description: string) {
  return { description, content: { "application/problem+json": { schema: problemSchema } } };
}

/** A problem document that says where. */
export function issues(description: string) {
  return { description, content: { "application/problem+json": { schema: issuesProblemSchema } } };
}

const params = idParamSchema;
/** What a wrong request is answered. */
export const badQuery = { 400: issues("A parameter is unknown or wrong") };
/** What an unknown id is answered. */
export const noSuchEvent = { 404: refusal("There is no such event") };
/** What an unknown id is answered. */
export const noSuchDelivery = { 404: refusal("There is no such delivery") };
/** What a name is answered that neither the configuration nor the log knows. */
export const noSuchName = { 404: refusal("There is no such route, target or source") };

export const statusRoute = createRoute({
  method: "get",
  path: "/api/v1/status",
  summary: "How the engine is, and its queues",
  responses: { 200: json("The status", statusSchema) },
});

export const eventsRoute = createRoute({
  method: "get",
  path: "/api/v1/events",
  summary: "Events, newest first",
  request: { query: eventQuerySchema },
  responses: { 200: json("A page", eventPageSchema), ...badQuery, ...noSuchName },
});

export const eventRoute = createRoute({
  method: "get",
  path: "/api/v1/events/{id}",
  summary: "One event with its body and its deliveries",
  request: { params },
  responses: { 200: json("The event", eventSchema), ...noSuchEvent },
});

export const deliveriesRoute = createRoute({
  method: "get",
  path: "/api/v1/deliveries",
  summary: "Deliveries, newest first",
  request: { query: deliveryQuerySchema },
  responses: { 200: json("A page", deliveryPageSchema), ...badQuery, ...noSuchName },
});

export const deadRoute = createRoute({
  method: "get",
  path: "/api/v1/dead",
  summary: "Dead letters, newest first",
  request: { query: deadQuerySchema },
  responses: { 200: json("A page", deadPageSchema), ...badQuery, ...noSuchName },
});

export const deliveryRoute = createRoute({
  method: "get",
  path: "/api/v1/deliveries/{id}",
  summary: "One delivery with its attempts",
  request: { params },
  responses: { 200: json("The delivery", deliverySchema), ...noSuchDelivery },
});

export const redeliverRoute = createRoute({
  method: "post",
  path: "/api/v1/deliveries/{id}/redeliver",
  summary: "Makes a new delivery from a finished one",
  request: { params },
  responses: { 201: json("The new delivery", createdSchema), ...noSuchDelivery, 409: refusal("It is not finished") },
});

export const cancelRoute = createRoute({
  method: "post",
  path: "/api/v1/deliveries/{id}/cancel",
  summary: "Cancels a delivery that is waiting",
  request: { params },
  responses: {
    200: json("It is cancelled", movedSchema),
    ...noSuchDelivery,
    409: refusal("It is running, or finished"),
  },
});

export const routesRoute = createRoute({
  method: "get",
  path: "/api/v1/routes",
  summary: "The routes as they are configured now",
  responses: { 200: json("All routes", routeListSchema) },
});

export const sourcesRoute = createRoute({
  method: "get",
  path: "/api/v1/sources",
  summary: "The sources as they are configured now, without their secrets",
  responses: { 200: json("All sources", sourceListSchema) },
});

export const reloadRoute = createRoute({
  method: "post",
  path: "/api/v1/config/reload",
  summary: "Reads the configuration again; on any mistake the old one stays",
  responses: {
    200: json("The configuration that is used now", reloadedSchema),
    422: issues("Nothing was changed; these are the mistakes"),
  },
});
