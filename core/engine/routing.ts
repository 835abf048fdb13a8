/**
 * Where an event goes by the configuration at work: the queues, the lane in each, and why it has to wait for a person.
 * The intake routes what arrives, a replay what has been in the log for long, and both by this.
 */

import type { HeaderMap } from "../domain/event.ts";
import type { Scope } from "../domain/expression.ts";
import { shortReason } from "../domain/outcome.ts";
import { type EventVersion, match, type RouteDecision } from "../domain/route.ts";
import type { NewDelivery } from "../store/store.ts";
import type { Generation, Queue } from "./generation.ts";

/** What an expression can see of an event. */
export interface RoutableEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time?: number;
  readonly body: unknown;
}

/** What an expression can see of the request that carried it. */
export interface RoutableRequest {
  readonly headers: HeaderMap;
  readonly query: string;
  readonly receivedAt: number;
}

/** One place where an event goes. */
export interface Routed {
  readonly queue: Queue;
  readonly lane?: string;
  readonly version?: EventVersion;
  readonly parkedReason?: string;
}

/** Shared by all requests that have none. */
const noQuery: Scope["query"] = Object.freeze({});

/** Puts together what expressions see. */
export function scopeOf(event: RoutableEvent, request: RoutableRequest): Scope {
  const { id, source, type, time, body } = event;
  return {
    event: { id, source, type, time, receivedAt: request.receivedAt },
    body,
    headers: request.headers,
    query: request.query === "" ? noQuery : Object.fromEntries(new URLSearchParams(request.query)),
  };
}

/**
 * Holds an event against every route.
 *
 * @param parkedReason why a person has to look at it wherever it goes
 */
export function routeEvent(scope: Scope, generation: Generation, parkedReason?: string): Routed[] {
  return match(generation.routesFrom(scope.event.source), scope)
    .flatMap((decision) => placesOf(decision, generation, parkedReason));
}

function placesOf(decision: RouteDecision, generation: Generation, parked: string | undefined): Routed[] {
  if (decision.kind === "unmatched") return [];
  const parkedReason = parked ?? (decision.kind === "parked" ? decision.reason : undefined);
  // Whatever failed, it keeps its place in its lane: what comes after it must not pass it while a person looks.
  const { lane } = decision;
  const version = lane === undefined ? undefined : decision.version;
  return generation.queuesOf(decision.route).map((queue) => ({ queue, lane, version, parkedReason }));
}

/**
 * The routes that have an order in which an event has no place. One that waits for a person is none of them: why it has
 * no lane is what that person looks at.
 *
 * @returns undefined when there are none, as it is for nearly every event
 */
export function routesWithoutLane(places: readonly Routed[]): string[] | undefined {
  const found = places.filter(({ queue, lane, parkedReason }) =>
    queue.route.orderBy !== undefined && lane === undefined && parkedReason === undefined
  );
  // A route with several targets has several queues, and passed over its order once.
  return found.length === 0 ? undefined : [...new Set(found.map(({ queue }) => queue.route.name))];
}

/**
 * Makes the delivery for one place.
 *
 * @param receivedAt of its event; the route's delay counts from there
 */
export function toDelivery(
  { queue, lane, version, parkedReason }: Routed,
  made: { id: string; receivedAt: number },
): NewDelivery {
  const { delayMs } = queue.route;
  return {
    id: made.id,
    queue: queue.id,
    lane,
    version,
    dueAt: delayMs === undefined ? undefined : made.receivedAt + delayMs,
    parkedReason: parkedReason === undefined ? undefined : shortReason(parkedReason),
  };
}
