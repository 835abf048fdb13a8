/**
 * The scheme that most senders share: a keyed hash of a template such as `{timestamp}.{body}`, in a header. GitHub,
 * Slack and Shopify are values of {@link HmacForm}; the `hmac` provider reads one from routes.yaml.
 */

import { type HeaderMap, refused, type Scheme, verified } from "../core/plugin.ts";
import {
  type Content,
  encode,
  type Encoding,
  findTimestampFault,
  formatTimestamp,
  type Hash,
  hashBytes,
  headerOf,
  hmac,
  isSigned,
  type Key,
  readSignature,
  type TimestampUnit,
} from "./signature.ts";

/** Everything that can stand in a template. */
export const placeholders = ["body", "timestamp", "id", "method", "url"] as const;

type Placeholder = (typeof placeholders)[number];

/** A sender that signs by a template. Header names are lower case. */
export interface HmacForm {
  readonly header: string;
  readonly prefix: string;
  readonly encoding: Encoding;
  readonly hash: Hash;
  /** What is signed: text with {@link placeholders} in braces. */
  readonly content: string;
  /** Needed where the template has `{timestamp}`. */
  readonly timestamp?: { readonly header: string; readonly unit: TimestampUnit; readonly toleranceMs: number };
  /** Needed where the template has `{id}`. */
  readonly idHeader?: string;
}

/** The part of a request that can be signed; a draft has it too. */
interface Signable {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderMap;
  readonly body: Uint8Array;
}

/** The proof alone: what a scheme still needs is to describe its events. */
export interface HmacProof extends Pick<Scheme, "verify"> {
  /** The draft's headers, the timestamp if there is one, and the signature. The id header must be among them already. */
  sign(draft: Signable, at: { now: number }): HeaderMap;
}

/** One piece of a template: text as it stands, or a placeholder. */
export type TemplatePart = { readonly text: string } | { readonly placeholder: string };

/** Takes a template apart. Placeholders are not checked here. */
export function splitTemplate(template: string): readonly TemplatePart[] {
  return template.split(/(\{[^{}]*\})/)
    .filter((piece) => piece !== "")
    .map((piece) => /^\{.*\}$/s.test(piece) ? { placeholder: piece.slice(1, -1) } : { text: piece });
}

/**
 * Binds a form to its keys.
 *
 * @throws TypeError when the template names something that is not a placeholder or whose header the form does not give
 */
export function createHmacProof(form: HmacForm, keys: readonly Key[]): HmacProof {
  const parts = splitTemplate(form.content);
  for (const part of parts) if ("placeholder" in part) checkPlaceholder(part.placeholder, form);
  const shape = `${form.prefix}<${hashBytes[form.hash]} bytes in ${form.encoding}>`;
  return {
    verify(request, at) {
      const text = headerOf(request.headers, form.header);
      if (text === undefined) return refused(`there is no ${form.header} header`);
      const given = readSignature(text, form);
      if (given === undefined) return refused(`the ${form.header} header is not exactly one ${shape}`);
      if (form.timestamp !== undefined) {
        const stamp = headerOf(request.headers, form.timestamp.header);
        const fault = findTimestampFault(stamp, { now: at.now, ...form.timestamp });
        if (fault !== undefined) return refused(`${form.timestamp.header}: ${fault}`);
      }
      const filled = fill(parts, { form, request });
      if (!filled.ok) return refused(filled.reason);
      return isSigned([given], { keys, content: filled.content, hash: form.hash })
        ? verified(request)
        : refused(`the signature in ${form.header} does not match`);
    },
    sign(draft, at) {
      const stamp = form.timestamp && { [form.timestamp.header]: formatTimestamp(at.now, form.timestamp.unit) };
      const headers = { ...draft.headers, ...stamp };
      const filled = fill(parts, { form, request: { ...draft, headers } });
      if (!filled.ok) throw new TypeError(`cannot sign the request: ${filled.reason}`);
      const signature = encode(hmac(keys[0]!, { content: filled.content, hash: form.hash }), form.encoding);
      return { ...headers, [form.header]: form.prefix + signature };
    },
  };
}

function checkPlaceholder(name: string, form: HmacForm): asserts name is Placeholder {
  if (!(placeholders as readonly string[]).includes(name)) throw new TypeError(`unknown placeholder {${name}}`);
  if (name === "timestamp" && form.timestamp === undefined) throw new TypeError("{timestamp} needs a timestamp header");
  if (name === "id" && form.idHeader === undefined) throw new TypeError("{id} needs an id header");
}

/** Puts a request's values into the template. */
function fill(
  parts: readonly TemplatePart[],
  from: { form: HmacForm; request: Signable },
): { ok: true; content: Content } | { ok: false; reason: string } {
  const { form, request } = from;
  const content: (string | Uint8Array)[] = [];
  for (const [index, part] of parts.entries()) {
    if ("text" in part) content.push(part.text);
    else if (part.placeholder === "body") content.push(request.body);
    else if (part.placeholder === "timestamp") content.push(request.headers[form.timestamp!.header]!);
    else if (part.placeholder === "id") {
      const next = parts[index + 1];
      const id = headerOf(request.headers, form.idHeader!);
      if (id === undefined) return { ok: false, reason: `there is no ${form.idHeader} header` };
      // An id that holds what follows it could move the border between the id and the rest of what is signed.
      if (!/^[\x21-\x7e]+$/.test(id) || (next !== undefined && "text" in next && id.includes(next.text))) {
        return { ok: false, reason: `the ${form.idHeader} header holds a character that an id must not have` };
      }
      content.push(id);
    } else content.push(part.placeholder === "method" ? request.method : request.url);
  }
  return { ok: true, content };
}
