/**
 * What calling a handler means, wherever it runs: the event it is given, the two errors it can ask for, and how its
 * return or throw becomes an outcome. The sandboxed worker and the inline runner both use this.
 */

import { parseBody, parseJsonText } from "./body.ts";
import { parseDuration } from "./duration.ts";
import { describeError } from "./error.ts";
import type { Event } from "./event.ts";
import type { HandlerEvent } from "./handler.ts";
import type { Outcome } from "./outcome.ts";

/** Longest result that is kept, in UTF-16 units of JSON text. */
export const resultLengthMax = 262_144;

// Taken before any handler is loaded: one that replaces it must not speak for others.
const { stringify } = JSON;

/** Thrown by a handler that knows that no retry will help. */
export class Rejection extends Error {
  override readonly name = "Rejection";
}

/** Thrown by a handler that knows when trying again makes sense. */
export class RetryLater extends Error {
  override readonly name = "RetryLater";
  readonly delayMs: number;

  /** @throws RangeError when `duration` is not a duration such as `10m` */
  constructor(duration: string, message?: string) {
    const delayMs = parseDuration(duration);
    if (delayMs === undefined) {
      throw new RangeError(`retryAfter: "${duration}" is not a duration, expected something like 30s, 10m or 1h30m`);
    }
    super(message ?? `the handler asked for a retry after ${duration}`);
    this.delayMs = delayMs;
  }
}

/** The event as its handler sees it. The body was accepted once, so one that does not parse now is null. */
export function toHandlerEvent(event: Event, orderingKey: string | undefined): HandlerEvent {
  const parsed = parseBody(event.raw, event.headers["content-type"]);
  return {
    id: event.id,
    source: event.source,
    type: event.type,
    idempotencyKey: event.idempotencyKey,
    orderingKey,
    time: event.time === undefined ? undefined : new Date(event.time),
    receivedAt: new Date(event.receivedAt),
    headers: event.headers,
    body: event.item !== undefined ? parseJsonText(event.item) : parsed.ok ? parsed.value : null,
    raw: event.raw,
  };
}

/**
 * A handler's return value as it is kept: JSON text. The work is done by then, so a value that cannot be kept is dropped
 * with a note and fails nothing.
 */
export function resultText(returned: unknown): { text?: string; note?: string } {
  let text: string | undefined;
  try {
    text = stringify(returned);
  } catch (error) {
    return { note: `the result was dropped: ${describeError(error)}` };
  }
  if (text === undefined || text.length <= resultLengthMax) return { text };
  return { note: `the result was dropped: ${text.length} characters of JSON, at most ${resultLengthMax} are kept` };
}

/** The outcome that a handler asked for by what it threw; undefined for any other error. */
export function askedOutcome(thrown: unknown): Outcome | undefined {
  if (thrown instanceof Rejection) return { kind: "rejected", reason: thrown.message };
  if (thrown instanceof RetryLater) return { kind: "failed", reason: thrown.message, retryAfterMs: thrown.delayMs };
  return undefined;
}
