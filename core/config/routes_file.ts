/**
 * The shape of routes.yaml as a person writes it, and as a program may hand it to `createWeir`. The schema beside this
 * file checks it; a test holds the two together.
 */

/** Everything a routes.yaml may say. `${NAME}` inside any string reads the environment. */
export interface RoutesFile {
  version: 1;
  server?: {
    /** Host and port of the public listener. Default `0.0.0.0:8080`. */
    listen?: string;
    /** The URL that senders call, which some of them sign. Default: from the trusted proxy's headers. */
    public_url?: string;
    /** Host and port of the admin listener. Default `127.0.0.1:8081`. */
    admin?: string;
    /** Addresses or CIDR blocks that may set X-Forwarded-*. Default: none. */
    trusted_proxies?: string[];
  };
  storage?: {
    /** `file:` and a path, or a `libsql:`, `http:` or `https:` URL. Default `file:weir.db`. */
    url?: string;
    auth_token?: string;
  };
  retention?: {
    /** How long an idempotency key is remembered. Default `7d`. */
    idempotency?: string;
  };
  sources?: Record<string, RoutesFileSource>;
  routes?: Record<string, RoutesFileRoute>;
}

/** Where events come from: a provider's requests, or the program itself. */
export interface RoutesFileSource {
  /** The sender. Needed unless `publish` is true. */
  provider?: string;
  /** One secret, or several while they are being rotated: the first one signs, any may verify. */
  secret?: string | string[];
  /** Default `/hooks/<source>`. */
  path?: string;
  /** How far a signed timestamp may be from now. Default: the provider's. */
  tolerance?: string;
  /** Settings of the provider. */
  options?: Record<string, unknown>;
  /** CEL: the event's id, for idempotency. Default: the provider's. */
  id?: string;
  /** CEL: the event's type. Default: the provider's. */
  type?: string;
  /** CEL: the list of events in one request. Default: the provider's. */
  split?: string;
  /** Addresses or CIDR blocks that may call. Default: any. */
  allow_ips?: string[];
  /** Default `1MiB`, at most `25MiB`, or `4MiB` where storage is remote. */
  max_body?: string;
  /** Media types that are accepted. Default: the provider's. */
  content_types?: string[];
  /** A file with a JSON Schema (2020-12) of the body; a mismatch is refused. */
  schema?: string;
  /** Most requests, such as `100/s`. Default: no limit. */
  rate_limit?: string;
  /** The source has no path; events come from `publish()` alone. */
  publish?: true;
}

/** Which events go where, and in which order. */
export interface RoutesFileRoute {
  from: string | string[];
  /** Globs on the event's type. Default `*`. */
  on?: string | string[];
  /** CEL: only events for which it is true. */
  when?: string;
  /** CEL: events with the same key run one after the other. */
  order_by?: string;
  /** What becomes of a delivery whose attempts are used up. Default `dead`: a dead letter. */
  on_exhausted?: "dead";
  /** A TypeScript file. */
  handler?: string;
  /** What the handler may touch. Default: nothing. */
  permissions?: {
    /** Hosts, with or without a port. */
    net?: string[];
    /** Names of environment variables. */
    env?: string[];
    /** Files and folders, relative to routes.yaml. */
    read?: string[];
  };
  /** Of one attempt. Default `60s` for a handler, `15s` for a target. */
  timeout?: string;
  /** Most attempts at once. Default 10. */
  concurrency?: number;
  retry?: RoutesFileRetry;
  /** HTTP endpoints, instead of a handler. */
  send?: RoutesFileTarget[];
}

/** How often and how far apart: a schedule, or an exponential backoff. */
export interface RoutesFileRetry {
  /** Most attempts, the first included. Default 10. */
  attempts?: number;
  /** Delays after the first, second, … failure; the last one repeats. */
  schedule?: string[];
  /** Instead of a schedule. */
  backoff?: "exponential";
  /** First delay of the backoff. Default `1s`. */
  base?: string;
  /** Default 2. */
  factor?: number;
  /** Longest delay of the backoff. Default `1h`. */
  max?: string;
  /** Share of the delay that chance may add. Default 0.1. */
  jitter?: number;
}

/** One HTTP endpoint. */
export interface RoutesFileTarget {
  /** Needed where there are several: the queue's identity, so that the URL can change. Default `default`. */
  name?: string;
  url: string;
  /** Signs as Standard Webhooks; the first one signs, or all of them while they are being rotated. */
  secret?: string | string[];
  headers?: Record<string, string>;
  /** Default: the route's. */
  timeout?: string;
  /** Default: the route's. */
  concurrency?: number;
}
