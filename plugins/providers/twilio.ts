/**
 * Twilio: HMAC-SHA1 of the public URL followed by the form's fields in order of name; JSON bodies are covered by a
 * SHA-256 in the URL. The fields are signed, not the bytes of the form: two spellings of one form share a signature.
 *
 * https://www.twilio.com/docs/usage/webhooks/webhooks-security
 */

import {
  type Answer,
  type DescribedEvent,
  type Draft,
  type HeaderMap,
  type IncomingRequest,
  mediaType,
  type Provider,
  refused,
  verified,
} from "../../core/plugin.ts";
import { fieldOf, textOf, timeOf, unknownType } from "../fields.ts";
import { readSettings, readTextKey } from "../settings.ts";
import { decode, encode, headerOf, hmac, isEqual, isSigned, readSignature, sha256 } from "../signature.ts";

const header = "x-twilio-signature";
const formType = "application/x-www-form-urlencoded";

/** Most fields in a form; Twilio sends fewer than a hundred. */
const fieldsMax = 2_000;

/** An empty TwiML document: voice and messaging callbacks do nothing, status callbacks ignore it. */
const emptyTwiml: Answer = { status: 200, headers: { "content-type": "text/xml" }, body: "<Response></Response>" };

/** Voice, messaging and status callbacks of Twilio; types such as `message.delivered` and `call.completed`. */
export const twilio: Provider = {
  name: "twilio",
  summary: "Twilio callbacks, signed with HMAC-SHA1 over the public URL and the form; set server.public_url.",
  signatureHeaders: [header],
  secret: "required",
  signsId: false, // Callbacks without a status are told apart by a header that is not signed.
  contentTypes: [formType, "application/json"],
  bind(settings) {
    const read = readSettings("twilio", settings);
    const keys = read.secrets(readTextKey);
    return read.bind(() => ({
      verify(request) {
        const text = headerOf(request.headers, header);
        if (text === undefined) return refused(`there is no ${header} header`);
        const given = readSignature(text, { encoding: "base64", hash: "sha1" });
        if (given === undefined) return refused(`the ${header} header is not exactly one <20 bytes in base64>`);
        const fields = signedFields(request);
        if (!fields.ok) return refused(fields.reason);
        const matches = urlVariants(request.url).some((url) =>
          isSigned([given], { keys, content: [url, fields.text], hash: "sha1" })
        );
        if (matches) return verified(request);
        return refused(
          `the signature in ${header} does not match; the URL that was checked is ${
            withoutQuery(request.url)
          }, and it ` +
            "must be the one that Twilio calls: see server.public_url",
        );
      },
      describe: (request, body) => [describe(request.headers, body)],
      sign(draft) {
        const headers: HeaderMap = {
          "content-type": formType,
          "user-agent": "TwilioProxy/1.1",
          ...draft.headers,
          "i-twilio-idempotency-token": draft.id,
        };
        const request = withDigest({ ...draft, headers });
        const fields = signedFields(request);
        if (!fields.ok) throw new TypeError(`cannot sign the request: ${fields.reason}`);
        const signature = encode(hmac(keys[0]!, { content: [request.url, fields.text], hash: "sha1" }), "base64");
        return { ...request, headers: { ...headers, [header]: signature } };
      },
      accepted: () => emptyTwiml,
    }));
  },
};

type Signable = Pick<IncomingRequest, "url" | "headers" | "body">;

/** The text that is signed after the URL. A body that the signature would not cover is refused. */
function signedFields(request: Signable): { ok: true; text: string } | { ok: false; reason: string } {
  const digests = new URLSearchParams(queryOf(request.url)).getAll("bodySHA256");
  if (digests.length > 0) {
    const digest = digests.length === 1 ? decode(digests[0]!, "hex") : undefined;
    return digest !== undefined && isEqual(digest, sha256(request.body))
      ? { ok: true, text: "" }
      : { ok: false, reason: "the body does not have the SHA-256 that its URL states in bodySHA256" };
  }
  if (request.body.length === 0) return { ok: true, text: "" };
  if (mediaType(request.headers["content-type"]) !== formType) {
    return { ok: false, reason: "the body is not a form and its URL has no bodySHA256, so nothing signs it" };
  }
  return joinFields(request.body);
}

/** Names in order, each followed by its different values in order, with nothing between them. */
function joinFields(body: Uint8Array): { ok: true; text: string } | { ok: false; reason: string } {
  const fields = new Map<string, Set<string>>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(new TextDecoder().decode(body))) {
    if (++count > fieldsMax) return { ok: false, reason: `the form has more than ${fieldsMax} fields` };
    const values = fields.get(name);
    if (values === undefined) fields.set(name, new Set([value]));
    else values.add(value);
  }
  const text = [...fields.keys()].sort()
    .map((name) => [...fields.get(name)!].sort().map((value) => name + value).join(""))
    .join("");
  return { ok: true, text };
}

/** Twilio signs some URLs with the default port and some without, whatever was configured. */
function urlVariants(url: string): readonly string[] {
  const [, scheme, user = "", host, port, rest] =
    url.match(/^(https?:\/\/)([^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)(:\d*)?(.*)$/is) ?? [];
  if (scheme === undefined) return [url];
  const defaultPort = scheme.toLowerCase() === "https://" ? ":443" : ":80";
  return [`${scheme}${user}${host}${rest}`, `${scheme}${user}${host}${port ?? defaultPort}${rest}`];
}

function queryOf(url: string): string {
  const start = url.indexOf("?");
  return start === -1 ? "" : url.slice(start + 1).split("#", 1)[0]!;
}

/** A query may carry things that do not belong into a log. */
function withoutQuery(url: string): string {
  return url.split("?", 1)[0]!;
}

/** A body that is not a form is signed by its digest in the URL. */
function withDigest(draft: Draft): Draft {
  if (mediaType(draft.headers["content-type"]) === formType || queryOf(draft.url).includes("bodySHA256=")) return draft;
  const separator = draft.url.includes("?") ? "&" : "?";
  return { ...draft, url: `${draft.url}${separator}bodySHA256=${encode(sha256(draft.body), "hex")}` };
}

/**
 * Only a status makes a Sid the name of one event: a call comes back under the same CallSid and CallStatus for every
 * gathered digit. Whatever has no such name falls back on the token that Twilio repeats when it tries again.
 */
function describe(headers: HeaderMap, body: unknown): DescribedEvent {
  const messageStatus = textOf(body, "MessageStatus") ?? textOf(body, "SmsStatus");
  const callStatus = textOf(body, "CallStatus");
  const recordingStatus = textOf(body, "RecordingStatus");
  const id = join(textOf(body, "MessageSid"), messageStatus) ??
    join(textOf(body, "RecordingSid"), recordingStatus) ??
    join(textOf(body, "CallSid"), callStatus, textOf(body, "SequenceNumber")) ??
    headerOf(headers, "i-twilio-idempotency-token");
  const type = textOf(body, "EventType") ?? textOf(body, "StatusCallbackEvent") ??
    (messageStatus && `message.${messageStatus}`) ??
    (recordingStatus && `recording.${recordingStatus}`) ??
    (callStatus && `call.${callStatus}`) ??
    unknownType;
  return { id, type, time: timeOf(fieldOf(body, "Timestamp")), body };
}

function join(...parts: readonly (string | undefined)[]): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(":");
}
