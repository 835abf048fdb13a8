/**
 * GitHub: HMAC-SHA256 of the raw body in X-Hub-Signature-256. The delivery id and the event name stand in headers that
 * are not signed.
 *
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */

import { parseJson, type Provider } from "../../core/plugin.ts";
import { createHmacProof, type HmacForm } from "../declarative.ts";
import { fieldOf, textOf, unknownType } from "../fields.ts";
import { readSettings, readTextKey } from "../settings.ts";
import { headerOf } from "../signature.ts";

const form: HmacForm = {
  header: "x-hub-signature-256",
  prefix: "sha256=",
  encoding: "hex",
  hash: "sha256",
  content: "{body}",
};

/** Webhooks of GitHub repositories, organisations and apps; types such as `push` and `pull_request.opened`. */
export const github: Provider = {
  name: "github",
  summary: "GitHub webhooks, signed with HMAC-SHA256 over the body.",
  signatureHeaders: ["x-hub-signature-256", "x-hub-signature"],
  secret: "required",
  signsId: false,
  contentTypes: ["application/json", "application/x-www-form-urlencoded"],
  bind(settings) {
    const read = readSettings("github", settings);
    const keys = read.secrets(readTextKey);
    return read.bind(() => {
      const proof = createHmacProof(form, keys);
      return {
        verify: proof.verify,
        describe({ headers }, body) {
          const payload = payloadOf(body);
          const name = headerOf(headers, "x-github-event") ?? unknownType;
          const action = textOf(payload, "action");
          const type = action === undefined ? name : `${name}.${action}`;
          return [{ id: headerOf(headers, "x-github-delivery"), type, body: payload }];
        },
        sign(draft, at) {
          const headers = {
            "content-type": "application/json",
            "user-agent": "GitHub-Hookshot/weir",
            ...draft.headers,
            // The action is in the body; the header carries the name before the dot.
            "x-github-event": draft.type.split(".", 1)[0]!,
            "x-github-delivery": draft.id,
          };
          return { ...draft, headers: proof.sign({ ...draft, headers }, at) };
        },
      };
    });
  },
};

/** A hook set to form encoding sends its JSON in the field `payload`. */
function payloadOf(body: unknown): unknown {
  const payload = fieldOf(body, "payload");
  if (typeof payload !== "string") return body;
  const parsed = parseJson(new TextEncoder().encode(payload));
  return parsed.ok ? parsed.value : body;
}
