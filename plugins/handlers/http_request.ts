/**
 * What a target is sent: the event's body, the headers that say what it is, and a Standard Webhooks signature. All that
 * does not change between attempts is prepared once.
 *
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */

import type { Attempt, TargetSpec } from "../../core/plugin.ts";
import { createKey, decode, encode, formatTimestamp, hmac, type Key } from "../signature.ts";

/** One request, ready for `fetch`. */
export interface TargetRequest {
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Headers that a route cannot set: they carry the proof, or frame the message. */
const reservedHeaders =
  /^(?:webhook-.*|weir-.*|host|connection|keep-alive|upgrade|te|trailer|transfer-encoding|content-length|accept-encoding)$/i;

const whsec = "whsec_";

/**
 * Prepares the requests of one target.
 *
 * @returns a function that makes the request of one attempt at `now`
 * @throws TypeError when a header or a secret of the target cannot be used
 */
export function createRequestMaker(spec: TargetSpec): (attempt: Attempt, now: number) => TargetRequest {
  const fixed = readHeaders(spec);
  const keys = spec.secrets.map((secret, index) => readKey(secret, { target: nameOf(spec), index }));

  return ({ event, idempotencyKey, attempt }, now) => {
    const headers = new Headers(fixed);
    const body = (event.item === undefined ? event.raw : new TextEncoder().encode(event.item)) as Uint8Array<
      ArrayBuffer
    >;
    const contentType = event.item === undefined ? event.headers["content-type"] : "application/json";
    if (contentType !== undefined && !headers.has("content-type")) headers.set("content-type", contentType);
    // The id belongs to the lineage: a receiver that keeps the ids it has seen does nothing twice, even on a redelivery.
    const timestamp = formatTimestamp(now, "s");
    headers.set("webhook-id", idempotencyKey);
    headers.set("webhook-timestamp", timestamp);
    if (keys.length > 0) {
      const content = [idempotencyKey, ".", timestamp, ".", body];
      const signatures = keys.map((key) => `v1,${encode(hmac(key, { content, hash: "sha256" }), "base64")}`);
      headers.set("webhook-signature", signatures.join(" "));
    }
    headers.set("weir-event-type", encodeHeaderText(event.type));
    headers.set("weir-source", encodeHeaderText(event.source));
    headers.set("weir-attempt", String(attempt));
    return { headers, body };
  };
}

function readHeaders(spec: TargetSpec): Headers {
  // Not compressed: a few bytes on the wire must not become a gigabyte here.
  const headers = new Headers({ "user-agent": "weir", "accept-encoding": "identity" });
  for (const [name, value] of Object.entries(spec.headers)) {
    if (reservedHeaders.test(name)) continue;
    try {
      headers.set(name, value);
    } catch {
      // The platform's own message would repeat the value, which may be a credential.
      throw new TypeError(
        `cannot send the header ${JSON.stringify(name)} to ${
          nameOf(spec)
        }: expected a name and a value of visible ASCII`,
      );
    }
  }
  return headers;
}

/** `whsec_` secrets are base64, padded or not; any other text is the key itself. */
function readKey(secret: string, place: { target: string; index: number }): Key {
  if (!secret.startsWith(whsec)) return createKey(secret);
  const encoded = secret.slice(whsec.length).replace(/=+$/, "");
  const bytes = decode(encoded.padEnd(Math.ceil(encoded.length / 4) * 4, "="), "base64");
  if (bytes !== undefined && bytes.length > 0) return createKey(bytes);
  throw new TypeError(
    `cannot sign for ${place.target}: secret ${place.index + 1} is not base64 after whsec_; copy it again`,
  );
}

function nameOf(spec: TargetSpec): string {
  return `target ${spec.name} of route ${spec.route}`;
}

/** A sender chooses its event types freely, a header takes ASCII: the rest is percent-encoded, and so is the percent. */
function encodeHeaderText(text: string): string {
  return text.toWellFormed().replace(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent);
}
