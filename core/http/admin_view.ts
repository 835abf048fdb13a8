/**
 * What the admin API shows of the configuration and of an event. Nothing secret passes here: every member is named, so
 * that a new one is hidden until somebody decides to show it.
 */

import { encodeBase64 } from "@std/encoding/base64";
import { eventBody } from "../domain/body.ts";
import { breakerPhase } from "../domain/breaker.ts";
import type { Clock } from "../domain/clock.ts";
import {
  type Config,
  type Destination,
  destinationOf,
  queueName,
  type Route,
  type Source,
  targetName,
} from "../domain/config.ts";
import { finishedStates } from "../domain/delivery.ts";
import type { Scope } from "../domain/expression.ts";
import { identify } from "../domain/identity.ts";
import { match, type RouteDecision } from "../domain/route.ts";
import { waitingBehind, type WaitingDelivery, waitingFor } from "../domain/waiting.ts";
import { scopeOf } from "../engine/routing.ts";
import type { EventDetail, LaneRow, Paused, QueueRow, Store } from "../store/store.ts";
import type { ExplanationView, LaneView, RouteExplanation } from "./admin_action_schema.ts";
import type {
  DeliveryView,
  DestinationView,
  EventView,
  OpenView,
  QueueView,
  RouteView,
  SourceView,
} from "./admin_schema.ts";

/** What a view of work that waits is made with. */
export interface WaitingContext {
  readonly store: Pick<Store, "gates">;
  readonly config: () => Config;
  readonly clock: Clock;
}

/** Says of each delivery what it waits for, or how long it may run. The log is asked only if one of them waits at all. */
export async function viewOpen<Row extends WaitingDelivery & { readonly route: string; readonly target: string }>(
  rows: readonly Row[],
  { store, config, clock }: WaitingContext,
): Promise<(Row & OpenView)[]> {
  const isOpen = ({ state }: Row) => state !== "running" && !finishedStates.includes(state);
  const gates = rows.some(isOpen) ? await store.gates() : [];
  const now = clock.now();
  return rows.map((row) => {
    const { route, target, state } = row;
    const destination = destinationOf(config(), row);
    if (state === "running") return { ...row, timeoutMs: destination?.timeoutMs };
    const gate = gates.find((each) => each.route === route && each.target === target);
    if (gate === undefined) return row;
    const queue = { ...gate, name: queueName(route, target), destination };
    return { ...row, waiting: waitingFor(row, queue, now) };
  });
}

/** Lanes with what their heads wait for, or how long those may run. */
export async function viewLanes(lanes: readonly LaneRow[], context: WaitingContext): Promise<LaneView[]> {
  const heads = await viewOpen(
    lanes.map(({ route, target, headState: state, headReason: reason, headDueAt: dueAt }) => {
      return { route, target, state, reason, dueAt };
    }),
    context,
  );
  return lanes.map((lane, at) => ({ ...lane, waiting: heads[at]!.waiting, timeoutMs: heads[at]!.timeoutMs }));
}

/** Says of each delivery that stands behind another how that one is. Every such lane is looked up: for few rows. */
export async function viewHeads(
  rows: readonly DeliveryView[],
  context: WaitingContext & { readonly store: Pick<Store, "lanes"> },
): Promise<DeliveryView[]> {
  return await Promise.all(rows.map(async (row) => {
    const { route, target, lane, waiting } = row;
    if (lane === undefined || waiting?.kind !== "behind") return row;
    const [view] = await viewLanes(await context.store.lanes({ route, target, lane, limit: 1 }), context);
    // Another head than the one that was read: the lane has gone on meanwhile.
    if (view === undefined || view.head !== waiting.head) return row;
    const head = { state: view.headState, reason: view.headReason, waiting: view.waiting };
    return { ...row, waiting: waitingBehind(waiting, head) };
  }));
}

/** A queue with what the configuration says of it. */
export function viewQueue(queue: QueueRow, config: Config, now: number): QueueView {
  const destination = destinationOf(config, queue);
  const phase = destination?.breaker && breakerPhase(queue.breaker, destination.breaker, now);
  return { ...queue, phase, orphaned: destination === undefined };
}

/** An event with its bytes in base64 and its body as handlers see it. */
export function viewEvent({ raw, ...event }: EventDetail, deliveryRows: readonly DeliveryView[]): EventView {
  return { ...event, deliveryRows, rawBase64: encodeBase64(raw), body: eventBody({ raw, ...event }) };
}

/** Why each route takes an event or does not, by the configuration of now. */
export function viewExplanation(
  event: EventDetail,
  config: Config,
  deliveries: readonly DeliveryView[],
): ExplanationView {
  const { id, source, type, receivedAt, idempotencyKey, duplicates, mismatches, lastDuplicateAt, replayOf } = event;
  const scope = scopeOf({ ...event, body: eventBody(event) }, event);
  return {
    id,
    source,
    type,
    receivedAt,
    idempotencyKey,
    duplicates,
    mismatches,
    lastDuplicateAt,
    replayOf,
    fault: faultOf(event, config, scope),
    routes: match(config.routes, scope).map(explainRoute),
    deliveries,
  };
}

/** What the source's own expressions saw: the event before it had an id. */
function faultOf(event: EventDetail, { sources }: Config, scope: Scope): string | undefined {
  const source = sources.get(event.source);
  if (source?.kind !== "http") return undefined;
  const seen = { ...scope, event: { ...scope.event, id: "" } };
  return identify(source, { id: event.idempotencyKey, type: event.type }, () => seen).fault;
}

function explainRoute(decision: RouteDecision): RouteExplanation {
  const { kind, route: { name: route } } = decision;
  if (kind === "unmatched") return { route, decision: kind, reason: decision.reason };
  const reason = kind === "parked" ? decision.reason : undefined;
  return { route, decision: kind, reason, lane: decision.lane, version: decision.version?.value };
}

/** A route as it is configured now. */
export function viewRoute(route: Route): RouteView {
  const { name, from, on, when, orderBy, onExhausted, retry, destinations } = route;
  return {
    name,
    from,
    on,
    when: when?.text,
    orderBy: orderBy?.text,
    onExhausted,
    retry,
    destinations: destinations.map(viewDestination),
  };
}

function viewDestination(destination: Destination): DestinationView {
  const { kind, timeoutMs, concurrency } = destination;
  const shown = { kind, target: targetName(destination), timeoutMs, concurrency };
  switch (destination.kind) {
    case "script":
      return { ...shown, file: destination.file, permissions: destination.permissions };
    case "target":
      return { ...shown, origin: new URL(destination.url).origin, headerNames: Object.keys(destination.headers) };
    case "inline":
      return shown;
  }
}

/** A source as it is configured now, and whether somebody has stopped it. */
export function viewSource(source: Source, paused?: Paused): SourceView {
  if (source.kind === "publish") return { name: source.name, kind: source.kind };
  if (source.kind === "cron") {
    const { name, kind, schedule, timezone } = source;
    return { name, kind, schedule, timezone, paused };
  }
  return {
    name: source.name,
    kind: source.kind,
    path: source.path,
    provider: source.provider.name,
    id: source.id?.text,
    type: source.type?.text,
    split: source.split?.text,
    allowIps: source.allowIps,
    bodyBytesMax: source.bodyBytesMax,
    contentTypes: source.contentTypes,
    rateLimit: source.rateLimit,
    hasSchema: source.schema !== undefined,
    paused,
  };
}
