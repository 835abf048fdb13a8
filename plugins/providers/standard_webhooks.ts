/**
 * Standard Webhooks, the common format of many senders, and Svix, from which it came: HMAC-SHA256 of
 * `{id}.{timestamp}.{body}` in a list of `v1,<base64>`. Signatures of other versions are passed over.
 *
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */

import { type HeaderMap, type Provider, refused, secretBytesMin, verified } from "../../core/plugin.ts";
import { fieldOf, textOf, timeOf, unknownType } from "../fields.ts";
import { readSettings, type SecretReading } from "../settings.ts";
import {
  createKey,
  decode,
  encode,
  findTimestampFault,
  formatTimestamp,
  headerOf,
  hmac,
  isSigned,
  type Key,
  readSignature,
  signaturesMax,
} from "../signature.ts";

/** Every sender that follows Standard Webhooks, or delivers through Svix. */
export const standardWebhooks: Provider = {
  name: "standard_webhooks",
  summary: "Any sender that follows Standard Webhooks (or Svix), signed with HMAC-SHA256 over id, timestamp and body.",
  signatureHeaders: ["webhook-signature", "svix-signature"],
  secret: "required",
  signsId: true,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("standard_webhooks", settings);
    const keys = read.secrets(readEncodedKey);
    const toleranceMs = read.toleranceMs(300_000);
    return read.bind(() => ({
      verify(request, { now }) {
        const { headers } = request;
        const prefix = prefixOf(headers);
        const id = headerOf(headers, `${prefix}-id`);
        const timestamp = headerOf(headers, `${prefix}-timestamp`);
        const text = headerOf(headers, `${prefix}-signature`);
        if (text === undefined) return refused(`there is no ${prefix}-signature header`);
        if (id === undefined) return refused(`there is no ${prefix}-id header`);
        if (!isSafeId(id)) return refused(`the ${prefix}-id header is not visible ASCII without a dot`);
        const fault = findTimestampFault(timestamp, { now, toleranceMs, unit: "s" });
        if (fault !== undefined) return refused(`${prefix}-timestamp: ${fault}`);
        const given = readSignatures(text);
        if (given === undefined) {
          return refused(`the ${prefix}-signature header is not exactly one list of v1,<base64>`);
        }
        if (given.length === 0) return refused(`the ${prefix}-signature header has no v1 signature`);
        return isSigned(given, { keys, content: [id, ".", timestamp!, ".", request.body], hash: "sha256" })
          ? verified(request)
          : refused(`no signature in ${prefix}-signature matches`);
      },
      describe({ headers }, body) {
        return [{
          id: headerOf(headers, `${prefixOf(headers)}-id`),
          type: textOf(body, "type") ?? unknownType,
          time: timeOf(fieldOf(body, "timestamp")),
          body,
        }];
      },
      sign(draft, { now }) {
        if (!isSafeId(draft.id)) {
          throw new RangeError(
            `cannot sign with the id ${JSON.stringify(draft.id)}: expected visible ASCII without a dot`,
          );
        }
        const timestamp = formatTimestamp(now, "s");
        const content = [draft.id, ".", timestamp, ".", draft.body];
        const headers = {
          "content-type": "application/json",
          ...draft.headers,
          "webhook-id": draft.id,
          "webhook-timestamp": timestamp,
          "webhook-signature": `v1,${encode(hmac(keys[0]!, { content, hash: "sha256" }), "base64")}`,
        };
        return { ...draft, headers };
      },
    }));
  },
};

/** Svix signs the same content under headers of its own name. */
function prefixOf(headers: HeaderMap): "webhook" | "svix" {
  return headerOf(headers, "webhook-id") === undefined && headerOf(headers, "svix-id") !== undefined
    ? "svix"
    : "webhook";
}

/** A dot in the id would move the border between the id and the timestamp. */
function isSafeId(id: string): boolean {
  return /^[\x21-\x7e]+$/.test(id) && !id.includes(".");
}

/** The v1 signatures of a list; undefined when it is not a list, as when the header was sent twice. */
function readSignatures(text: string): Uint8Array[] | undefined {
  const items = text.split(" ");
  if (items.length > signaturesMax) return undefined;
  const signatures: Uint8Array[] = [];
  for (const item of items) {
    if (!/^v\d+[a-z]*,[\w+/=-]+$/.test(item)) return undefined;
    if (!item.startsWith("v1,")) continue;
    const signature = readSignature(item, { prefix: "v1,", encoding: "base64", hash: "sha256" });
    if (signature === undefined) return undefined;
    signatures.push(signature);
  }
  return signatures;
}

function readEncodedKey(secret: string): SecretReading<Key> {
  if (!secret.startsWith("whsec_")) {
    const message =
      "the secret does not begin with whsec_; copy it with its prefix, or write whsec_ and the base64 of " +
      "the raw bytes if the sender gives a bare secret";
    return { ok: false, message };
  }
  const encoded = secret.slice("whsec_".length);
  const bytes = decode(encoded, "base64") ?? decode(encoded.padEnd(Math.ceil(encoded.length / 4) * 4, "="), "base64");
  if (bytes === undefined) return { ok: false, message: "the secret is not base64 after whsec_; copy it again" };
  if (bytes.length < secretBytesMin) {
    const message = `the secret has ${bytes.length} bytes after whsec_, expected at least ${secretBytesMin}`;
    return { ok: false, message };
  }
  return { ok: true, value: createKey(bytes) };
}
