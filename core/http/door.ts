/**
 * What stands between a port and whoever answers what comes through it: a call, which is a request whose head is there,
 * and the door that it is handed to.
 */

import type { HeaderMap } from "../domain/event.ts";
import type { Answer } from "../domain/provider.ts";
import type { BodyLimits, BodyRead } from "./body_reader.ts";
import type { RawUrl } from "./client_address.ts";
import type { Fault } from "./request_parser.ts";

/** A request whose head is there. */
export interface Call {
  readonly method: string;
  readonly url: RawUrl;
  readonly headers: HeaderMap;
  /** The address at the other end, where it is known. */
  peer(): string | undefined;
  /** Reads the body; only once. */
  readBody(limits: BodyLimits): Promise<BodyRead>;
}

/** Who answers. Neither throws. */
export interface Door {
  answer(call: Call): Promise<Answer>;
  /** Answers what is no request. */
  refuse(fault: Fault): Answer;
}
