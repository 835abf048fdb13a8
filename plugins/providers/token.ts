/**
 * Senders that prove themselves with a shared token in a header, by default `Authorization: Bearer`. The token proves the
 * sender but does not cover the request: whoever sees one can send anything.
 */

import { type Provider, refused, verified } from "../../core/plugin.ts";
import { describePlainly } from "../fields.ts";
import { readSettings, type SecretReading } from "../settings.ts";
import { headerOf, isEqual, sha256 } from "../signature.ts";

/** A token and its digest: digests have one length, so comparing them tells nothing of the token's. */
interface Token {
  readonly text: string;
  readonly digest: Uint8Array;
}

/** A shared token; id and type come from the source's `id` and `type` expressions. */
export const token: Provider = {
  name: "token",
  summary: "Any sender that sends a shared token in a header; the request itself is not signed.",
  signatureHeaders: ["authorization"],
  secret: "required",
  signsId: false,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("token", settings);
    const tokens = read.secrets(readToken);
    const header = read.header("header") ?? "authorization";
    const prefix = read.text("prefix") ?? (header === "authorization" ? "Bearer " : "");
    return read.bind(() => ({
      signatureHeaders: [header],
      verify(request) {
        const text = headerOf(request.headers, header);
        if (text === undefined) return refused(`there is no ${header} header`);
        if (!text.startsWith(prefix)) {
          return refused(`the ${header} header does not begin with ${JSON.stringify(prefix)}`);
        }
        const given = sha256(text.slice(prefix.length));
        let found = false;
        for (const { digest } of tokens) found = isEqual(given, digest) || found;
        return found ? verified(request) : refused(`the token in ${header} does not match`);
      },
      describe: (_request, body) => describePlainly(body),
      sign(draft) {
        const headers = { "content-type": "application/json", ...draft.headers, [header]: prefix + tokens[0]!.text };
        return { ...draft, headers };
      },
    }));
  },
};

function readToken(secret: string): SecretReading<Token> {
  if (!/^[\x20-\x7e]+$/.test(secret)) {
    return { ok: false, message: "the secret is sent in a header, which can carry visible ASCII only; choose another" };
  }
  return { ok: true, value: { text: secret, digest: sha256(secret) } };
}
