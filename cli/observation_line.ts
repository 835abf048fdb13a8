/**
 * One observation as one line for a person: time, what happened, to what, and what follows from it. `weir dev`, the
 * demo and `weir serve` on a terminal show these; programs read the JSON lines of log.ts.
 */

import type { Observation } from "../core/mod.ts";
import { escapeControls, paint } from "./print.ts";
import { describeDuration } from "./wording.ts";

/** Longest reason on a line; the whole of it is in `weir deliveries show`. */
const reasonLengthMax = 160;

/** Formats an observation; everything in it that a sender chose is escaped. */
export function observationLine(observation: Observation): string {
  const time = paint.dim(clockTime(observation.at));
  switch (observation.kind) {
    case "event.received": {
      const { status, source, type, queues, eventId, fault } = observation;
      const to = queues.length === 0 ? paint.yellow("no route matches") : queues.join(", ");
      const what = status === "duplicate" ? paint.yellow(label("duplicate")) : paint.cyan(label("received"));
      const follows = status === "duplicate"
        ? "already in the log"
        : `→ ${to}${fault === undefined ? "" : `: ${reasonText(fault)}`}`;
      return `${time}  ${what} ${named(source, type)} ${follows}  ${paint.dim(eventId)}`;
    }
    case "request.refused":
      return `${time}  ${paint.red(label("refused"))} ${escapeControls(observation.source)} ${observation.status}: ${
        reasonText(observation.reason)
      }`;
    case "delivery.attempted":
      return `${time}  ${attemptText(observation)}  ${paint.dim(observation.deliveryId)}`;
    case "lease.lost":
      return `${time}  ${paint.yellow(label("lease lost"))} ${
        escapeControls(observation.queue)
      }: the result was discarded  ${paint.dim(observation.deliveryId)}`;
    case "engine": {
      const colour = { info: paint.dim, warn: paint.yellow, error: paint.red }[observation.level];
      return `${time}  ${colour(label("engine"))} ${escapeControls(observation.message)}`;
    }
  }
}

type Attempted = Observation & { kind: "delivery.attempted" };

function attemptText(attempted: Attempted): string {
  const { source, eventType, queue, lane, attempt, durationMs, state, dueAt, at } = attempted;
  const where = `${paint.bold(escapeControls(queue))}${lane === undefined ? "" : ` [${escapeControls(lane)}]`}`;
  const head = `${named(source, eventType)} → ${where} attempt ${attempt}, ${describeDuration(durationMs)}`;
  const reason = attempted.reason === undefined ? "" : `: ${reasonText(attempted.reason)}`;
  if (state === "succeeded") return `${paint.green(label("succeeded"))} ${head}`;
  if (state === "dead" || state === "parked") return `${paint.red(label(state))} ${head}${reason}`;
  const what = attempted.outcome === "interrupted" ? "interrupted" : "failed";
  const again = dueAt === undefined || dueAt <= at ? "" : `, retry in ${describeDuration(dueAt - at)}`;
  return `${paint.yellow(label(what))} ${head}${again}${reason}`;
}

function named(source: string, type: string): string {
  return `${escapeControls(source)} ${escapeControls(type)}`;
}

function label(text: string): string {
  return text.padEnd(11);
}

function reasonText(reason: string): string {
  const text = escapeControls(reason.trim());
  return text.length <= reasonLengthMax ? text : `${text.slice(0, reasonLengthMax - 1)}…`;
}

/** Time of day in the zone of whoever looks, to the millisecond. */
export function clockTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${
    String(date.getMilliseconds()).padStart(3, "0")
  }`;
}
