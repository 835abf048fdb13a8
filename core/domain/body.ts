/**
 * From bytes to the value that expressions and handlers see. Integers that a double cannot hold stay exact text, so that
 * two ids never become one; everything else is what `JSON.parse` says.
 */

import type { HeaderMap } from "./event.ts";

/** A parsed body, or why it could not be parsed. */
export type ParsedBody = { readonly ok: true; readonly value: unknown } | {
  readonly ok: false;
  readonly reason: string;
};

/** Deepest nesting of a JSON body. Beyond it, copying a value between threads overflows the stack. */
export const bodyDepthMax = 64;

/** The media type of a Content-Type header, lower case and without parameters. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

/** Whether a media type carries JSON (`application/json` or any `+json`). */
export function isJson(type: string): boolean {
  return type === "application/json" || type === "text/json" || type.endsWith("+json");
}

/**
 * Parses a body by its content type: JSON to its value, a form to an object of strings (repeated names become lists),
 * an empty body to null, any other text to a string. Bytes of a type that is neither are null: only the raw bytes speak.
 *
 * @param bytes the body exactly as it came
 * @param contentType the Content-Type header; without one, JSON is tried first
 */
export function parseBody(bytes: Uint8Array, contentType: string | undefined): ParsedBody {
  const type = mediaType(contentType);
  if (bytes.length === 0) return { ok: true, value: null };
  if (isJson(type) || type === "") {
    const parsed = parseJson(bytes);
    return parsed.ok || type !== "" ? parsed : { ok: true, value: null };
  }
  if (type === "application/x-www-form-urlencoded") return { ok: true, value: parseForm(bytes) };
  if (type.startsWith("text/")) return { ok: true, value: new TextDecoder().decode(bytes) };
  return { ok: true, value: null };
}

/** One for all bodies: each is decoded whole, so nothing of it stays behind. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** Parses JSON bytes strictly: UTF-8, at most {@link bodyDepthMax} levels, big integers as text. */
export function parseJson(bytes: Uint8Array): ParsedBody {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    return { ok: false, reason: "the body is not valid UTF-8" };
  }
  if (bracketsExceed(text, bodyDepthMax) && depthExceeds(bytes, bodyDepthMax)) {
    return { ok: false, reason: `the body nests deeper than ${bodyDepthMax} levels` };
  }
  try {
    return { ok: true, value: parseJsonText(text) };
  } catch {
    return { ok: false, reason: "the body is not valid JSON" };
  }
}

/**
 * `JSON.parse` that keeps integers beyond 2^53 as the text they were written in.
 *
 * @throws SyntaxError when the text is not JSON
 */
export function parseJsonText(text: string): unknown {
  // The reviver costs four times the plain parse, so it runs only where some number has enough digits to be at risk.
  if (!hasDigitRun(text, 16)) return JSON.parse(text);
  return JSON.parse(text, exactIntegers as (key: string, value: unknown) => unknown);
}

/** `/\d{16}/` by looking at every 16th character, which no run of 16 digits can avoid. */
function hasDigitRun(text: string, length: number): boolean {
  for (let at = length - 1; at < text.length; at += length) {
    if (!isDigit(text, at)) continue;
    let [from, to] = [at, at];
    while (isDigit(text, from - 1)) from--;
    while (isDigit(text, to + 1)) to++;
    if (to - from + 1 >= length) return true;
  }
  return false;
}

/** Beyond either end is no digit. */
function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function exactIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || !/^-?\d{16,}$/.test(source)) return value;
  return Number.isSafeInteger(value) ? value : source;
}

function parseForm(bytes: Uint8Array): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(new TextDecoder().decode(bytes))) {
    const before = fields.get(name);
    // Pushed in place: copying the list for each repeat would let one body of a single name cost quadratic time.
    if (Array.isArray(before)) before.push(value);
    else fields.set(name, before === undefined ? value : [before, value]);
  }
  return Object.fromEntries(fields);
}

/** Whether there are enough opening brackets to nest too deep. In most bodies there are not, and counting costs little. */
function bracketsExceed(text: string, limit: number): boolean {
  let count = 0;
  for (const bracket of "{[") {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++count > limit) return true;
    }
  }
  return false;
}

/** Counts nesting on the bytes, so that a deep body is refused before anything recursive touches it. */
function depthExceeds(bytes: Uint8Array, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > limit) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}

/** An event's own body as expressions see it; undefined when the request's bytes do not parse any more. */
export function eventBody(event: { raw: Uint8Array; item?: string; headers: HeaderMap }): unknown {
  if (event.item !== undefined) return parseJsonText(event.item);
  const parsed = parseBody(event.raw, event.headers["content-type"]);
  return parsed.ok ? parsed.value : undefined;
}
