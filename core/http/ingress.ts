/**
 * The door for senders: finds the source by its path, refuses what must be refused as early and as cheaply as it can,
 * reads the body once, and hands it to the intake. An event is answered 2xx only when the intake says that the log has it.
 */

import type { Clock } from "../domain/clock.ts";
import { describeError } from "../domain/error.ts";
import { mediaType } from "../domain/body.ts";
import type { HeaderMap, IncomingRequest } from "../domain/event.ts";
import type { Answer } from "../domain/provider.ts";
import type { Generation } from "../engine/generation.ts";
import type { Intake, Intaken, Refused } from "../engine/intake.ts";
import type { Observer } from "../engine/observer.ts";
import { type Appended, type Paused, StoreUnavailable } from "../store/store.ts";
import { cleanAnswer, jsonAnswer, toResponse } from "./answer.ts";
import { readBody } from "./body_reader.ts";
import { clientAddress, peerOf, type RawUrl, signedUrl, splitUrl } from "./client_address.ts";
import type { Call, Door } from "./door.ts";
import { answerProbe, comeBackMs } from "./probe.ts";
import { type Problem, problemAnswer, retryAfter } from "./problem.ts";
import { createSourceTable, type Entry, type SourceTable } from "./source_table.ts";

/** What one engine takes at once, and how long it waits for it. */
export interface IngressLimits {
  /** Requests being read or logged. Beyond it the answer is 503. */
  readonly inFlightMax: number;
  /** From the first look at a request to the last byte of its body. */
  readonly bodyTimeoutMs: number;
  /** Names and values together; they are stored with the event. */
  readonly headerBytesMax: number;
  /** Path and query, in characters. */
  readonly urlLengthMax: number;
}

/** The limits that hold unless others are given. */
export const ingressLimits: IngressLimits = {
  inFlightMax: 1_024,
  bodyTimeoutMs: 30_000,
  headerBytesMax: 65_536,
  urlLengthMax: 8_192,
};

/** When the sender of a paused source should try again. A pause is a person's and lasts longer than a restart. */
const pausedComeBackMs = 60_000;

/** What the ingress is wired to. */
export interface IngressOptions {
  /** The configuration at work now; a request is answered by the one that it finds when it comes. */
  readonly generation: () => Generation;
  readonly intake: Intake;
  /** Undefined while requests may be taken; else why not, for the operator. */
  readonly closed: () => string | undefined;
  /** Whether somebody has paused a source. */
  readonly paused: (source: string) => Paused | undefined;
  readonly observe: Observer;
  readonly clock: Clock;
  readonly limits?: Partial<IngressLimits>;
}

/** The door: of a port of our own, and of whoever embeds the engine. */
export interface Ingress extends Door {
  /**
   * Takes a request of the platform. Never rejects.
   *
   * @param info without it the peer is unknown: no forwarded header is believed, and `allow_ips` refuses
   */
  fetch(request: Request, info?: Info): Promise<Response>;
  /** Requests being read or logged now. */
  readonly inFlight: number;
}

/** The other end of a request's connection, as `Deno.serve` tells it. */
type Info = { readonly remoteAddr?: Deno.Addr };

/** Why a request is turned away. `reason` is for the operator alone; without one it is the detail. */
interface Refusal extends Problem {
  readonly reason?: string;
}

/** Makes the door. */
export function createIngress(options: IngressOptions): Ingress {
  const { intake, closed, paused, observe, clock } = options;
  const limits: IngressLimits = { ...ingressLimits, ...options.limits };
  const sources = createSourceTable(options.generation, clock);
  let inFlight = 0;

  function refuse(source: string, { reason, ...refusal }: Refusal): Answer {
    observe({
      kind: "request.refused",
      at: clock.now(),
      source,
      status: refusal.status,
      reason: reason ?? refusal.detail,
    });
    return problemAnswer(refusal);
  }

  function full(): Refusal | undefined {
    const reason = closed() ?? (inFlight >= limits.inFlightMax ? `${inFlight} requests are in flight` : undefined);
    return reason === undefined ? undefined : unavailable(reason);
  }

  function pausedSource(name: string): Refusal | undefined {
    const found = paused(name);
    if (found === undefined) return undefined;
    const headers = retryAfter(pausedComeBackMs);
    return {
      status: 503,
      detail: "this source is paused; try again later",
      headers,
      reason: `paused: ${found.reason}`,
    };
  }

  async function takeCall(call: Call): Promise<Answer> {
    const { method, url, headers } = call;
    const probe = answerProbe(url.path, { method, ready: closed() === undefined });
    if (probe !== undefined) return probe;

    const table = sources();
    const entry = table.byPath.get(url.path);
    if (entry === undefined) {
      return refuse("", {
        status: 404,
        detail: "there is no source at this path",
        reason: `no source at ${url.path.slice(0, 200)}`,
      });
    }
    const name = entry.source.name;
    const peer = table.asksForPeers ? call.peer() : undefined;
    const refusal = full() ?? pausedSource(name) ?? tooLong(url, headers, limits) ??
      turnAway(entry, { method, headers, peer, table });
    if (refusal !== undefined) return refuse(name, refusal);

    inFlight++;
    try {
      const receivedAt = clock.now();
      const { bodyTimeoutMs: timeoutMs } = limits;
      const body = await call.readBody({ bytesMax: entry.source.bodyBytesMax, timeoutMs, clock });
      if (!body.ok) {
        // A body that breaks off while we stop may be our own doing: the sender is to come back.
        const stopped = body.status === 400 ? closed() : undefined;
        return refuse(name, stopped === undefined ? body : unavailable(stopped));
      }
      const incoming: IncomingRequest = {
        method,
        url: signedUrl(url, { publicUrl: table.publicUrl, headers, trustPeer: table.trusted.has(peer) }),
        headers,
        body: body.bytes,
        receivedAt,
      };
      const intaken = await intake.receive(entry, incoming);
      return intaken.kind === "refused" ? refuse(name, refusalOf(intaken)) : accept(intaken);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      return refuse(name, unavailable(describeError(error)));
    } finally {
      inFlight--;
    }
  }

  async function answer(call: Call): Promise<Answer> {
    try {
      return await takeCall(call);
    } catch (error) {
      observe({ kind: "engine", at: clock.now(), level: "error", message: `ingress: ${describeError(error)}` });
      return problemAnswer({ status: 500, detail: "the request could not be handled" });
    }
  }

  return {
    answer,
    async fetch(request, info) {
      return toResponse(await answer(callOf(request, info)));
    },
    refuse: ({ status, reason }) => refuse("", { status, detail: faults[status], reason }),
    get inFlight() {
      return inFlight;
    },
  };
}

/** What is said to bytes that are no request. */
const faults = {
  400: "this is not an HTTP/1.1 request",
  408: "the request did not arrive in time",
  431: "the headers are too large, or too many",
} as const;

function callOf(request: Request, info: Info | undefined): Call {
  return {
    method: request.method,
    url: splitUrl(request.url),
    headers: headersOf(request),
    peer: () => peerOf(info?.remoteAddr),
    readBody: (limits) => readBody(request, limits),
  };
}

function tooLong(url: RawUrl, headers: HeaderMap, limits: IngressLimits): Refusal | undefined {
  if (url.path.length + url.query.length > limits.urlLengthMax) {
    return { status: 414, detail: `path and query may have at most ${limits.urlLengthMax} characters` };
  }
  let bytes = 0;
  for (const name in headers) bytes += name.length + headers[name]!.length;
  if (bytes > limits.headerBytesMax) {
    return { status: 431, detail: `the headers may have at most ${limits.headerBytesMax} bytes` };
  }
}

/** As a map; `forEach` takes half the time of the iterator. */
function headersOf(request: Request): HeaderMap {
  const headers: [string, string][] = [];
  request.headers.forEach((value, name) => headers.push([name, value]));
  return Object.fromEntries(headers);
}

/** Everything that can be said before a byte of the body is read; the rate limit last, so that only callers count. */
function turnAway(
  { source, allowed, contentTypes, bucket }: Entry,
  { method, headers, peer, table }: { method: string; headers: HeaderMap; peer?: string; table: SourceTable },
): Refusal | undefined {
  if (method !== "POST") {
    return { status: 405, detail: "only POST is answered here", headers: { allow: "POST" } };
  }
  if (allowed !== undefined) {
    const client = clientAddress(peer, { forwardedFor: headers["x-forwarded-for"], trusted: table.trusted });
    if (!allowed.has(client)) {
      return {
        status: 403,
        detail: "this address may not call this source",
        reason: `address ${client ?? "unknown"} is not in allow_ips`,
      };
    }
  }
  const type = mediaType(headers["content-type"]);
  if (!contentTypes.has(type) && !contentTypes.has("*/*")) {
    return {
      status: 415,
      detail: `the content type must be ${source.contentTypes.join(" or ")}`,
      reason: `content type ${JSON.stringify(type)} is not one of ${source.contentTypes.join(", ")}`,
    };
  }
  // A signature covers the bytes as sent, and a small body that inflates to a huge one must not get past the limit.
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== "identity") {
    return { status: 415, detail: "the body must not be compressed", headers: { "accept-encoding": "identity" } };
  }
  if (bucket !== undefined && !bucket.take()) {
    const { count, perMs } = source.rateLimit!;
    return {
      status: 429,
      detail: "this source takes no more requests at the moment",
      headers: retryAfter(bucket.waitMs()),
      reason: `rate limit of ${count} per ${perMs} ms`,
    };
  }
}

function unavailable(reason: string): Refusal {
  return { status: 503, detail: "not taking requests now; try again", headers: retryAfter(comeBackMs), reason };
}

function refusalOf({ refusal, reason, detail, paths }: Refused): Refusal {
  switch (refusal) {
    case "unverified":
      // Always the same words: what exactly was wrong would help whoever is guessing.
      return { status: 401, detail: "the request could not be verified", reason };
    case "unparsable":
      return { status: 400, detail: detail ?? "the body could not be parsed", reason };
    case "invalid":
      return {
        status: 422,
        detail: detail ?? "the body does not fit the source's schema",
        members: paths && { paths },
        reason,
      };
  }
}

function accept(intaken: Exclude<Intaken, Refused>): Answer {
  if (intaken.kind === "handshake") return cleanAnswer(intaken.answer);
  const { answer, events } = intaken;
  return answer === undefined ? jsonAnswer(receipt(events), { status: 202 }) : cleanAnswer(answer);
}

/** One event is answered as itself, several as a list. */
function receipt(events: readonly Appended[]): unknown {
  const listed = events.map(({ eventId, status }) => ({ id: eventId, status }));
  if (listed.length === 1) return listed[0];
  const duplicate = listed.length > 0 && listed.every(({ status }) => status === "duplicate");
  return { events: listed, status: duplicate ? "duplicate" : "accepted" };
}
