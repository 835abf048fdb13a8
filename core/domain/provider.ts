/**
 * A provider knows one sender: how it proves who it is, what its requests carry, and how it signs. A plugin author
 * writes one value of type {@link Provider}; the conformance suite holds `sign` and `verify` against each other.
 */

import type { HeaderMap, IncomingRequest } from "./event.ts";

declare const verifiedMark: unique symbol;

/** A request whose sender is proven. Only a {@link Scheme}'s `verify` makes one. */
export type VerifiedRequest = IncomingRequest & { readonly [verifiedMark]: true };

/**
 * The answer to "who sent this?". The reason is for the operator and is never sent to the caller; `answer` is for a question
 * that the sender asks without proof, and to which anybody may hear the answer.
 */
export type Verification =
  | { readonly ok: true; readonly request: VerifiedRequest }
  | { readonly ok: false; readonly reason: string; readonly answer?: Answer };

/** For use inside `verify` alone: states that the proof held. */
export function verified(request: IncomingRequest): Verification {
  return { ok: true, request: request as VerifiedRequest };
}

/** For use inside `verify` alone: states why the proof did not hold. Must not contain any expected value. */
export function refused(reason: string, answer?: Answer): Verification {
  return answer === undefined ? { ok: false, reason } : { ok: false, reason, answer };
}

/** One event as its sender describes it. */
export interface DescribedEvent {
  /** The sender's id, which becomes the idempotency key; without one there is no dedupe. */
  readonly id?: string;
  readonly type: string;
  /** Epoch milliseconds. */
  readonly time?: number;
  /** What the event is about: the parsed body, or one item of it. */
  readonly body: unknown;
}

/** An HTTP answer that the sender asks for. */
export interface Answer {
  readonly status: number;
  readonly headers?: HeaderMap;
  readonly body?: string;
}

/** A request that {@link Scheme.sign} is to make look like the sender's own. */
export interface Draft {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderMap;
  readonly body: Uint8Array;
  /** The event's id and type, for senders that put them into headers. */
  readonly id: string;
  readonly type: string;
}

/** A request ready to be posted. */
export interface SignedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderMap;
  readonly body: Uint8Array;
}

/** What one source says about its provider in routes.yaml. */
export interface SchemeSettings {
  /** Every accepted secret, newest first; the first one signs. */
  readonly secrets: readonly string[];
  /** How far a signed timestamp may be from now; undefined means the provider's own tolerance. */
  readonly toleranceMs?: number;
  /** The source's `options`. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** A provider bound to one source's secrets and options: all per-source work is done once, here. */
export interface Scheme {
  /** Headers that carry proof because this source's options name them, besides the provider's own; they are not stored. */
  readonly signatureHeaders?: readonly string[];
  /** Checks the proof over the raw bytes. Never throws for anything that a caller can send. */
  verify(request: IncomingRequest, at: { now: number }): Verification | Promise<Verification>;
  /** Says which events a verified request carries. At least one, unless the body is an empty batch. */
  describe(request: VerifiedRequest, body: unknown): readonly DescribedEvent[];
  /** Signs a draft as the sender would. */
  sign(draft: Draft, at: { now: number }): SignedRequest | Promise<SignedRequest>;
  /** Answers a verified request that is no event but a question of the sender, such as Slack's url_verification. */
  handshake?(request: VerifiedRequest, body: unknown): Answer | undefined;
  /** The answer that the sender requires for an accepted event; without it, Weir's own 202. */
  accepted?(request: VerifiedRequest): Answer | undefined;
}

/** Why a source cannot use a provider as it is configured. */
export interface SchemeIssue {
  /** Where below the source, for example `["secret", 0]` or `["options", "header"]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** One sender. */
export interface Provider {
  /** The name used in routes.yaml, snake_case. */
  readonly name: string;
  /** One sentence for `weir check` and the documentation. */
  readonly summary: string;
  /** Lower-case names of the headers that carry the proof; they are not stored. */
  readonly signatureHeaders: readonly string[];
  /** Whether a source must, or must not, have a secret. */
  readonly secret: "required" | "forbidden";
  /** Shortest secret that may be used, in bytes of its text. Default {@link secretBytesMin}. */
  readonly secretBytesMin?: number;
  /** Whether the sender's id is covered by its signature, so that it cannot be swapped by a replay. */
  readonly signsId: boolean;
  /** Media types that the sender uses. */
  readonly contentTypes: readonly string[];
  /** Prepares the scheme for one source, or says everything that is wrong with its settings. */
  bind(settings: SchemeSettings): { ok: true; scheme: Scheme } | { ok: false; issues: readonly SchemeIssue[] };
}

/** Shortest secret that a source may have unless its provider says otherwise, in bytes. */
export const secretBytesMin = 16;
