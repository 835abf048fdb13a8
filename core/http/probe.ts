/**
 * The two questions of a process supervisor, answered alike on both ports and without a token: is the process alive
 * (`/healthz`), and should it be sent work (`/readyz`). Neither says why not; that is for the operator's own eyes.
 */

import type { Answer } from "../domain/provider.ts";
import { jsonAnswer } from "./answer.ts";
import { problemAnswer, retryAfter } from "./problem.ts";

/** How soon a probe, or a sender that was turned away, may come back. */
export const comeBackMs = 5_000;

/**
 * Answers a probe.
 *
 * @param path of the request, without the query
 * @param ready whether requests are taken now
 * @returns undefined when the path is no probe's
 */
export function answerProbe(path: string, { method, ready }: { method: string; ready: boolean }): Answer | undefined {
  if (path !== "/healthz" && path !== "/readyz") return undefined;
  if (method !== "GET" && method !== "HEAD") {
    return problemAnswer({ status: 405, detail: `${path} answers GET and HEAD`, headers: { allow: "GET, HEAD" } });
  }
  if (path === "/readyz" && !ready) {
    return problemAnswer({ status: 503, detail: "not taking requests now", headers: retryAfter(comeBackMs) });
  }
  return jsonAnswer({ status: path === "/healthz" ? "alive" : "ready" }, { headers: { "cache-control": "no-store" } });
}
