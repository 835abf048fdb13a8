/**
 * Slack: HMAC-SHA256 of `v0:{timestamp}:{body}` for the Events API (JSON), slash commands and interactivity (forms).
 * Slack shows the answer to a form to the person who sent it, so those are answered with nothing.
 *
 * https://api.slack.com/authentication/verifying-requests-from-slack
 */

import {
  type Answer,
  type DescribedEvent,
  type IncomingRequest,
  mediaType,
  parseJson,
  type Provider,
  refused,
} from "../../core/plugin.ts";
import { createHmacProof, type HmacForm } from "../declarative.ts";
import { fieldOf, textOf, timeOf, unknownType } from "../fields.ts";
import { readSettings, readTextKey } from "../settings.ts";

const form: HmacForm = {
  header: "x-slack-signature",
  prefix: "v0=",
  encoding: "hex",
  hash: "sha256",
  content: "v0:{timestamp}:{body}",
};

const formType = "application/x-www-form-urlencoded";

/** Slack's Events API, slash commands and interactivity; types such as `message.channel_join` and `slash_command`. */
export const slack: Provider = {
  name: "slack",
  summary: "Slack events, slash commands and interactivity, signed with HMAC-SHA256 over a timestamp and the body.",
  signatureHeaders: [form.header],
  secret: "required",
  signsId: true,
  contentTypes: ["application/json", formType],
  bind(settings) {
    const read = readSettings("slack", settings);
    const keys = read.secrets(readTextKey);
    const timestamp = {
      header: "x-slack-request-timestamp",
      unit: "s",
      toleranceMs: read.toleranceMs(300_000),
    } as const;
    return read.bind(() => {
      const proof = createHmacProof({ ...form, timestamp }, keys);
      return {
        async verify(request, at) {
          const verification = await proof.verify(request, at);
          return verification.ok || !isSslCheck(request) ? verification : refused(verification.reason, { status: 200 });
        },
        describe: (_request, body) => [describe(body)],
        sign(draft, at) {
          const headers = {
            "content-type": "application/json",
            "user-agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            ...draft.headers,
          };
          return { ...draft, headers: proof.sign({ ...draft, headers }, at) };
        },
        handshake: (_request, body) => answerQuestion(body),
        accepted({ headers }) {
          return mediaType(headers["content-type"]) === formType ? { status: 200 } : undefined;
        },
      };
    });
  },
};

/** Longest body that may be an `ssl_check`: it holds that and an old verification token. */
const sslCheckBytesMax = 1_024;

/** Now and then Slack tries the certificate behind a slash command; its own libraries take that without a signature. */
function isSslCheck({ headers, body }: IncomingRequest): boolean {
  if (mediaType(headers["content-type"]) !== formType || body.length > sslCheckBytesMax) return false;
  return new URLSearchParams(new TextDecoder().decode(body)).get("ssl_check") === "1";
}

/** What Slack asks with a signature: whether a URL that is being saved is ours, or the same `ssl_check`. */
function answerQuestion(body: unknown): Answer | undefined {
  const challenge = fieldOf(body, "challenge");
  if (fieldOf(body, "type") === "url_verification" && typeof challenge === "string") {
    return { status: 200, headers: { "content-type": "text/plain" }, body: challenge };
  }
  return fieldOf(body, "ssl_check") === "1" ? { status: 200 } : undefined;
}

function describe(body: unknown): DescribedEvent {
  if (typeof fieldOf(body, "command") === "string") {
    return { id: textOf(body, "trigger_id"), type: "slash_command", body };
  }
  const payload = fieldOf(body, "payload");
  if (typeof payload === "string") {
    const parsed = parseJson(new TextEncoder().encode(payload));
    const interaction = parsed.ok ? parsed.value : body;
    return {
      id: textOf(interaction, "trigger_id"),
      type: textOf(interaction, "type") ?? unknownType,
      body: interaction,
    };
  }
  const type = textOf(body, "event", "type") ?? textOf(body, "type") ?? unknownType;
  const subtype = textOf(body, "event", "subtype");
  return {
    id: textOf(body, "event_id"),
    type: subtype === undefined ? type : `${type}.${subtype}`,
    time: timeOf(fieldOf(body, "event_time")),
    body,
  };
}
