/**
 * Answers are plain values until they leave: a port of our own writes them as bytes, and whoever embeds the engine gets
 * them as a `Response`.
 */

import { STATUS_TEXT, type StatusCode } from "@std/http/status";
import type { HeaderMap } from "../domain/event.ts";
import type { Answer } from "../domain/provider.ts";

/** Statuses with which a body is not allowed; giving one to `Response` would throw. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

/** What `Response` says of a text whose type nobody has named. */
const defaultType = "text/plain;charset=UTF-8";

const encoder = new TextEncoder();

/** Makes an answer of a value that JSON can hold. */
export function jsonAnswer(
  value: unknown,
  { status = 200, headers }: { status?: number; headers?: HeaderMap },
): Answer {
  return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) };
}

/**
 * Makes the platform's response of an answer.
 *
 * @throws TypeError or RangeError for a header or a status that HTTP does not have
 */
export function toResponse({ status, headers, body }: Answer): Response {
  return new Response(bodiless.has(status) ? null : body ?? null, { status, headers });
}

/** Headers that say how an answer is sent, which is not for its maker to say. */
const framingHeaders = ["connection", "content-length", "date", "transfer-encoding"];

/**
 * Makes of a plugin's answer one that HTTP has.
 *
 * @throws TypeError or RangeError for a header or a status that HTTP does not have
 */
export function cleanAnswer(answer: Answer): Answer {
  const { headers } = toResponse(answer);
  for (const name of framingHeaders) headers.delete(name);
  return { ...answer, headers: Object.fromEntries(headers) };
}

/** How an answer goes out on a connection. */
export interface Sending {
  /** Whether HEAD was asked: then its body stays here, and is only counted. */
  readonly isHead: boolean;
  /** Whether the connection ends with it. */
  readonly isLast: boolean;
  /** The Date header. */
  readonly date: string;
}

/** Whether every character is one byte. */
const isAscii = /^[\p{ASCII}]*$/u;

/** Writes an answer as the bytes of HTTP/1.1. One that a plugin has made has to be clean. */
export function encodeAnswer({ status, headers = {}, body = "" }: Answer, sending: Sending): Uint8Array {
  const text = bodiless.has(status) ? "" : body;
  const length = isAscii.test(text) ? text.length : encoder.encode(text).length;
  let head = `HTTP/1.1 ${status} ${STATUS_TEXT[status as StatusCode] ?? ""}\r\ndate: ${sending.date}\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  if (text !== "" && headers["content-type"] === undefined) head += `content-type: ${defaultType}\r\n`;
  if (status !== 204 && status !== 304) head += `content-length: ${length}\r\n`;
  if (sending.isLast) head += "connection: close\r\n";
  return encoder.encode(`${head}\r\n${sending.isHead ? "" : text}`);
}
