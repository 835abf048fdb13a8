/**
 * HTTP/1.1 requests out of the bytes of one connection. What is a request and what is not is up to llhttp, the parser of
 * Node, which Deno brings along, at its strictest; this file gives its callbacks a shape and refuses what it lets through.
 */

import * as nodeHttp from "node:_http_common";
import type { HeaderMap } from "../domain/event.ts";
import { isOlder } from "../domain/version.ts";
import { BodyCollector } from "./body_reader.ts";

const { HTTPParser, methods } = nodeHttp;

/** Oldest Deno on whose sockets requests are parsed here: 2.9.0 has the parser, but its `close` leaves a write waiting. */
export const denoVersionMin = "2.9.6";

/** Whether this Deno has all that it takes. Nobody has promised that a later one keeps the parser where it is. */
export const canParseRequests: boolean = typeof HTTPParser?.prototype?.execute === "function" &&
  !isOlder(Deno.version.deno, denoVersionMin);

/** Most headers of a request. */
export const headersMax = 256;

/** A request whose head is there. Its body may still be on its way. */
export interface Message {
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  readonly headers: HeaderMap;
  /** Whether the sender may go on with another request on this connection. */
  readonly keepsAlive: boolean;
  /** Whether the sender waits to be told to send the body. */
  readonly expectsContinue: boolean;
  /** Its body, as far as it is there. */
  readonly body: BodyCollector;
  /** Whether the body is there to its last byte. */
  isComplete: boolean;
}

/** Why the bytes are no request, or none that is taken here. */
export interface Fault {
  readonly status: 400 | 408 | 431;
  readonly reason: string;
}

/** The requests of one connection. */
export interface RequestParser {
  /** Those whose head is there, in order. Whoever takes one removes it. */
  readonly messages: Message[];
  /** Whether the first bytes of a request have come, and its head is not there yet. */
  readonly isInHead: boolean;
  /** What is wrong with the bytes after the last of the messages, or with its body. Nothing is read after it. */
  readonly fault: Fault | undefined;
  /** Takes the next bytes. They may be overwritten afterwards. */
  push(bytes: Uint8Array): void;
}

/** The part of the platform's parser that is used here. */
interface Llhttp {
  initialize(kind: number, resource: object, headerBytesMax: number, lenient: number): void;
  execute(bytes: Uint8Array): number | ParseError;
  [callback: number]: (...values: never[]) => number | void;
}

/** What it says of bytes that are no request. */
interface ParseError extends Error {
  readonly code: string;
  readonly reason?: string;
  /** Bytes before the one that is wrong. */
  readonly bytesParsed: number;
}

/** What `onHeadersComplete` is told: version, headers in pairs, method, target, and whether to keep the connection. */
type HeadValues = [
  major: number,
  minor: number,
  headers: string[] | undefined,
  method: number,
  target: string | undefined,
  status: undefined,
  statusText: undefined,
  upgrade: boolean,
  keepsAlive: boolean,
];

/**
 * Makes a parser for one connection.
 *
 * @param options.headerBytesMax names and values of the headers and the target together
 */
export function createRequestParser({ headerBytesMax }: { headerBytesMax: number }): RequestParser {
  const llhttp: Llhttp = new HTTPParser();
  llhttp.initialize(HTTPParser.REQUEST, {}, headerBytesMax, HTTPParser.kLenientNone);
  const messages: Message[] = [];
  /** The one whose body is being read. */
  let current: Message | undefined;
  /** Of a head with many headers, those that came before it was complete; the target comes with the first. */
  let early: { pairs: string[]; target: string } | undefined;
  let isInHead = false;
  let fault: Fault | undefined;

  llhttp[HTTPParser.kOnMessageBegin] = () => void (isInHead = true);
  llhttp[HTTPParser.kOnHeaders] = (pairs: string[], target: string) => {
    if (current !== undefined) return; // of a trailer: nobody asks for it
    early ??= { pairs: [], target };
    early.pairs.push(...pairs);
  };
  llhttp[HTTPParser.kOnHeadersComplete] = (
    ...[major, minor, pairs, method, target, , , upgrade, keepsAlive]: HeadValues
  ) => {
    isInHead = false;
    const all = early?.pairs ?? pairs ?? [];
    const headers = joinHeaders(all);
    fault ??= faultOf(all, { headers, version: `${major}.${minor}` });
    current = {
      method: methods[method] ?? "UNKNOWN",
      target: early?.target ?? target ?? "",
      headers,
      // HTTP/1.0 would have to be told that it may; of another protocol llhttp reads nothing, and nobody here speaks one.
      keepsAlive: keepsAlive && minor === 1 && !upgrade,
      expectsContinue: minor === 1 && headers.expect?.toLowerCase() === "100-continue",
      body: new BodyCollector(),
      isComplete: false,
    };
    early = undefined;
    if (fault === undefined) messages.push(current);
    return 0;
  };
  // A copy of the platform's, so that the bytes it was made of may be overwritten.
  llhttp[HTTPParser.kOnBody] = (bytes: Uint8Array<ArrayBuffer>) => current!.body.add(bytes);
  llhttp[HTTPParser.kOnMessageComplete] = () => {
    current!.isComplete = true;
    current = undefined;
  };

  return {
    messages,
    get isInHead() {
      return isInHead;
    },
    get fault() {
      return fault;
    },
    push(bytes) {
      if (fault !== undefined) return;
      const result = llhttp.execute(bytes);
      if (typeof result !== "number") fault ??= faultFrom(result, bytes);
      // Of a request that would change the protocol it does not say what is wrong, only that it went no further.
      else if (result < bytes.length && current !== undefined) {
        fault ??= { status: 400, reason: "its body is not as its headers say" };
      }
    },
  };
}

/** A repeated header is joined the way HTTP does. */
function joinHeaders(pairs: readonly string[]): HeaderMap {
  const headers: Record<string, string> = {};
  for (let at = 0; at < pairs.length; at += 2) {
    const name = pairs[at]!.toLowerCase();
    const value = pairs[at + 1]!;
    if (name === "__proto__") continue; // an assignment would not make it a header, and nobody means one by it
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

/** Characters of a host and its port: RFC 3986, section 3.2.2, without the comma, which joins two headers. */
const hostShape = /^[\w.\-~%!$&'()*+;=:[\]]*$/;

/** What llhttp lets through and a request must not have: RFC 9112, sections 2.3, 3.2 and 6.1. */
function faultOf(
  pairs: readonly string[],
  { headers, version }: { headers: HeaderMap; version: string },
): Fault | undefined {
  const isOld = version === "1.0";
  if (!isOld && version !== "1.1") return { status: 400, reason: `it speaks HTTP/${version}, this port HTTP/1.1` };
  if (pairs.length > 2 * headersMax) return { status: 431, reason: `more than ${headersMax} headers` };
  if (!headers.host && !isOld) return { status: 400, reason: "there is no Host header" };
  if (headers.host?.includes(",")) return { status: 400, reason: "there is more than one Host header" };
  if (headers.host !== undefined && !hostShape.test(headers.host)) {
    return { status: 400, reason: "the Host header is no host" };
  }
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && (isOld || coding.toLowerCase() !== "chunked")) {
    return { status: 400, reason: `a Transfer-Encoding other than "chunked" in HTTP/1.1` };
  }
}

/** The first byte of a TLS connection: a record that carries a handshake. */
const tlsHandshake = 0x16;

function faultFrom({ code, reason, message, bytesParsed }: ParseError, bytes: Uint8Array): Fault {
  if (code === "HPE_HEADER_OVERFLOW") return { status: 431, reason: "the headers are too large" };
  if (code === "HPE_PAUSED_H2_UPGRADE") return { status: 400, reason: "it speaks HTTP/2, this port HTTP/1.1" };
  if (bytes[bytesParsed] === tlsHandshake) return { status: 400, reason: "it speaks TLS, this port plain HTTP" };
  return { status: 400, reason: `it is no HTTP/1.1 request: ${reason ?? message}` };
}
