/**
 * The routes file of the engine under test: one source signed with HMAC, one route to the kind of handler measured, and
 * on demand one beside it that nothing gets through.
 */

import { fileURLToPath } from "node:url";
import type { RoutesFile } from "weir";
import { path, secret, signatureHeader } from "./signed_request.ts";

/** What the events are for. `paused`: one handler holds the queue's only place, so nothing else starts. */
export type Work = "paused" | "inline" | "script" | "target";

/** One engine, as it is ordered. */
export interface EngineOrder {
  /** Where its log is. */
  readonly folder: string;
  readonly work: Work;
  readonly ordered?: boolean;
  readonly targetPort?: number;
  /** With a second route, which is sent nothing: its target's queue can hold a backlog behind an open breaker. */
  readonly besideClosed?: boolean;
  /** Counts the statements it runs; slows it, so never while something is timed. */
  readonly countSql?: boolean;
}

/** The name of the route that is measured. */
export const routeName = "bench";

/** The name of the route beside it. */
export const closedRouteName = "closed";

/** A breaker that one failure opens for a day. */
export const closedBreaker = { failures: 1, openMs: 86_400_000 };

/** Most attempts at once; the default of routes.yaml is made for handlers that wait for somebody. */
export const concurrency = 128;

const scriptFile = fileURLToPath(new URL("./handlers/start.ts", import.meta.url));

const closedRoute = {
  from: "bench",
  on: ["never"],
  send: [{
    name: "nowhere",
    url: "http://127.0.0.1:9/",
    breaker: {
      failures: closedBreaker.failures,
      open: `${closedBreaker.openMs}ms`,
      open_max: `${closedBreaker.openMs}ms`,
    },
  }],
};

/** Builds the routes file. */
export function buildRoutes(order: EngineOrder): RoutesFile {
  const { folder, work, ordered = false, targetPort, besideClosed = false } = order;
  const url = `http://127.0.0.1:${targetPort}/`;
  return {
    version: 1,
    server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0" },
    storage: { url: `file:${folder}/weir.db` },
    sources: {
      bench: {
        provider: "hmac",
        path,
        secret,
        options: { header: signatureHeader, algorithm: "sha256", prefix: "sha256=" },
        id: "body.id", // signed, as most senders' ids are
        type: "body.type",
      },
    },
    routes: {
      [routeName]: {
        from: "bench",
        ...(ordered && { order_by: "body.key" }),
        ...(work === "script" && { handler: scriptFile, concurrency }),
        ...(work === "inline" && { concurrency }),
        ...(work === "paused" && { concurrency: 1, timeout: "1h" }),
        ...(work === "target" && { send: [{ name: "sink", url, secret: `whsec_${btoa(secret)}`, concurrency }] }),
      },
      ...(besideClosed && { [closedRouteName]: closedRoute }),
    },
  };
}
