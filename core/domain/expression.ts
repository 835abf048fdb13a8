/**
 * The shape of a compiled expression. CEL itself lives in `core/config`; routing and intake only ever ask a value of it.
 */

import type { HeaderMap } from "./event.ts";

/** What an expression can see. */
export interface Scope {
  readonly event: {
    readonly id: string;
    readonly source: string;
    readonly type: string;
    /** Epoch milliseconds; absent when the sender does not say. */
    readonly time?: number;
    readonly receivedAt: number;
  };
  readonly body: unknown;
  readonly headers: HeaderMap;
  readonly query: Readonly<Record<string, string>>;
}

/** A value, a field that was not there, or an error of the expression itself. */
export type Evaluation =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "missing"; readonly reason: string }
  | { readonly kind: "error"; readonly reason: string };

/** An expression compiled when the configuration was loaded. */
export interface Expression {
  readonly text: string;
  /** It looks at the body and nothing else: the same body gives the same value. */
  readonly isOfBody?: boolean;
  evaluate(scope: Scope): Evaluation;
}

/** Longest key that an expression may produce, in UTF-16 units. */
export const keyLengthMax = 512;

/** What kind of value an expression gave, in the words of a reason. */
export function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
}

/**
 * Turns an evaluated key into the text that is stored. Numbers become their decimal text, so that 42 and "42" are one
 * key whatever type a column has; NUL is refused because SQLite would cut the text there.
 *
 * @returns the key, undefined for "no key", or an error with the reason
 */
export function keyOf(evaluation: Evaluation): { ok: true; key?: string } | { ok: false; reason: string } {
  if (evaluation.kind === "error") return { ok: false, reason: evaluation.reason };
  if (evaluation.kind === "missing" || evaluation.value === null || evaluation.value === undefined) return { ok: true };
  const { value } = evaluation;
  if (
    typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint" && typeof value !== "boolean"
  ) {
    return {
      ok: false,
      reason: `a key must be text, a number or a boolean, got ${kindOf(value)}`,
    };
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    return { ok: false, reason: `a key must be a finite number, got ${value}` };
  }
  const key = String(value);
  if (key === "") return { ok: true };
  if (!key.isWellFormed()) return { ok: false, reason: "a key must be valid Unicode" };
  if (key.includes("\0")) return { ok: false, reason: "a key must not contain NUL" };
  if (key.length > keyLengthMax) {
    return { ok: false, reason: `a key has at most ${keyLengthMax} characters, got ${key.length}` };
  }
  return { ok: true, key };
}

/** A time in ISO 8601; its zone is a group of its own. */
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$/;

/**
 * Turns an evaluated version into a number that can be compared: a number as it is, a time in ISO 8601 as its milliseconds.
 *
 * @returns the version, undefined for "no version", or an error with the reason
 */
export function versionOf(evaluation: Evaluation): { ok: true; version?: number } | { ok: false; reason: string } {
  if (evaluation.kind === "error") return { ok: false, reason: evaluation.reason };
  if (evaluation.kind === "missing" || evaluation.value === null || evaluation.value === undefined) return { ok: true };
  const { value } = evaluation;
  const version = typeof value === "number" || typeof value === "bigint"
    ? Number(value)
    : typeof value === "string"
    ? textVersion(value)
    : NaN;
  if (Number.isFinite(version)) return { ok: true, version };
  return {
    ok: false,
    reason: `a version must be a number or a date such as 2025-01-31T12:00:00Z, got ${kindOf(value)}`,
  };
}

function textVersion(text: string): number {
  // An integer beyond 2^53, such as a time in nanoseconds, arrives as text. Neighbours may become equal, which skips none.
  if (/^-?\d{16,}$/.test(text)) return Number(text);
  const time = isoTime.exec(text);
  if (time === null) return NaN;
  // Without a zone it is UTC: in the machine's own, one hour would come twice each autumn.
  return Date.parse(time[1] === undefined ? `${text}Z` : text);
}
