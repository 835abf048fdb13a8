/**
 * Any sender that signs with a keyed hash in a header, described in routes.yaml instead of code. The options are checked
 * so that whatever the source relies on is in fact signed.
 */

import type { Provider } from "../../core/plugin.ts";
import { createHmacProof, type HmacForm, placeholders, splitTemplate } from "../declarative.ts";
import { describePlainly } from "../fields.ts";
import { readSettings, readTextKey, type SettingsReader, suggest } from "../settings.ts";
import { encodings, type Hash, hashBytes, headerOf } from "../signature.ts";

/** The declarative scheme; id and type come from headers, or from the source's `id` and `type` expressions. */
export const hmac: Provider = {
  name: "hmac",
  summary: "Any sender that signs with an HMAC in a header, described by options.",
  signatureHeaders: [],
  secret: "required",
  signsId: false,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("hmac", settings);
    const keys = read.secrets(readTextKey);
    const form = readForm(read);
    const idHeader = form.idHeader;
    const typeHeader = read.header("type_header");
    return read.bind(() => {
      const proof = createHmacProof(form, keys);
      return {
        signatureHeaders: [form.header],
        verify: proof.verify,
        describe({ headers }, body) {
          return describePlainly(body, {
            id: idHeader && headerOf(headers, idHeader),
            type: typeHeader && headerOf(headers, typeHeader),
          });
        },
        sign(draft, at) {
          const headers = {
            "content-type": "application/json",
            ...draft.headers,
            ...(idHeader && { [idHeader]: draft.id }),
            ...(typeHeader && { [typeHeader]: draft.type }),
          };
          return { ...draft, headers: proof.sign({ ...draft, headers }, at) };
        },
      };
    });
  },
};

function readForm(read: SettingsReader): HmacForm {
  const header = read.header("header");
  if (header === undefined) {
    read.refuse(
      ["options", "header"],
      "hmac needs the name of the header that carries the signature; set options.header",
    );
  }
  const hash = read.choice("algorithm", Object.keys(hashBytes) as Hash[]) ?? "sha256";
  const encoding = read.choice("encoding", encodings) ?? "hex";
  const prefix = read.text("prefix") ?? "";
  const content = read.text("content") ?? "{body}";
  const timestampHeader = read.header("timestamp_header");
  const unit = read.choice("timestamp_unit", ["s", "ms"]);
  const idHeader = read.header("id_header");
  const form: HmacForm = { header: header ?? "", prefix, encoding, hash, content, idHeader };
  checkContent(read, form, timestampHeader);
  if (timestampHeader === undefined) {
    if (unit !== undefined) read.refuse(["options", "timestamp_unit"], "timestamp_unit needs a timestamp_header");
    return form;
  }
  const timestamp = { header: timestampHeader, unit: unit ?? "s", toleranceMs: read.toleranceMs(300_000) };
  return { ...form, timestamp };
}

/** A template must be readable, and must cover the body and the timestamp. */
function checkContent(read: SettingsReader, form: HmacForm, timestampHeader: string | undefined): void {
  const path = ["options", "content"];
  const parts = splitTemplate(form.content);
  const names = parts.flatMap((part) => "placeholder" in part ? [part.placeholder] : []);
  for (const name of names) {
    if ((placeholders as readonly string[]).includes(name)) continue;
    const expected = placeholders.map((placeholder) => `{${placeholder}}`).join(", ");
    read.refuse(path, `unknown placeholder {${name}}; expected ${expected}${suggest(name, placeholders)}`);
  }
  if (parts.some((part) => "text" in part && /[{}]/.test(part.text))) {
    read.refuse(path, `content: ${JSON.stringify(form.content)} has a brace without its partner`);
  }
  if (!names.includes("body")) {
    read.refuse(path, `content: ${JSON.stringify(form.content)} leaves the body unsigned; it must have {body}`);
  }
  if (names.includes("timestamp") && timestampHeader === undefined) {
    read.refuse(path, "{timestamp} is read from a header; set options.timestamp_header");
  }
  if (!names.includes("timestamp") && timestampHeader !== undefined) {
    const message = "the timestamp would not be signed, so it proves nothing; put {timestamp} into content";
    read.refuse(["options", "timestamp_header"], message);
  }
  if (names.includes("id") && form.idHeader === undefined) {
    read.refuse(path, "{id} is read from a header; set options.id_header");
  }
}
