/**
 * A request as its sender would make it: a body, signed by the source's own provider, posted to the engine. `weir send`
 * and the demo are made of this.
 */

import type { HttpSource } from "../core/mod.ts";
import { makeSample } from "./template/samples.ts";

/** What to send. */
export interface Parcel {
  readonly type: string;
  /** The sender's id of the event. */
  readonly id: string;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** What to make a parcel of. */
export interface ParcelOptions {
  readonly type?: string;
  readonly id?: string;
  /** The body as it is to be sent; without it, a sample. */
  readonly data?: Uint8Array;
  /** Values to put into the body, by path: `data.object.amount` to 5. */
  readonly set?: readonly (readonly [path: string, value: unknown])[];
}

/** A request that looks as if its sender had made it. */
export type SignedParcel = Awaited<ReturnType<HttpSource["scheme"]["sign"]>>;

/** The engine's answer. */
export interface Receipt {
  readonly accepted: boolean;
  readonly status: number;
  readonly text: string;
  /** Ids of the events that the answer names; a sender with an answer of its own gets none. */
  readonly events: readonly { readonly id: string; readonly status: string }[];
}

/** Longest wait for the engine's answer. */
const answerTimeoutMs = 30_000;

/**
 * Builds a parcel for a source.
 *
 * @throws TypeError when `set` is asked for in a body that is not JSON, or in no object
 */
export function packParcel(source: HttpSource, options: ParcelOptions, now: number): Parcel {
  const id = options.id ??
    `${source.provider.name === "stripe" ? "evt" : "msg"}_${crypto.randomUUID().replaceAll("-", "")}`;
  const sample = makeSample(source.provider.name, { id, type: options.type, now });
  const { type, contentType } = sample;
  if (options.data !== undefined && !options.set?.length) {
    return { type, id, contentType: fitting(contentType, source), body: options.data };
  }
  const body = options.data === undefined ? sample.body : decode(options.data, contentType);
  for (const [path, value] of options.set ?? []) setPath(body, { path, value });
  return { type, id, contentType: fitting(contentType, source), body: encode(body, contentType) };
}

/**
 * Signs a parcel as the source's sender would.
 *
 * @param options.url where the engine listens as the sender knows it, without a path
 * @throws TypeError when nobody but the sender can sign
 */
export async function signParcel(
  parcel: Parcel,
  { source, url, now }: { source: HttpSource; url: string; now: number },
): Promise<SignedParcel> {
  return await source.scheme.sign({
    method: "POST",
    url: `${url}${source.path}`,
    headers: { "content-type": parcel.contentType },
    body: parcel.body,
    id: parcel.id,
    type: parcel.type,
  }, { now });
}

/**
 * Posts what was signed.
 *
 * @param url where the engine listens as this machine reaches it, without a path
 * @throws TypeError when nothing answers
 */
export async function post(signed: SignedParcel, url: string): Promise<Receipt> {
  const { pathname, search } = new URL(signed.url);
  const response = await fetch(`${url}${pathname}${search}`, {
    method: signed.method,
    headers: signed.headers,
    body: signed.body as BodyInit,
    redirect: "manual",
    signal: AbortSignal.timeout(answerTimeoutMs),
  });
  const text = await response.text();
  return { accepted: response.ok, status: response.status, text, events: response.ok ? eventsOf(text) : [] };
}

function eventsOf(text: string): Receipt["events"] {
  try {
    const answer = JSON.parse(text) as { id?: unknown; status?: unknown; events?: unknown };
    const list = Array.isArray(answer.events) ? answer.events : [answer];
    return list.filter((event) => typeof event?.id === "string" && typeof event.status === "string");
  } catch {
    return [];
  }
}

/** The sample's content type unless the source takes only others. */
function fitting(contentType: string, source: HttpSource): string {
  return source.contentTypes.includes(contentType) ? contentType : source.contentTypes[0] ?? contentType;
}

const formType = "application/x-www-form-urlencoded";

function encode(body: unknown, contentType: string): Uint8Array {
  const text = contentType === formType
    ? `${new URLSearchParams(body as Record<string, string>)}`
    : JSON.stringify(body);
  return new TextEncoder().encode(text);
}

function decode(data: Uint8Array, contentType: string): unknown {
  const text = new TextDecoder().decode(data);
  if (contentType === formType) return Object.fromEntries(new URLSearchParams(text));
  try {
    return JSON.parse(text);
  } catch {
    throw new TypeError("--set needs a JSON body: the data is not valid JSON");
  }
}

function setPath(body: unknown, { path, value }: { path: string; value: unknown }): void {
  const parts = path.split(".");
  const last = parts.pop()!;
  let at = body;
  for (const part of parts) {
    if (!isContainer(at)) break;
    if (!Object.hasOwn(at, part)) at[part] = {};
    at = at[part];
  }
  if (!isContainer(at)) throw new TypeError(`--set ${path}: there is no object at ${parts.join(".") || "the top"}`);
  at[last] = value;
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
