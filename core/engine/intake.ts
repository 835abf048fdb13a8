/**
 * From a request to rows in the log: verify, parse, describe, route, append, and only then accept. Everything that
 * decides is in `domain/`; this file puts the steps in order.
 */

import type { HttpSource } from "../domain/config.ts";
import type { IncomingRequest } from "../domain/event.ts";
import type { Answer } from "../domain/provider.ts";
import type { Appended } from "../store/store.ts";

/** Why a request was not accepted, as far as the caller may know. */
export type RefusalKind = "unverified" | "unparsable" | "invalid";

/** What the intake made of a request. */
export type Intaken =
  /** In the log, durably. One entry per event, in the order of the request; `answer` is what the sender requires. */
  | { readonly kind: "accepted"; readonly events: readonly Appended[]; readonly answer?: Answer }
  /** A question of the sender, answered; nothing was logged. */
  | { readonly kind: "handshake"; readonly answer: Answer }
  /** Nothing was logged. `detail` may be shown to the caller; `reason` is for the operator alone. */
  | {
    readonly kind: "refused";
    readonly refusal: RefusalKind;
    readonly reason: string;
    readonly detail?: string;
    /** For `invalid`: the JSON paths that do not fit the source's schema. */
    readonly paths?: readonly string[];
  };

/** Something a program publishes by itself. */
export interface Publication {
  readonly source: string;
  readonly type: string;
  readonly body: unknown;
  readonly idempotencyKey?: string;
}

/** The way into the log. */
export interface Intake {
  /** @throws StoreUnavailable when nothing may be acknowledged */
  receive(source: HttpSource, request: IncomingRequest): Promise<Intaken>;
  /** @throws StoreUnavailable likewise; RangeError for a source that is not there to publish under */
  publish(publication: Publication): Promise<Appended>;
}
