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
 * The outcome of a handler that returned.
 *
 * @param returned what it returned; kept as JSON text
 */
export function outcomeOfReturn(returned: unknown): Outcome {
  if (returned === undefined) return { kind: "succeeded" };
  let result: string | undefined;
  try {
    result = JSON.stringify(returned);
  } catch (error) {
    // The work is done: a result that cannot be kept must not make it run again.
    return { kind: "succeeded", result: JSON.stringify(`[a result that is not JSON: ${describeError(error)}]`) };
  }
  if (result !== undefined && result.length > resultLengthMax) {
    return { kind: "succeeded", result: JSON.stringify(`[a result of ${result.length} characters, at most ${resultLengthMax} are kept]`) };
  }
  return { kind: "succeeded", result };
}

/** The outcome of a handler that threw. */
export function outcomeOfThrow(thrown: unknown): Outcome {
  if (thrown instanceof Rejection) return { kind: "rejected", reason: thrown.message };
  if (thrown instanceof RetryLater) return { kind: "failed", reason: thrown.message, retryAfterMs: thrown.delayMs };
  return { kind: "failed", reason: describeError(thrown) };
}
