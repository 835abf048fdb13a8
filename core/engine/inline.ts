/**
 * Runs a handler that is a function of the embedding program, in its process. Nothing can stop such a function from
 * the outside: at the timeout its attempt is given up and its signal aborted, and what it still does is its own affair.
 * That a suspect runs alone is seen to before it comes here: it shares this process with the handlers of all other routes.
 */

import type { Clock } from "../domain/clock.ts";
import { formatDuration } from "../domain/duration.ts";
import { askedOutcome, Rejection, resultText, RetryLater, toHandlerEvent } from "../domain/handler_call.ts";
import { describeError } from "../domain/error.ts";
import type { Attempt, Handler, Runner } from "../domain/handler.ts";
import type { AttemptReport, Outcome } from "../domain/outcome.ts";

/** Most characters of output that are kept of one attempt. */
const outputLengthMax = 65_536;

/** Makes the runner of one inline handler. */
export function createInlineRunner(handler: Handler, options: { timeoutMs: number; clock: Clock }): Runner {
  return {
    run: (attempt, stop) => callInline(handler, attempt, { ...options, stop }),
    close: () => Promise.resolve(),
  };
}

async function callInline(
  handler: Handler,
  attempt: Attempt,
  options: { timeoutMs: number; clock: Clock; stop: AbortSignal },
): Promise<AttemptReport> {
  const abort = new AbortController();
  let output = "";
  const given = Promise.withResolvers<Outcome>();
  const giveUp = (outcome: Outcome): void => {
    given.resolve(outcome);
    abort.abort(new DOMException("the attempt is over", "AbortError"));
  };
  const cancelTimer = options.clock.timer(
    options.timeoutMs,
    () => giveUp({ kind: "failed", reason: `timed out after ${formatDuration(options.timeoutMs)}` }),
  );
  const onStop = (): void => giveUp({ kind: "interrupted", reason: "the engine is shutting down" });
  options.stop.addEventListener("abort", onStop, { once: true });
  if (options.stop.aborted) onStop();

  const print = (text: string): void => {
    if (output.length < outputLengthMax) output += `${text}\n`;
  };
  const call = async (): Promise<Outcome> => {
    try {
      const returned = await handler(toHandlerEvent(attempt.event, attempt.orderingKey), {
        deliveryId: attempt.deliveryId,
        idempotencyKey: attempt.idempotencyKey,
        attempt: attempt.attempt,
        signal: abort.signal,
        log: (...values) => print(values.map(showValue).join(" ")),
        reject: (message) => new Rejection(message),
        retryAfter: (duration, message) => new RetryLater(duration, message),
      });
      const { text, note } = resultText(returned);
      if (note !== undefined) print(note);
      return { kind: "succeeded", result: text };
    } catch (thrown) {
      return askedOutcome(thrown) ?? { kind: "failed", reason: describeError(thrown) };
    }
  };
  try {
    const outcome = await Promise.race([call(), given.promise]);
    return { outcome, output: output === "" ? undefined : output.slice(0, outputLengthMax) };
  } finally {
    cancelTimer();
    options.stop.removeEventListener("abort", onStop);
  }
}

function showValue(value: unknown): string {
  return typeof value === "string" ? value : Deno.inspect(value);
}
