/**
 * Which routes an event takes, and why. One pure function decides; the intake writes what it says and `explain` shows it.
 */

import type { Route } from "./config.ts";
import { keyOf, kindOf, type Scope, versionOf } from "./expression.ts";

/** How new an event is. Only versions of one rule can be compared: of the same `skip_older` and the same `order_by`. */
export interface EventVersion {
  readonly value: number;
  /** A 32-bit number that stands for the rule. */
  readonly rule: number;
}

/** Where an event stands among those of its key. */
interface Place {
  readonly lane?: string;
  readonly version?: EventVersion;
}

/** What one route makes of one event. */
export type RouteDecision =
  | ({ readonly kind: "matched"; readonly route: Route } & Place)
  /**
   * An expression failed for a reason other than a missing field: a person has to look. Its place is as much as could be
   * told, so that nothing of its key passes it meanwhile.
   */
  | ({ readonly kind: "parked"; readonly route: Route; readonly reason: string } & Place)
  | { readonly kind: "unmatched"; readonly route: Route; readonly reason: string };

/**
 * Holds one event against every route.
 *
 * @param routes of the current configuration
 * @param scope what expressions can see of the event
 * @returns one decision per route, in their order
 */
export function match(routes: readonly Route[], scope: Scope): RouteDecision[] {
  return routes.map((route) => decide(route, scope));
}

function decide(route: Route, scope: Scope): RouteDecision {
  const { source, type } = scope.event;
  if (!route.from.includes(source)) {
    return { kind: "unmatched", route, reason: `from: is ${route.from.join(", ")}, the event came from ${source}` };
  }
  if (!route.on.some((glob) => globMatches(glob, type))) {
    return { kind: "unmatched", route, reason: `on: is ${route.on.join(", ")}, the event's type is ${type}` };
  }
  const unmet = unmetCondition(route, scope);
  if (unmet?.kind === "unmatched") return { ...unmet, route };
  const { fault, ...place } = placeOf(route, scope);
  const reason = unmet?.reason ?? fault;
  return reason === undefined ? { kind: "matched", route, ...place } : { kind: "parked", route, reason, ...place };
}

/** Why `when` does not let the event through: it is not meant, or nobody can tell. */
function unmetCondition(
  { when }: Route,
  scope: Scope,
): { kind: "unmatched" | "parked"; reason: string } | undefined {
  if (when === undefined) return undefined;
  const held = when.evaluate(scope);
  if (held.kind === "error") return { kind: "parked", reason: `when: ${held.reason}` };
  if (held.kind === "missing") return { kind: "unmatched", reason: `when: ${held.reason}` };
  if (typeof held.value !== "boolean") {
    return { kind: "parked", reason: `when: must be true or false, got ${kindOf(held.value)}` };
  }
  return held.value ? undefined : { kind: "unmatched", reason: `when: ${when.text} is false` };
}

/** As much of its place as can be told, and why that is not all of it. */
function placeOf(route: Route, scope: Scope): Place & { fault?: string } {
  const lane = laneOf(route, scope);
  if (!lane.ok) return { fault: lane.reason };
  const { skipOlder } = route;
  if (skipOlder === undefined) return { lane: lane.key };
  const found = versionOf(skipOlder.evaluate(scope));
  if (!found.ok) return { lane: lane.key, fault: `skip_older: ${found.reason}` };
  const rule = hash32(`${route.orderBy?.text}\0${skipOlder.text}`);
  return { lane: lane.key, version: found.version === undefined ? undefined : { value: found.version, rule } };
}

function laneOf(route: Route, scope: Scope): { ok: true; key?: string } | { ok: false; reason: string } {
  if (route.concurrencyKey !== undefined) {
    const { key: expression, limit } = route.concurrencyKey;
    const key = keyOf(expression.evaluate(scope));
    if (!key.ok) return { ok: false, reason: `concurrency.key: ${key.reason}` };
    if (key.key === undefined) return key;
    // A key of n is n lanes side by side; the event's id deals them out evenly.
    return { ok: true, key: `${key.key}#${hash32(scope.event.id) % limit}` };
  }
  if (route.orderBy === undefined) return { ok: true };
  const key = keyOf(route.orderBy.evaluate(scope));
  return key.ok ? key : { ok: false, reason: `order_by: ${key.reason}` };
}

/** A number that depends on every character (FNV-1a). */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * Whether a glob covers a type. `*` stands for any run of characters, dots included; nothing else is special.
 * Linear in the length of the type: the literal parts are searched for from left to right, never backtracked over.
 */
export function globMatches(glob: string, type: string): boolean {
  const parts = glob.split("*");
  const first = parts.shift()!;
  const last = parts.pop();
  if (last === undefined) return type === glob;
  if (!type.startsWith(first) || !type.endsWith(last) || type.length < first.length + last.length) return false;
  const end = type.length - last.length;
  let at = first.length;
  for (const part of parts) {
    const found = type.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
