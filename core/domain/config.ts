/**
 * The configuration after routes.yaml has been read, checked and resolved: defaults filled in, secrets bound, expressions
 * compiled. `core/config` makes it; everything else only reads it, and a reload replaces it whole.
 */

import type { BreakerPolicy } from "./breaker.ts";
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

/** Where the operator's door is when nobody says otherwise. */
export const defaultAdmin: Address = { hostname: "127.0.0.1", port: 8081 };

/** Where the log is. */
export interface StorageConfig {
  /** `file:` with an absolute path, or `libsql:`, `http:`, `https:`. */
  readonly url: string;
  readonly authToken?: string;
  /** Free space of a file's disk below which no event is taken. */
  readonly freeBytesMin?: number;
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
  /** `body`: the same signed content under another id is a duplicate too. */
  readonly replayGuard?: "body";
}

/** A source that only the program itself publishes under. */
export interface PublishSource {
  readonly kind: "publish";
  readonly name: string;
}

/** A source that is a clock. */
export interface CronSource {
  readonly kind: "cron";
  readonly name: string;
  /** Five or six fields, or a nickname such as `@daily`. */
  readonly schedule: string;
  /** IANA name. */
  readonly timezone: string;
  /**
   * The first tick after an instant, both in epoch milliseconds; undefined when there is none. Depends on nothing else,
   * and a later instant never gives an earlier tick.
   */
  next(after: number): number | undefined;
  /** The body of every event; JSON. */
  readonly body: unknown;
}

export type Source = HttpSource | PublishSource | CronSource;

/**
 * What happens to a delivery whose attempts are used up: it is dead and its lane goes on; it is parked at the head of its
 * lane until a person decides; or it is parked and its whole queue pauses.
 */
export type OnExhausted = "dead" | "park" | "halt";

/** One rule: which events, in which order, to where. */
export interface Route {
  readonly name: string;
  readonly from: readonly string[];
  /** Globs on the event's type. */
  readonly on: readonly string[];
  readonly when?: Expression;
  readonly orderBy?: Expression;
  /** A key of which only so many may run at once; makes that many sub-lanes of it, and excludes `orderBy`. */
  readonly concurrencyKey?: { readonly key: Expression; readonly limit: number };
  /** A version of the entity; an event older than the last one that finished in its lane is skipped. */
  readonly skipOlder?: Expression;
  /** How long after its event a delivery may first run. */
  readonly delayMs?: number;
  /** Whose deliveries go first when not all can run; higher goes first. Default 0. */
  readonly priority?: number;
  readonly onExhausted: OnExhausted;
  readonly retry: RetryPolicy;
  /** One handler, or one or more targets: each becomes a queue. */
  readonly destinations: readonly Destination[];
}

/** Where a route's deliveries go: the definition of one queue. */
export type Destination = ScriptDestination | InlineDestination | TargetDestination;

interface DestinationBase {
  readonly timeoutMs: number;
  /** Most attempts at once, over all engines of the log. */
  readonly concurrency: number;
  /** Most attempts in a time, over all engines of the log. */
  readonly rateLimit?: Rate;
  /** When to leave it alone for a while; a handler has none. */
  readonly breaker?: BreakerPolicy;
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

/** How long finished things are kept. An event lives as long as any of its deliveries does. */
export interface Retention {
  readonly eventsMs: number;
  readonly attemptsMs: number;
  readonly deadMs: number;
  readonly idempotencyMs: number;
}

/** What is kept how long unless routes.yaml says otherwise. */
export const defaultRetention: Retention = {
  eventsMs: 30 * 86_400_000,
  attemptsMs: 14 * 86_400_000,
  deadMs: 90 * 86_400_000,
  idempotencyMs: 7 * 86_400_000,
};

/** Everything that routes.yaml says. */
export interface Config {
  readonly server: ServerConfig;
  readonly storage: StorageConfig;
  readonly retention: Retention;
  readonly sources: ReadonlyMap<string, Source>;
  readonly routes: readonly Route[];
  /** Variables of the environment, as far as some route grants them. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * The variables that the configuration was made with, each with a digest of its value, which tells whether it has changed
   * and not what it is; empty for one that is granted and not set.
   */
  readonly variables: ReadonlyMap<string, string>;
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

/** Where deliveries of a queue go by this configuration; undefined when its route or its target is not in it. */
export function destinationOf(
  config: Pick<Config, "routes">,
  queue: { readonly route: string; readonly target: string },
): Destination | undefined {
  const route = config.routes.find(({ name }) => name === queue.route);
  return route?.destinations.find((destination) => targetName(destination) === queue.target);
}
