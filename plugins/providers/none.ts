/**
 * No proof at all: anybody who knows the URL can send. It has to be chosen by name, so that a secret that was forgotten
 * is never mistaken for one that was not wanted.
 */

import { type Provider, verified } from "../../core/plugin.ts";
import { describePlainly } from "../fields.ts";
import { readSettings } from "../settings.ts";

/** Accepts every request; restrict such a source with `allow_ips`. */
export const none: Provider = {
  name: "none",
  summary: "No proof of the sender: anybody who knows the URL can send.",
  signatureHeaders: [],
  secret: "forbidden",
  signsId: false,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("none", settings);
    return read.bind(() => ({
      verify: (request) => verified(request),
      describe: (_request, body) => describePlainly(body),
      sign: (draft) => ({ ...draft, headers: { "content-type": "application/json", ...draft.headers } }),
    }));
  },
};
