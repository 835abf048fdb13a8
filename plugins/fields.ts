/**
 * Reads what a sender's body says about its event. A body of another shape is answered with undefined and never with an
 * exception, because an event that cannot be described must still be logged.
 */

import type { DescribedEvent } from "../core/plugin.ts";

/** The type of an event whose sender does not say. */
export const unknownType = "unknown";

/** The value at a path of own properties. */
export function fieldOf(value: unknown, ...path: readonly string[]): unknown {
  let at = value;
  for (const name of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

/** The value at a path as text: text that is not empty, or a number's decimal form. */
export function textOf(value: unknown, ...path: readonly string[]): string | undefined {
  const field = fieldOf(value, ...path);
  if (typeof field === "number" && Number.isFinite(field)) return String(field);
  return typeof field === "string" && field !== "" ? field : undefined;
}

/**
 * A moment as senders write it: unix seconds, or text with a time zone. Text without one would mean another moment on
 * every machine.
 *
 * @returns epoch milliseconds
 */
export function timeOf(value: unknown): number | undefined {
  if (typeof value === "number") return momentOf(value * 1_000);
  if (typeof value !== "string" || value.length > 64) return undefined;
  if (/^\d{1,12}$/.test(value)) return momentOf(Number(value) * 1_000);
  return /(?:Z|GMT|UTC|[+-]\d\d:?\d\d)$/i.test(value) ? momentOf(Date.parse(value)) : undefined;
}

function momentOf(ms: number): number | undefined {
  const rounded = Math.round(ms);
  return rounded >= 0 && rounded <= 8.64e15 ? rounded : undefined;
}

/** For senders about whom nothing is known: the body is the event, and its `type` its type. */
export function describePlainly(body: unknown, known: { id?: string; type?: string } = {}): readonly DescribedEvent[] {
  return [{ id: known.id, type: known.type ?? textOf(body, "type") ?? unknownType, body }];
}
