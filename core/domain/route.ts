/**
 * Which routes an event takes, and why. One pure function decides; the intake writes what it says and `explain` shows it.
 */

import type { Route } from "./config.ts";
import { keyOf, kindOf, type Scope } from "./expression.ts";

/** What one route makes of one event. */
export type RouteDecision =
  | { readonly kind: "matched"; readonly route: Route; readonly lane?: string }
  /** An expression failed for a reason other than a missing field: a person has to look. */
  | { readonly kind: "parked"; readonly route: Route; readonly reason: string }
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
  if (route.when !== undefined) {
    const held = route.when.evaluate(scope);
    if (held.kind === "error") return { kind: "parked", route, reason: `when: ${held.reason}` };
    if (held.kind === "missing") return { kind: "unmatched", route, reason: `when: ${held.reason}` };
    if (typeof held.value !== "boolean") {
      return { kind: "parked", route, reason: `when: must be true or false, got ${kindOf(held.value)}` };
    }
    if (!held.value) return { kind: "unmatched", route, reason: `when: ${route.when.text} is false` };
  }
  if (route.orderBy === undefined) return { kind: "matched", route };
  const key = keyOf(route.orderBy.evaluate(scope));
  if (!key.ok) return { kind: "parked", route, reason: `order_by: ${key.reason}` };
  return { kind: "matched", route, lane: key.key };
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
