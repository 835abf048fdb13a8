/**
 * The configuration after routes.yaml has been read, checked and resolved: defaults filled in, secrets bound, expressions
 * compiled. `core/config` makes it; everything else only reads it, and a reload replaces it whole.
 */

import type { Rate } from "./duration.ts";
import type { Expression } from "./expression.ts";
import type { Permissions } from "./handler.ts";
import type { HeaderMap } from "./event.ts";
import type { Provider, Scheme } from "./provider.ts";
import type { RetryPolicy } from "./retry.ts";

/** Where the engine listens and what it believes of a proxy in front of it. */
export interface ServerConfig {
  readonly listen: Address;
  /** Without a trailing slash. */
  readonly publicUrl?: string;
  readonly admin: Address;
  /** CIDR blocks; only these may set X-Forwarded-*. */
  readonly trustedProxies: readonly string[];
}

/** A host and a port. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
}

/** Where the log is. */
export interface StorageConfig {
  /** `file:` with an absolute path, or `libsql:`, `http:`, `https:`. */
  readonly url: string;
  readonly authToken?: string;
}

/** A source that requests come in by. */
export interface HttpSource {
  readonly kind: "http";
  readonly name: string;
  /** Begins with a slash. */
  readonly path: string;
  readonly provider: Provider;
  readonly scheme: Scheme;
  readonly id?: Expression;
  readonly type?: Expression;
  readonly split?: Expression;
  /** CIDR blocks; empty means any address. */
  readonly allowIps: readonly string[];
  readonly bodyBytesMax: number;
  readonly contentTypes: readonly string[];
  readonly rateLimit?: Rate;
  /** Checks an event's body; returns the paths that do not fit. */
  readonly schema?: (body: unknown) => readonly string[];
}

/** A source that only the program itself publishes under. */
export interface PublishSource {
  readonly kind: "publish";
  readonly name: string;
}

export type Source = HttpSource | PublishSource;

/** What happens to a delivery whose attempts are used up. */
export type OnExhausted = "dead";

/** One rule: which events, in which order, to where. */
export interface Route {
  readonly name: string;
  readonly from: readonly string[];
  /** Globs on the event's type. */
  readonly on: readonly string[];
  readonly when?: Expression;
  readonly orderBy?: Expression;
  readonly onExhausted: OnExhausted;
  readonly retry: RetryPolicy;
  /** One handler, or one or more targets: each becomes a queue. */
  readonly destinations: readonly Destination[];
}

/** Where a route's deliveries go: the definition of one queue. */
export type Destination = ScriptDestination | InlineDestination | TargetDestination;

interface DestinationBase {
  readonly timeoutMs: number;
  /** Most attempts at once. */
  readonly concurrency: number;
}

/** A TypeScript file, run in a sandboxed child process. */
export interface ScriptDestination extends DestinationBase {
  readonly kind: "script";
  /** Absolute path. */
  readonly file: string;
  readonly permissions: Permissions;
}

/** A function of the embedding program, run in its process. */
export interface InlineDestination extends DestinationBase {
  readonly kind: "inline";
}

/** An HTTP endpoint. */
export interface TargetDestination extends DestinationBase {
  readonly kind: "target";
  readonly name: string;
  readonly url: string;
  readonly secrets: readonly string[];
  readonly headers: HeaderMap;
}

/** Everything that routes.yaml says. */
export interface Config {
  readonly server: ServerConfig;
  readonly storage: StorageConfig;
  /** How long an idempotency key is remembered. */
  readonly idempotencyMs: number;
  readonly sources: ReadonlyMap<string, Source>;
  readonly routes: readonly Route[];
  /** Variables of the environment, as far as some route grants them. */
  readonly environment: Readonly<Record<string, string>>;
  /** Files that the configuration was made of; `weir dev` watches them. */
  readonly files: readonly string[];
  /** SHA-256 of the text, stored with every event that it routed. */
  readonly hash: string;
}

/** The name of a queue as people see it: the route, and the target where there is one. */
export function queueName(route: string, target: string): string {
  return target === "" ? route : `${route}/${target}`;
}

/** The part of a queue's identity that tells a route's destinations apart; empty for a handler. */
export function targetName(destination: Destination): string {
  return destination.kind === "target" ? destination.name : "";
}
