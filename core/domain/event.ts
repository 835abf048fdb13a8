/**
 * What arrived and what it carried. A request is kept byte for byte; its events are immutable and are what everything
 * after the intake works on.
 */

/** Header names in lower case; a repeated header is joined by ", " the way HTTP does. */
export type HeaderMap = Readonly<Record<string, string>>;

/** One HTTP request as it came off the wire, before anything is believed about it. */
export interface IncomingRequest {
  readonly method: string;
  /** The URL that the sender signed: `server.public_url` plus path and query. */
  readonly url: string;
  readonly headers: HeaderMap;
  readonly body: Uint8Array;
  readonly receivedAt: number;
}

/** One event of the log. */
export interface Event {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** The sender's id of the event, if it gave one. */
  readonly idempotencyKey?: string;
  /** When the sender says that it happened. Epoch milliseconds. */
  readonly time?: number;
  readonly receivedAt: number;
  readonly headers: HeaderMap;
  /** The request's query string, without the question mark. */
  readonly query: string;
  /** The bytes of the request that carried it. */
  readonly raw: Uint8Array;
  /** The event's own body as JSON text, when it is not simply the whole request's. */
  readonly item?: string;
}

/** Headers that carry credentials; they are verified and then forgotten. */
const credentialHeaders = new Set(["authorization", "cookie", "proxy-authorization", "x-api-key"]);

/**
 * The headers worth keeping: all but credentials and signatures.
 *
 * @param signatureHeaders the names (lower case) in which the source's provider carries proof
 */
export function storableHeaders(headers: HeaderMap, signatureHeaders: readonly string[]): HeaderMap {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !credentialHeaders.has(name) && !signatureHeaders.includes(name)),
  );
}
