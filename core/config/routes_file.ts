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
    /** Free space of the file's disk below which events are answered 503. Default `256MiB`. */
    min_free?: string;
  };
  /** How long finished things are kept. */
  retention?: {
    /** Events, from the end of their last delivery. Default `30d`. */
    events?: string;
    /** What attempts printed and why they failed. Default `14d`. */
    attempts?: string;
    /** Dead letters. Default `90d`. */
    dead?: string;
    /** How long an idempotency key is remembered; at most as long as events. Default `7d`. */
    idempotency?: string;
  };
  sources?: Record<string, RoutesFileSource>;
  routes?: Record<string, RoutesFileRoute>;
}

/** Where events come from: a provider's requests, a clock, or the program itself. */
export interface RoutesFileSource {
  /** The sender. Needed unless there is `cron` or `publish`. */
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
  /**
   * `body`: the same content under another id, within the window of idempotency, is a duplicate. Only for providers that
   * do not sign their ids. Default: it is flagged and runs.
   */
  replay_guard?: "body";
  /** The source has no path; events come from `publish()` alone. */
  publish?: true;
  /**
   * The source is a clock: five fields (minute, hour, day, month, weekday), six with seconds in front, or a nickname such
   * as `@daily`. Ticks missed while the engine was down run once. Where clocks change, a fixed time of day (`30 2 * * *`)
   * runs once a day: the first of two, or at once after the gap that it fell into; any other schedule skips the gap and
   * runs in both passes of a repeated hour.
   */
  cron?: string;
  /** IANA name of the cron's time zone. Default `UTC`. */
  timezone?: string;
  /** The body of every event of the cron; JSON. Default `null`. */
  body?: unknown;
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
  /** CEL: a version, a number or a date; an event older than the last one finished in its lane is skipped. */
  skip_older?: string;
  /**
   * What becomes of a delivery whose attempts are used up. Default `dead`: a dead letter, and its lane goes on; `park`: its
   * lane waits for a person; `halt`: its whole queue does.
   */
  on_exhausted?: "dead" | "park" | "halt";
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
  /** Most attempts at once, of each target. Default 10. A mapping limits each key instead, and excludes `order_by`. */
  concurrency?: number | RoutesFileKeyedConcurrency;
  /** Most attempts in a time, of each target, such as `50/s`. Default: no limit. */
  rate_limit?: string;
  /** How long after its event a delivery may first run. Default: at once. */
  delay?: string;
  /** From -100 to 100: whose deliveries go first when not all can run; higher goes first. Default 0. */
  priority?: number;
  retry?: RoutesFileRetry;
  /** HTTP endpoints, instead of a handler. */
  send?: RoutesFileTarget[];
}

/** Most attempts at once of each key. */
export interface RoutesFileKeyedConcurrency {
  limit: number;
  /** CEL; an event without a key is limited by `total` alone. */
  key: string;
  /** Most attempts at once over all keys. Default 10, or `limit` where that is more. */
  total?: number;
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
  /** Most attempts at once over all keys. Default: the route's. */
  concurrency?: number;
  /** Default: the route's. */
  rate_limit?: string;
  /** When the target is left alone after failures; `false` for never. */
  breaker?: false | RoutesFileBreaker;
}

/** After so many failures in a row nothing is sent for a while; then one attempt at a time, until one succeeds. */
export interface RoutesFileBreaker {
  /** Default 10. */
  failures?: number;
  /** How long the first time; each further failure doubles it. Default `30s`. */
  open?: string;
  /** Default `10m`, or `open` where that is more. */
  open_max?: string;
}
