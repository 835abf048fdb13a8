/**
 * routes.yaml as a zod schema: the form of every value, strict about unknown keys, never coercing. What depends on more
 * than one value (references, files, providers) is checked where the parts are built.
 */

import { z } from "zod";
import { type Address, defaultAdmin, defaultRetention } from "../domain/config.ts";
import { parseDuration, parseRate, parseSize } from "../domain/duration.ts";
import { parseAddress, parseBlock } from "./address.ts";
import { didYouMean } from "../domain/naming.ts";
import type { IssueList } from "./issue.ts";
import { type Path, valueAt } from "./path.ts";
import type { RoutesFile } from "./routes_file.ts";

/** Longest time that a delay, a timeout or a window may be. */
const durationMsMax = 366 * 86_400_000;

const namePattern = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const nameForm = "a name of small letters, digits, _ and -, at most 64, that begins with a letter or digit";

/** What a message calls the value that was expected; zod's `message` carries it. */
const text = (expected: string) => z.string({ error: expected }).min(1, { error: expected });

/** A string with a form of its own: parsed, or refused with what was expected. */
const parsed = <Value>(expected: string, parse: (text: string) => Value | undefined) =>
  z.string({ error: expected }).transform((written, context) => {
    const value = parse(written);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });

const duration = parsed("a duration of at most 366d, such as 30s, 5m or 1h30m", (written) => {
  const ms = parseDuration(written);
  return ms !== undefined && ms > 0 && ms <= durationMsMax ? ms : undefined;
});

const size = parsed("a size such as 512KiB or 1MiB", (written) => parseSize(written) || undefined);
const rate = parsed("a rate such as 100/s, 30/m or 1000/h", parseRate);
const address = parsed<Address>("a host and a port, such as 127.0.0.1:8080 or [::]:8080", parseAddress);
const blocks = z.array(parsed("an IP address or a CIDR block such as 203.0.113.0/24", parseBlock), {
  error: "a list of IP addresses or CIDR blocks",
});
const wholeNumber = (least: number, most: number) => {
  const error = `a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
};
const number = (least: number, most: number) => {
  const error = `a number from ${least} to ${most}`;
  return z.number({ error }).min(least, { error }).max(most, { error });
};
const expression = text("a CEL expression in a string");

/** YAML has numbers that JSON would turn into null. */
function isJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return typeof value !== "object" || value === null || Object.values(value).every(isJson);
}

/** One text, or a list of at least one. */
const oneOrMany = (expected: string) =>
  z.union([text(expected), z.array(text(expected)).min(1)], { error: expected })
    .transform((value) => typeof value === "string" ? [value] : value);

/** Empty texts pass: the checks of secrets say more about them. */
const secrets = z.union([z.string(), z.array(z.string())], { error: "a secret in a string, or a list of them" })
  .transform((value) => typeof value === "string" ? [value] : value);

const name = z.string().regex(namePattern, { error: nameForm });
const mapping = { error: "a mapping" };
const attemptsAtOnce = wholeNumber(1, 1_000);
const concurrency = z.union([
  attemptsAtOnce,
  z.strictObject({ limit: attemptsAtOnce, key: expression, total: attemptsAtOnce.optional() }, mapping),
], { error: "a whole number from 1 to 1000, or a mapping with limit and key" });
const mediaType = parsed("a media type such as application/json", (written) => {
  const type = written.toLowerCase();
  return /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(type) ? type : undefined;
});

const server = z.strictObject({
  listen: address.default({ hostname: "0.0.0.0", port: 8080 }),
  public_url: parsed("an http or https URL without query, such as https://hooks.example.com", (written) => {
    const url = URL.parse(written);
    if (url === null || !/^https?:$/.test(url.protocol) || /[?#@]/.test(written)) return undefined;
    return url.href.replace(/\/+$/, "");
  }).optional(),
  admin: address.default(defaultAdmin),
  trusted_proxies: blocks.default([]),
}, mapping);

const storage = z.strictObject({
  url: text("a URL such as file:weir.db or libsql://db.example.com").default("file:weir.db"),
  auth_token: text("a token in a string").optional(),
  min_free: size.optional(),
}, mapping);

const retention = z.strictObject({
  events: duration.default(defaultRetention.eventsMs),
  attempts: duration.default(defaultRetention.attemptsMs),
  dead: duration.default(defaultRetention.deadMs),
  idempotency: duration.optional(),
}, mapping);

const source = z.strictObject({
  provider: text("the name of a provider").optional(),
  secret: secrets.optional(),
  path: parsed("a URL path such as /hooks/acme, without query", (written) => {
    const plain = written.startsWith("/") && !written.startsWith("//");
    return plain && URL.parse(written, "http://localhost")?.pathname === written ? written : undefined;
  }).optional(),
  tolerance: duration.optional(),
  options: z.record(z.string(), z.unknown(), mapping).default({}),
  id: expression.optional(),
  type: expression.optional(),
  split: expression.optional(),
  allow_ips: blocks.default([]),
  max_body: size.default(1_048_576),
  content_types: z.array(mediaType, { error: "a list of media types" }).min(1, { error: "at least one media type" })
    .optional(),
  schema: text("the path of a JSON Schema file").optional(),
  rate_limit: rate.optional(),
  replay_guard: z.literal("body", { error: `"body"` }).optional(),
  publish: z.literal(true, { error: "true" }).optional(),
  cron: text(`a cron expression such as "0 3 * * *"`).optional(),
  timezone: text("the name of a time zone such as Europe/Berlin").optional(),
  body: z.unknown().refine(isJson, { error: "a value that JSON can hold" }).optional(),
}, mapping);

const permissions = z.strictObject({
  net: z.array(
    parsed("a host with or without a port, such as api.example.com:443", (written) => {
      return /^[^\s,/]+$/.test(written) && !written.includes("://") ? written : undefined;
    }),
    { error: "a list of hosts" },
  ).default([]),
  env: z.array(
    z.string({ error: "the name of an environment variable" }).regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
      error: "the name of an environment variable",
    }),
    { error: "a list of names of environment variables" },
  ).default([]),
  read: z.array(text("a path"), { error: "a list of paths" }).default([]),
}, mapping);

const retry = z.strictObject({
  attempts: wholeNumber(1, 1_000).default(10),
  schedule: z.array(duration, { error: "a list of durations" }).min(1, { error: "at least one duration" })
    .max(1_000, { error: "at most 1000 durations" }).optional(),
  backoff: z.literal("exponential", { error: `"exponential"` }).optional(),
  base: duration.optional(),
  factor: number(1, 100).optional(),
  max: duration.optional(),
  jitter: number(0, 1).default(0.1),
}, mapping);

const breaker = z.strictObject({
  failures: attemptsAtOnce.optional(),
  open: duration.optional(),
  open_max: duration.optional(),
}, mapping);

const target = z.strictObject({
  name: z.string({ error: nameForm }).regex(namePattern, { error: nameForm }).optional(),
  url: parsed("an http or https URL without credentials", (written) => {
    const url = URL.parse(written);
    return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "" ? url.href : undefined;
  }),
  secret: secrets.optional(),
  headers: z.record(z.string(), z.string({ error: "text (put it in quotes)" }), mapping).default({}),
  timeout: duration.optional(),
  concurrency: attemptsAtOnce.optional(),
  rate_limit: rate.optional(),
  breaker: z.union([z.literal(false), breaker], { error: "false, or a mapping with failures, open and open_max" })
    .optional(),
}, mapping);

const route = z.strictObject({
  from: oneOrMany("the name of a source, or a list of them"),
  on: oneOrMany("a glob such as payment.*, or a list of them").default(["*"]),
  when: expression.optional(),
  order_by: expression.optional(),
  skip_older: expression.optional(),
  on_exhausted: z.enum(["dead", "park", "halt"], { error: `"dead", "park" or "halt"` }).default("dead"),
  handler: text("the path of a TypeScript file").optional(),
  permissions: permissions.optional(),
  timeout: duration.optional(),
  concurrency: concurrency.optional(),
  rate_limit: rate.optional(),
  delay: duration.optional(),
  priority: wholeNumber(-100, 100).optional(),
  retry: retry.optional(),
  send: z.array(target, { error: "a list of targets" }).min(1, { error: "at least one target" }).optional(),
}, mapping);

const routesFile = z.strictObject({
  version: z.literal(1, { error: "1" }),
  server: server.prefault({}),
  storage: storage.prefault({}),
  retention: retention.prefault({}),
  sources: z.record(name, source, mapping).default({}),
  routes: z.record(name, route, mapping).default({}),
}, { error: "a mapping with version, sources and routes" }) satisfies z.ZodType<unknown, RoutesFile>;

/** The file with defaults filled in and every value in its final form. */
export type ParsedFile = z.output<typeof routesFile>;
export type ParsedSource = z.output<typeof source>;
export type ParsedRoute = z.output<typeof route>;
export type ParsedTarget = z.output<typeof target>;
export type ParsedRetry = z.output<typeof retry>;
/** What the schema takes; a test holds it against {@link RoutesFile}. */
export type SchemaInput = z.input<typeof routesFile>;

/** Keys that the design promises and this version does not have, by the keys above them (`*` is any name). */
const notYetKeys: Record<string, readonly string[]> = {
  "routes.*.retry": ["on"],
};

/** The JSON Schema of routes.yaml, for editors. */
export function routesJsonSchema(): Record<string, unknown> {
  return { title: "Weir routes", ...z.toJSONSchema(routesFile, { io: "input" }) };
}

/** What stands in for a value that must be there and is not, or is wrong, so that its neighbours are still checked. */
const standIns: Record<string, unknown> = {
  version: 1,
  "routes.*.from": ["-"],
  "routes.*.send.*.url": "http://localhost/",
};

/**
 * Checks the form of a file and reports everything that is wrong with it. What was reported is then taken out and the
 * rest parsed again, so that the checks that follow see as much of the file as holds.
 *
 * @param tree plain data; it is not changed
 * @returns undefined when nothing is left to look at
 */
export function parseRoutesFile(tree: unknown, issues: IssueList): ParsedFile | undefined {
  const rest = structuredClone(tree);
  for (;;) {
    // A program compiled for one file costs more than it saves: 10 ms and 1.3 MiB.
    const result = routesFile.safeParse(rest, { jitless: true });
    if (result.success) return result.data;
    const doomed: Path[] = [];
    for (const issue of result.error.issues.flatMap((each) => unfold(each, rest))) {
      const path = issue.path as Path;
      if (issue.code === "unrecognized_keys") {
        for (const key of issue.keys) {
          issues.add([...path, key], explainKey(path, key), { key: true });
          doomed.push([...path, key]);
        }
        continue;
      }
      if (path.length === 0) {
        issues.add(path, `the file is ${issues.show(path)}; expected ${issue.message}`);
        return undefined;
      }
      if (issue.code === "invalid_key") issues.add(path, `is no name; expected ${nameForm}`, { key: true });
      else issues.add(path, `is ${issues.show(path)}; expected ${issue.message}`);
      doomed.push(doomedPath(rest, path));
    }
    for (const path of doomed) remove(rest, path);
  }
}

/** Of a value that may have several forms and is a mapping: what is wrong inside it, rather than with all of it. */
function unfold(issue: z.core.$ZodIssue, tree: unknown): z.core.$ZodIssue[] {
  const value = valueAt(tree, issue.path as Path);
  if (issue.code !== "invalid_union" || typeof value !== "object" || value === null || Array.isArray(value)) {
    return [issue];
  }
  const form = issue.errors.find((branch) => branch.some(({ code, path }) => path.length > 0 || code.endsWith("keys")));
  return form?.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })) ?? [issue];
}

/** What has to go so that an issue does not come back: the value, its parent where it is missing, all of a list. */
function doomedPath(tree: unknown, path: Path): Path {
  if (patternOf(path) in standIns) return path;
  const held = valueAt(tree, path) === undefined ? path.slice(0, -1) : path;
  // One item cannot go by itself: those behind it would change their numbers, and with them their places.
  return held.slice(0, held.findLastIndex((key) => typeof key === "string") + 1);
}

function remove(tree: unknown, path: Path): void {
  const parent = valueAt(tree, path.slice(0, -1)) as Record<string, unknown> | undefined;
  const standIn = standIns[patternOf(path)];
  if (parent === undefined) return;
  if (standIn === undefined) delete parent[path.at(-1)!];
  else parent[path.at(-1)!] = standIn;
}

function explainKey(path: Path, key: string): string {
  if (notYetKeys[patternOf(path)]?.includes(key)) return "is not supported yet; take it out";
  const known = keysAt(path);
  const hint = didYouMean(key, known);
  return hint === "" ? `unknown key; expected one of ${known.join(", ")}` : `unknown key${hint}`;
}

/** `sources.github.secret` is `sources.*.secret`: what holds for a key holds under any name or number. */
function patternOf(path: Path): string {
  const named = path[0] === "sources" || path[0] === "routes";
  return path.map((key, i) => typeof key === "number" || (i === 1 && named) ? "*" : key).join(".");
}

let jsonSchema: Record<string, unknown> | undefined;

/** The keys that may stand below a path. */
function keysAt(path: Path): string[] {
  let schema = jsonSchema ??= routesJsonSchema();
  for (const key of path) {
    const properties = schema.properties as Record<string, unknown> | undefined;
    const below = typeof key === "number" ? schema.items : properties?.[key] ?? schema.additionalProperties;
    schema = below as Record<string, unknown>;
    const forms = schema.anyOf as Record<string, unknown>[] | undefined;
    schema = forms?.find((form) => form.properties !== undefined) ?? schema;
  }
  return Object.keys(schema.properties ?? {});
}
