/**
 * Who may use the admin API. It stands before the router, so that nothing behind it can be reached without a token,
 * whatever the path is spelled like, and no page that a browser shows can reach it at all.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { mediaType } from "../domain/body.ts";
import type { Clock } from "../domain/clock.ts";
import { problem, retryAfter } from "./problem.ts";
import { createTokenBucket, type TokenBucket } from "./rate_limiter.ts";

/** How often one peer may guess a token. */
const failureRate = { count: 20, perMs: 60_000 };

/** How many guessing peers are remembered; the oldest is forgotten first. */
const failingPeersMax = 1_024;

/** Shortest admin token, in bytes of its text. */
export const tokenBytesMin = 16;

/** What the guard goes by. */
export interface GuardOptions {
  readonly token: string;
  readonly clock: Clock;
  /** Host names, without ports, that the API may be called by. */
  readonly hosts: () => readonly string[];
}

/** Refuses a request, or lets it pass. */
export interface Guard {
  /** Against DNS rebinding and forged cross-site requests; holds for public paths too. */
  refuseSite(request: Request): Response | undefined;
  /** Against everybody who has no token. */
  refuseCaller(request: Request, peer: string | undefined): Response | undefined;
}

/**
 * Makes a guard.
 *
 * @throws RangeError when the token is too short to be one
 */
export function createGuard({ token, clock, hosts }: GuardOptions): Guard {
  if (new TextEncoder().encode(token).length < tokenBytesMin) {
    throw new RangeError(`the admin token must have at least ${tokenBytesMin} bytes; make one with "weir secret"`);
  }
  const expected = digest(token);
  const failures = new Map<string, TokenBucket>();

  function bucketOf(peer: string): TokenBucket {
    let bucket = failures.get(peer);
    if (bucket === undefined) {
      if (failures.size >= failingPeersMax) failures.delete(failures.keys().next().value!);
      failures.set(peer, bucket = createTokenBucket(failureRate, clock));
    }
    return bucket;
  }

  return {
    refuseSite(request) {
      const host = request.headers.get("host");
      const allowed = [...hosts(), "localhost", "127.0.0.1", "[::1]"];
      // Both, because the absolute form of a request line overrides the Host header in `request.url`.
      if (host === null || ![host, hostOf(request.url)].every((named) => allowed.includes(withoutPort(named)))) {
        return problem({ status: 421, detail: "the admin API is not served under this host name" });
      }
      const origin = request.headers.get("origin");
      if (origin !== null && hostOf(origin) !== host.toLowerCase()) {
        return problem({ status: 403, detail: "the admin API is not for other sites" });
      }
      if (request.method !== "GET" && request.method !== "HEAD" && !isJsonOrEmpty(request.headers)) {
        return problem({ status: 415, detail: "the content type must be application/json" });
      }
    },
    refuseCaller(request, peer = "unknown") {
      const [, presented] = request.headers.get("authorization")?.match(/^Bearer +(\S+)$/i) ?? [];
      if (presented === undefined) return unauthorized("a bearer token is needed");
      // The limit comes before the comparison: whoever is over it learns nothing, not even from the right token.
      const waitMs = failures.get(peer)?.waitMs() ?? 0;
      if (waitMs > 0) {
        return problem({ status: 429, detail: "too many wrong tokens from this address", headers: retryAfter(waitMs) });
      }
      if (timingSafeEqual(digest(presented), expected)) return undefined;
      bucketOf(peer).take();
      return unauthorized("the token is not valid");
    },
  };
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function unauthorized(detail: string): Response {
  return problem({ status: 401, detail, headers: { "www-authenticate": "Bearer" } });
}

/** The host of a URL, with its port; empty for anything that has none, such as the origin "null". */
function hostOf(url: string): string {
  return URL.parse(url)?.host ?? "";
}

function withoutPort(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, "");
}

/** A form is what a foreign page can post without being asked first, so a body must say that it is JSON. */
function isJsonOrEmpty(headers: Headers): boolean {
  const type = headers.get("content-type");
  if (type !== null) return mediaType(type) === "application/json";
  return !headers.has("transfer-encoding") && Number(headers.get("content-length") ?? 0) === 0;
}
