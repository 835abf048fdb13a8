/**
 * Error answers as RFC 9457 problem documents. The type is always `about:blank`: the status says what went wrong, the
 * detail says it in words, and nothing that a caller should not know is ever put into either.
 */

import { STATUS_TEXT, type StatusCode } from "@std/http/status";
import type { HeaderMap } from "../domain/event.ts";
import type { Answer } from "../domain/provider.ts";
import { jsonAnswer, toResponse } from "./answer.ts";

/** What a problem says beyond its status. */
export interface Problem {
  readonly status: number;
  /** For the caller's eyes. */
  readonly detail: string;
  readonly headers?: HeaderMap;
  /** Members of the document beside type, title, status and detail. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** The body of a problem, as it is sent. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
}

/** The media type of a problem document. */
export const problemType = "application/problem+json";

/** Makes the document alone. */
export function problemDocument({ status, detail, members }: Problem): ProblemDocument {
  const title = STATUS_TEXT[status as StatusCode] ?? "Error";
  return { type: "about:blank", title, status, detail, ...members };
}

/** Makes the answer: of type {@link problemType}, and such that no cache keeps it. */
export function problemAnswer(of: Problem): Answer {
  const headers = { "cache-control": "no-store", ...of.headers, "content-type": problemType };
  return jsonAnswer(problemDocument(of), { status: of.status, headers });
}

/** The same as a response. */
export function problem(of: Problem): Response {
  return toResponse(problemAnswer(of));
}

/** A Retry-After header: whole seconds, at least one, rounded up so that nobody comes back too early. */
export function retryAfter(delayMs: number): HeaderMap {
  return { "retry-after": String(Math.max(1, Math.ceil(delayMs / 1_000))) };
}
