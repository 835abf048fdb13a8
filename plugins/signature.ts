/**
 * Proofs of origin, once for all providers: strict decoding, keyed hashes, ECDSA, comparison in constant time and the
 * tolerance of timestamps. An empty key cannot be made here, and no reason given here contains an expected value.
 */

import { Buffer } from "node:buffer";
import { createHash, createHmac, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { formatDuration, type HeaderMap } from "../core/plugin.ts";

/** The hash functions that senders key, with the length of their output in bytes. */
export const hashBytes = { sha1: 20, sha256: 32, sha512: 64 } as const;

export type Hash = keyof typeof hashBytes;

/** How a signature is written in a header. */
export const encodings = ["hex", "base64"] as const;

export type Encoding = (typeof encodings)[number];

/** What is signed, in pieces that are hashed one after the other. */
export type Content = readonly (string | Uint8Array)[];

declare const keyMark: unique symbol;

/** Bytes that sign. Only {@link createKey} makes one, and never an empty one. */
export type Key = Uint8Array & { readonly [keyMark]: true };

/** Most signatures that one header may list; each of them costs a comparison. */
export const signaturesMax = 16;

/**
 * Makes a key of a secret's bytes.
 *
 * @param secret text is taken as UTF-8
 * @throws RangeError when there are no bytes: a hash under an empty key is one that anybody can make
 */
export function createKey(secret: string | Uint8Array): Key {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (bytes.length === 0) throw new RangeError("cannot make a key of an empty secret");
  return bytes as Key;
}

/** The keyed hash of some content. */
export function hmac(key: Key, signed: { content: Content; hash: Hash }): Uint8Array {
  const keyed = createHmac(signed.hash, key);
  for (const part of signed.content) keyed.update(part);
  return keyed.digest();
}

/**
 * Whether any of the given signatures is the keyed hash of the content under any of the keys. Every pair is compared
 * whatever came before, so that time does not tell which key it was.
 */
export function isSigned(
  given: readonly Uint8Array[],
  by: { keys: readonly Key[]; content: Content; hash: Hash },
): boolean {
  let found = false;
  for (const key of by.keys) {
    const expected = hmac(key, by);
    for (const signature of given) found = isEqual(signature, expected) || found;
  }
  return found;
}

/** Whether two runs of bytes are the same, in a time that depends on their lengths alone. */
export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** SHA-256 of text or bytes; for comparing secrets of different lengths, and for senders that sign a digest. */
export function sha256(content: string | Uint8Array): Uint8Array {
  return createHash("sha256").update(content).digest();
}

/** Writes bytes the way {@link decode} reads them. */
export function encode(bytes: Uint8Array, encoding: Encoding): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}

/**
 * Reads bytes that are written in the one canonical way: lower-case hex, or padded base64 of the standard alphabet
 * without stray bits. Two spellings of one signature would be two signatures for whoever compares the text.
 *
 * @returns undefined for anything else
 */
export function decode(text: string, encoding: Encoding): Uint8Array | undefined {
  if (encoding === "hex") return /^(?:[0-9a-f]{2})*$/.test(text) ? Uint8Array.fromHex(text) : undefined;
  const bytes = Buffer.from(text, encoding);
  return bytes.toString(encoding) === text ? bytes : undefined;
}

/**
 * Reads one signature of an exact length behind an exact prefix. A header that was sent twice arrives joined by ", "
 * and is refused by its length.
 *
 * @returns undefined when the text is not one
 */
export function readSignature(
  text: string,
  form: { prefix?: string; encoding: Encoding; hash: Hash },
): Uint8Array | undefined {
  const prefix = form.prefix ?? "";
  if (!text.startsWith(prefix)) return undefined;
  const bytes = decode(text.slice(prefix.length), form.encoding);
  return bytes?.length === hashBytes[form.hash] ? bytes : undefined;
}

/**
 * Reads a list such as `t=1700000000,v1=abc,v1=def`. Names and values are visible ASCII, so the ", " that joins a header
 * sent twice makes the whole list unreadable.
 *
 * @returns the values by name, or undefined when the text is not such a list
 */
export function parsePairs(text: string): ReadonlyMap<string, readonly string[]> | undefined {
  const pairs = new Map<string, string[]>();
  for (const item of text.split(",")) {
    const [, name, value] = item.match(/^([\w-]+)=([\x21-\x7e]*)$/) ?? [];
    if (name === undefined || value === undefined) return undefined;
    const values = pairs.get(name);
    if (values === undefined) pairs.set(name, [value]);
    else values.push(value);
  }
  return pairs;
}

/** A header's value; an empty one is as good as none. */
export function headerOf(headers: HeaderMap, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  return value === "" ? undefined : value;
}

/** What a timestamp in a request counts. */
export type TimestampUnit = "s" | "ms";

/** Writes a moment as a timestamp header. */
export function formatTimestamp(at: number, unit: TimestampUnit): string {
  return String(unit === "s" ? Math.floor(at / 1_000) : at);
}

/**
 * Holds a signed timestamp against the clock, in both directions: one far in the future could be replayed for as long.
 *
 * @param text digits only; anything looser could move the border between the timestamp and what is signed after it
 * @returns why it is refused, or undefined when it is fresh
 */
export function findTimestampFault(
  text: string | undefined,
  at: { now: number; toleranceMs: number; unit: TimestampUnit },
): string | undefined {
  if (text === undefined) return "the timestamp is missing";
  const digits = at.unit === "s" ? /^\d{1,12}$/ : /^\d{1,15}$/;
  if (!digits.test(text)) return `the timestamp is not a unix time in ${at.unit === "s" ? "" : "milli"}seconds`;
  const ageMs = at.now - Number(text) * (at.unit === "s" ? 1_000 : 1);
  if (Math.abs(ageMs) <= at.toleranceMs) return undefined;
  const side = ageMs > 0 ? "behind" : "ahead of";
  return `the timestamp is ${formatDuration(Math.abs(ageMs))} ${side} the clock, more than the tolerance of ${
    formatDuration(at.toleranceMs)
  }`;
}

/** A P-256 public key. */
export type PublicKey = KeyObject;

/** Reads a P-256 public key from the base64 of its SPKI DER form, or returns undefined. */
export function readPublicKey(text: string): PublicKey | undefined {
  const der = decode(text, "base64");
  return der && p256(() => createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" }));
}

/** Reads a P-256 private key from the base64 of its PKCS #8 DER form, or returns undefined. */
export function readPrivateKey(text: string): KeyObject | undefined {
  const der = decode(text, "base64");
  return der && p256(() => createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" }));
}

/** The platform says "this is not a key" by throwing; here it is a value like every other expected no. */
function p256(read: () => KeyObject): KeyObject | undefined {
  try {
    const key = read();
    return key.asymmetricKeyDetails?.namedCurve === "prime256v1" ? key : undefined;
  } catch {
    return undefined;
  }
}

/** ECDSA over P-256 with SHA-256; the signature is in DER. */
export function signEcdsa(key: KeyObject, content: Content): Uint8Array {
  return sign("sha256", join(content), key);
}

/** Whether an ECDSA signature (P-256, SHA-256, DER) was made with the private half of any of the keys. */
export function isEcdsaSigned(given: Uint8Array, by: { keys: readonly PublicKey[]; content: Content }): boolean {
  const content = join(by.content);
  return by.keys.some((key) => {
    try {
      return verify("sha256", content, key, given);
    } catch {
      return false; // Bytes that are no DER are no signature; some versions of the platform throw for them.
    }
  });
}

function join(content: Content): Uint8Array {
  return Buffer.concat(content.map((part) => typeof part === "string" ? Buffer.from(part) : part));
}
