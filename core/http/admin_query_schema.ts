/**
 * What may stand in the query or the path of a request to the admin API. Every parameter has a name here: an unknown one
 * is an error, because a mistyped filter would show everything.
 */

import { z } from "@hono/zod-openapi";
import { deliveryStates } from "../domain/delivery.ts";
import { parseMoment } from "../domain/duration.ts";

/** A point in time as a caller writes it; `parseMoment` reads it against the engine's clock. */
export const momentSchema: z.ZodType<string> = z.string().refine((text) => parseMoment(text, 0) !== undefined, {
  error: "must be how long ago (2h, 7d), a date or a time with its zone (2025-01-31T12:00:00Z), or epoch milliseconds",
}).openapi({ description: "how long ago, ISO 8601, or epoch milliseconds", example: "2h" });

/** A filter whose times are read against the engine's clock. */
export function withTimes<Filter extends { readonly since?: string; readonly until?: string }>(
  { since, until, ...filter }: Filter,
  now: number,
): Omit<Filter, "since" | "until"> & { since?: number; until?: number } {
  const read = (text: string | undefined) => text === undefined ? undefined : parseMoment(text, now);
  return { ...filter, since: read(since), until: read(until) };
}

const paging = {
  before: z.coerce.number().int().nonnegative().optional().openapi({ description: "the last page's nextBefore" }),
  limit: z.coerce.number().int().min(1).max(500).default(50),
};

/** Query of GET /api/v1/events. */
export const eventQuerySchema = z.strictObject({
  source: z.string().optional(),
  type: z.string().optional(),
  since: momentSchema.optional(),
  until: momentSchema.optional(),
  ...paging,
});

/** Query of GET /api/v1/dead. */
export const deadQuerySchema = z.strictObject({
  unrepeated: z.enum(["true", "false"]).default("false").transform((text) => text === "true")
    .openapi({ description: "only those that have not been redelivered" }),
  route: z.string().optional(),
  target: z.string().optional(),
  source: z.string().optional(),
  since: momentSchema.optional(),
  until: momentSchema.optional(),
  ...paging,
});

/** Query of GET /api/v1/deliveries. */
export const deliveryQuerySchema = z.strictObject({
  route: z.string().optional(),
  target: z.string().optional(),
  lane: z.string().optional(),
  state: z.enum(deliveryStates).optional(),
  eventId: z.string().optional(),
  source: z.string().optional(),
  since: momentSchema.optional(),
  until: momentSchema.optional(),
  ...paging,
});

/** The id in a path. */
export const idParamSchema = z.object({ id: z.string().min(1).max(64) });
