/**
 * How rows of the log are put into words: states with their colours, counts, times, durations. Everything that prints
 * rows speaks through here, so that one thing has one wording.
 */

import type { DeliveryView, QueueView } from "../core/mod.ts";
import { escapeControls, paint } from "./print.ts";

/** The queue of a delivery as people name it: the route, and the target where there is one. */
export function queueOf(row: { readonly route: string; readonly target: string }): string {
  return row.target === "" ? row.route : `${row.route}/${row.target}`;
}

/** The other way round: `mirror/ci`, or a route alone. */
export function parseQueue(text: string): { route: string; target?: string } {
  const [route, target] = text.split("/", 2);
  return { route: route!, target };
}

/** Colours the name of a state by how much it wants a person. */
export function paintState(text: string, state: string): string {
  switch (state) {
    case "succeeded":
      return paint.green(text);
    case "dead":
      return paint.red(text);
    case "parked":
      return paint.yellow(text);
    case "running":
      return paint.cyan(text);
    default:
      return text;
  }
}

/** `2 succeeded, 1 dead`, or that there are none. */
export function describeCounts(counts: Readonly<Partial<Record<string, number>>>): string {
  const parts = Object.entries(counts).filter(([, count]) => (count ?? 0) > 0).map(([state, count]) =>
    `${count} ${state}`
  );
  return parts.length === 0 ? "no route matched" : parts.join(", ");
}

/** Why a delivery is where it is, in one line; while it runs, since when. */
export function describeState(row: DeliveryView, now: number): string {
  return row.state === "running" ? describeRun(row, now) : describeWait(row, now);
}

/** `attempt 2, for 41s of 1m`. */
export function describeRun(
  row: { readonly executions: number; readonly claimedAt?: number; readonly timeoutMs?: number },
  now: number,
): string {
  const { executions, claimedAt = now, timeoutMs } = row;
  const limit = timeoutMs === undefined ? "" : ` of ${describeDuration(timeoutMs)}`;
  return `attempt ${executions}, for ${describeDuration(now - claimedAt)}${limit}`;
}

/** Why a delivery that does not run is where it is, in one line. */
export function describeWait(row: DeliveryView, now: number): string {
  // While it runs, and once it has succeeded, the reason is only that of the attempt before.
  if (row.state === "running" || row.state === "succeeded") return "";
  const { reason = "", waiting } = row;
  if (waiting === undefined || waiting.kind === "turn" || waiting.kind === "parked") return reason;
  const left = waiting.until === undefined ? undefined : describeDuration(waiting.until - now);
  if (waiting.kind === "due") {
    return `${row.failures > 0 ? "retry" : "due"} in ${left}${reason === "" ? "" : `: ${reason}`}`;
  }
  return left === undefined ? waiting.reason : `${waiting.reason}, for ${left} more`;
}

/** What has come of a parked delivery that somebody has just let go on, where that is not simply that it goes on. */
export function describeResumed(row: DeliveryView, now: number): string {
  if (row.state === "parked") return `; it ran and is parked again: ${row.reason ?? ""}`;
  const isHeld = row.waiting !== undefined && row.waiting.kind !== "turn";
  return isHeld ? `; it waits: ${describeWait(row, now)}` : "";
}

/** Why nothing, or little, of a queue runs; empty when all is well. */
export function describeGate({ orphaned, paused, phase, breaker }: QueueView, now: number): string {
  if (orphaned) return "orphaned: not in the configuration";
  if (paused !== undefined) return describePause(paused, now);
  if (phase === "half-open") return `breaker half-open after ${count(breaker.failures, "failure")}`;
  if (phase !== "open") return "";
  const left = describeDuration(breaker.openUntil! - now);
  return `breaker open after ${count(breaker.failures, "failure")}, for ${left} more`;
}

/** Since when somebody has stopped it, and why. */
export function describePause({ at, reason }: { at: number; reason: string }, now: number): string {
  return `paused ${describeDuration(now - at)} ago: ${reason}`;
}

/** How often the same idempotency key came again; undefined when it did not. */
export function describeDuplicates(
  event: { readonly duplicates: number; readonly mismatches: number; readonly lastDuplicateAt?: number },
): string | undefined {
  const { duplicates, mismatches, lastDuplicateAt } = event;
  if (duplicates === 0) return undefined;
  const last = lastDuplicateAt === undefined ? "" : `, last ${describeTime(lastDuplicateAt)}`;
  return `${duplicates}${mismatches > 0 ? `, ${mismatches} with another body` : ""}${last}`;
}

/** What is odd about an event, in a word or two each; empty for nearly all. */
export function describeFlags(
  event: { readonly duplicates: number; readonly mismatches: number; readonly replayOf?: string },
): string {
  const { duplicates, mismatches, replayOf } = event;
  const flags = [
    duplicates > 0 ? count(duplicates, "duplicate") : undefined,
    mismatches > 0 ? `${mismatches} with another body` : undefined,
    replayOf === undefined ? undefined : `replays ${replayOf}`,
  ];
  return flags.filter((flag) => flag !== undefined).join(", ");
}

/** Milliseconds for a person: `41ms`, `1.2s`, `3m20s`, `5h12m`, `2d4h`. */
export function describeDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1).replace(".0", "")}s`;
  const seconds = Math.round(ms / 1_000);
  const pair = (whole: number, part: number, units: string) =>
    part === 0 ? `${whole}${units[0]}` : `${whole}${units[0]}${part}${units[1]}`;
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), seconds % 60, "ms");
  if (seconds < 86_400) return pair(Math.floor(seconds / 3_600), Math.floor(seconds % 3_600 / 60), "hm");
  return pair(Math.floor(seconds / 86_400), Math.floor(seconds % 86_400 / 3_600), "dh");
}

/** `1 route`, `2 routes`. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}

/** Date and time in the zone of whoever looks, to the second. */
export function describeTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${
    two(date.getMinutes())
  }:${two(date.getSeconds())}`;
}

/** A field of a `show`: the name dimmed, the value escaped. */
export function field(name: string, value: string | number | undefined): string | undefined {
  return value === undefined || value === ""
    ? undefined
    : `${paint.dim(name.padEnd(12))} ${escapeControls(`${value}`)}`;
}
