/**
 * SendGrid's Event Webhook: ECDSA (P-256, SHA-256) over `{timestamp}{body}`; one request carries a list of events. The
 * source's `secret` is the public verification key that SendGrid shows, in base64.
 *
 * https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
 */

import { type DescribedEvent, type Provider, refused, verified } from "../../core/plugin.ts";
import { fieldOf, textOf, timeOf, unknownType } from "../fields.ts";
import { readSettings, type SecretReading, type SettingsReader } from "../settings.ts";
import {
  decode,
  encode,
  findTimestampFault,
  formatTimestamp,
  headerOf,
  isEcdsaSigned,
  type PublicKey,
  readPrivateKey,
  readPublicKey,
  signEcdsa,
} from "../signature.ts";

const signatureHeader = "x-twilio-email-event-webhook-signature";
const timestampHeader = "x-twilio-email-event-webhook-timestamp";

/**
 * SendGrid documents no tolerance and repeats a request for up to 24 hours. Whatever is replayed within that time falls
 * to the idempotency of the signed sg_event_id.
 */
const defaultToleranceMs = 25 * 3_600_000;

/** Delivery and engagement events of SendGrid; types such as `delivered` and `bounce`. */
export const sendgrid: Provider = {
  name: "sendgrid",
  summary: "SendGrid's Event Webhook, signed with ECDSA P-256; the secret is SendGrid's public verification key.",
  signatureHeaders: [signatureHeader],
  secret: "required",
  signsId: true,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("sendgrid", settings);
    const keys = read.secrets(readVerificationKey);
    const toleranceMs = read.toleranceMs(defaultToleranceMs);
    const privateKey = readSigningKey(read);
    return read.bind(() => ({
      verify(request, { now }) {
        const text = headerOf(request.headers, signatureHeader);
        if (text === undefined) return refused(`there is no ${signatureHeader} header`);
        const given = decode(text, "base64");
        if (given === undefined) return refused(`the ${signatureHeader} header is not exactly one <DER in base64>`);
        const timestamp = headerOf(request.headers, timestampHeader);
        const fault = findTimestampFault(timestamp, { now, toleranceMs, unit: "s" });
        if (fault !== undefined) return refused(`${timestampHeader}: ${fault}`);
        return isEcdsaSigned(given, { keys, content: [timestamp!, request.body] })
          ? verified(request)
          : refused(`the signature in ${signatureHeader} does not match`);
      },
      describe: (_request, body) => Array.isArray(body) ? body.map(describe) : [describe(body)],
      sign(draft, { now }) {
        if (privateKey === undefined) {
          throw new TypeError(
            "cannot sign as SendGrid: only SendGrid has the private key; for tests set options.private_key to the " +
              "base64 of a P-256 key in PKCS #8, and secret to its public half",
          );
        }
        const timestamp = formatTimestamp(now, "s");
        const headers = {
          "content-type": "application/json;charset=utf-8",
          "user-agent": "SendGrid Event API",
          ...draft.headers,
          [timestampHeader]: timestamp,
          [signatureHeader]: encode(signEcdsa(privateKey, [timestamp, draft.body]), "base64"),
        };
        return { ...draft, headers };
      },
    }));
  },
};

function describe(item: unknown): DescribedEvent {
  return {
    id: textOf(item, "sg_event_id"),
    type: textOf(item, "event") ?? unknownType,
    time: timeOf(fieldOf(item, "timestamp")),
    body: item,
  };
}

function readVerificationKey(secret: string): SecretReading<PublicKey> {
  const value = readPublicKey(secret);
  if (value !== undefined) return { ok: true, value };
  const message =
    "the secret is not a P-256 public key in base64; copy the Verification Key from SendGrid's settings " +
    "(Mail Settings, Event Webhooks, Security features)";
  return { ok: false, message };
}

function readSigningKey(read: SettingsReader): ReturnType<typeof readPrivateKey> {
  const text = read.text("private_key");
  const key = text === undefined ? undefined : readPrivateKey(text);
  if (text !== undefined && key === undefined) {
    read.refuse(["options", "private_key"], "private_key is not a P-256 private key in PKCS #8, as base64 of its DER");
  }
  return key;
}
