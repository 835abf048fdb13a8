/**
 * Stripe: HMAC-SHA256 of `{t}.{body}` in Stripe-Signature, beside its timestamp. The whole `whsec_…` text is the key, and
 * while a secret is rolled the header carries one `v1` for each.
 *
 * https://docs.stripe.com/webhooks/signature
 */

import { type Provider, refused, verified } from "../../core/plugin.ts";
import { fieldOf, textOf, timeOf, unknownType } from "../fields.ts";
import { readSettings, readTextKey } from "../settings.ts";
import {
  encode,
  findTimestampFault,
  formatTimestamp,
  headerOf,
  hmac,
  isSigned,
  parsePairs,
  readSignature,
  signaturesMax,
} from "../signature.ts";

const header = "stripe-signature";
const signature = { encoding: "hex", hash: "sha256" } as const;

/** Events of Stripe accounts and Connect; types such as `invoice.paid`. */
export const stripe: Provider = {
  name: "stripe",
  summary: "Stripe events, signed with HMAC-SHA256 over a timestamp and the body.",
  signatureHeaders: [header],
  secret: "required",
  signsId: true,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("stripe", settings);
    const keys = read.secrets(readTextKey);
    const toleranceMs = read.toleranceMs(300_000);
    return read.bind(() => ({
      verify(request, { now }) {
        const text = headerOf(request.headers, header);
        if (text === undefined) return refused(`there is no ${header} header`);
        const pairs = parsePairs(text);
        if (pairs === undefined) return refused(`the ${header} header is not exactly one list like t=…,v1=…`);
        const [timestamp, ...repeated] = pairs.get("t") ?? [];
        if (repeated.length > 0) return refused(`the ${header} header has more than one t`);
        const fault = findTimestampFault(timestamp, { now, toleranceMs, unit: "s" });
        if (fault !== undefined) return refused(`${header}: ${fault}`);
        const texts = pairs.get("v1") ?? []; // Other schemes, such as the v0 of test mode, prove nothing.
        if (texts.length === 0) return refused(`the ${header} header has no v1 signature`);
        if (texts.length > signaturesMax) {
          return refused(`the ${header} header has more than ${signaturesMax} signatures`);
        }
        const given = texts.map((text) => readSignature(text, signature)).filter((bytes) => bytes !== undefined);
        if (given.length < texts.length) return refused(`a v1 signature in ${header} is not 64 lower-case hex digits`);
        return isSigned(given, { keys, content: [timestamp!, ".", request.body], hash: "sha256" })
          ? verified(request)
          : refused(`no signature in ${header} matches`);
      },
      describe(_request, body) {
        return [{
          id: textOf(body, "id"),
          type: textOf(body, "type") ?? unknownType,
          time: timeOf(fieldOf(body, "created")),
          body,
        }];
      },
      sign(draft, { now }) {
        const timestamp = formatTimestamp(now, "s");
        const v1 = encode(hmac(keys[0]!, { content: [timestamp, ".", draft.body], hash: "sha256" }), "hex");
        const headers = {
          "content-type": "application/json; charset=utf-8",
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
          ...draft.headers,
          [header]: `t=${timestamp},v1=${v1}`,
        };
        return { ...draft, headers };
      },
    }));
  },
};
