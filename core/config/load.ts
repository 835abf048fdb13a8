/**
 * Reads routes.yaml, or an object of the same shape, into a {@link Config}. Every mistake is reported at once, each with
 * its line and column; a configuration with any mistake is never used.
 */

import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeHex } from "@std/encoding/hex";
import {
  type Config,
  defaultRetention,
  type Retention,
  type Route,
  type ServerConfig,
  type StorageConfig,
} from "../domain/config.ts";
import { formatDuration } from "../domain/duration.ts";
import { describeError } from "../domain/error.ts";
import type { Provider } from "../domain/provider.ts";
import { absolutePath, type Build } from "./build.ts";
import { fileBytesMax, readObject, readYaml, type RoutesDocument } from "./document.ts";
import { createLookup, type Lookup, substitute } from "./environment.ts";
import { type ConfigIssue, createIssueList, sortIssues } from "./issue.ts";
import { loadPatterns } from "./pattern.ts";
import { buildRoutes } from "./routes.ts";
import type { RoutesFile } from "./routes_file.ts";
import { type ParsedFile, parseRoutesFile } from "./schema.ts";
import { buildSources } from "./sources.ts";

export { type ConfigIssue, formatIssue } from "./issue.ts";
export type { RoutesFile } from "./routes_file.ts";
export { routesJsonSchema } from "./schema.ts";

/** A configuration that can be used, or everything that is wrong with it. */
export type LoadedConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigIssue[] }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** What a configuration is held against. */
export interface LoadOptions {
  readonly providers: readonly Provider[];
  /** Names of the routes whose handler is a function of the program. */
  readonly inlineHandlers?: readonly string[];
  /** Instead of the process's own environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What was read, before anything is checked. */
interface Text {
  readonly document: RoutesDocument;
  /** What the hash is taken of. */
  readonly canonical: string;
  /** As handed in, for messages. */
  readonly file?: string;
  readonly directory: string;
  readonly dotEnv?: string;
  readonly files: string[];
}

/**
 * Loads a configuration. Nothing that stands in a file makes it throw.
 *
 * @param source the path of a routes.yaml, or an object of its shape whose paths start at the working directory
 * @param options what it is held against
 * @returns the configuration with its warnings, or all issues in the order of the file
 */
export async function loadConfig(source: string | RoutesFile, options: LoadOptions): Promise<LoadedConfig> {
  const text = typeof source === "string" ? await readFile(source) : takeObject(source);
  if (!text.ok) return text;
  const { document, file, directory, dotEnv, files } = text;
  const lookup = createLookup(dotEnv, options.environment);
  const { tree, variables, redactions, faults } = substitute(document.tree, lookup);
  const issues = createIssueList({ document, file, redactions });
  for (const { path, message } of faults) issues.add(path, message);
  const complaints = document.warnings.map((fault): ConfigIssue => ({ file, path: "", ...fault }));
  const everything = (): ConfigIssue[] => sortIssues([...complaints, ...issues.errors]);
  const { providers, inlineHandlers = [] } = options;
  const build: Build = { issues, providers, inlineHandlers, lookup, directory, tree, files };
  const parsed = parseRoutesFile(tree, issues);
  if (parsed === undefined) return { ok: false, issues: everything() };
  if (JSON.stringify(tree).includes("matches")) await loadPatterns();

  const server = buildServer(build, parsed);
  const storage = buildStorage(build, parsed);
  const retention = buildRetention(build, parsed);
  const remoteStorage = !storage.url.startsWith("file:");
  const sources = await buildSources(build, { sources: parsed.sources, remoteStorage });
  const routes = await buildRoutes(build, parsed.routes);
  if (everything().length > 0) return { ok: false, issues: everything() };
  const environment = grantedVariables(routes, lookup);
  const config: Config = {
    server,
    storage,
    retention,
    sources,
    routes,
    environment,
    variables: await digestsOf([
      ...variables,
      ...grantedNames(routes).map((name) => [name, environment[name]] as const),
    ]),
    files,
    hash: await hashOf(text.canonical),
  };
  return { ok: true, config, warnings: sortIssues(issues.warnings) };
}

function buildServer(build: Build, parsed: ParsedFile): ServerConfig {
  const { listen, admin, public_url: publicUrl, trusted_proxies: trustedProxies } = parsed.server;
  const wild = ["0.0.0.0", "::"];
  const sameHost = listen.hostname === admin.hostname || wild.includes(listen.hostname) ||
    wild.includes(admin.hostname);
  if (listen.port !== 0 && listen.port === admin.port && sameHost) {
    build.issues.add(["server", "admin"], `port ${admin.port} is already the port of server.listen`);
  }
  return { listen, publicUrl, admin, trustedProxies };
}

function buildStorage(build: Build, parsed: ParsedFile): StorageConfig {
  const { url, auth_token: authToken, min_free: freeBytesMin } = parsed.storage;
  const at = ["storage", "url"];
  if (!url.startsWith("file:")) {
    const remote = URL.parse(url);
    if (remote === null || !/^(libsql|https?):$/.test(remote.protocol) || remote.hostname === "") {
      build.issues.add(at, `is ${build.issues.show(at)}; expected file:, libsql:, http: or https:`);
    } else if (remote.username + remote.password !== "" || remote.searchParams.has("authToken")) {
      build.issues.add(at, "holds credentials; put the token into storage.auth_token");
    }
    if (freeBytesMin !== undefined) {
      build.issues.add(["storage", "min_free"], "is for the disk of a file; take it out", { key: true });
    }
    return { url, authToken };
  }
  if (authToken !== undefined) {
    build.issues.add(["storage", "auth_token"], "has no meaning for a file; take it out", { key: true });
  }
  const path = url.startsWith("file:///") && URL.canParse(url) ? fileURLToPath(url) : url.slice("file:".length);
  if (path === "" || path.startsWith("//") || /^:|\?/.test(path)) {
    build.issues.add(at, `is ${build.issues.show(at)}; expected file: and the path of a file, such as file:weir.db`);
  }
  return { url: `file:${absolutePath(build, path)}`, authToken, freeBytesMin };
}

/** A key must not outlive its event's own retention: the duplicate would be answered with an id that is gone. */
function buildRetention(build: Build, { retention }: ParsedFile): Retention {
  const { events: eventsMs, attempts: attemptsMs, dead: deadMs } = retention;
  const idempotencyMs = retention.idempotency ?? Math.min(defaultRetention.idempotencyMs, eventsMs);
  if (idempotencyMs > eventsMs) {
    const at = ["retention", "idempotency"];
    build.issues.add(at, `is ${build.issues.show(at)}; expected at most retention.events, ${formatDuration(eventsMs)}`);
  }
  return { eventsMs, attemptsMs, deadMs, idempotencyMs };
}

function grantedVariables(routes: readonly Route[], lookup: Lookup): Record<string, string> {
  const granted: Record<string, string> = {};
  for (const name of grantedNames(routes)) {
    const value = lookup(name);
    if (value !== undefined) granted[name] = value;
  }
  return granted;
}

function grantedNames(routes: readonly Route[]): string[] {
  const destinations = routes.flatMap((route) => route.destinations);
  return destinations.flatMap((destination) => destination.kind === "script" ? destination.permissions.env : []);
}

async function digestsOf(variables: readonly (readonly [string, string | undefined])[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const [name, value] of variables) digests.set(name, value === undefined ? "" : await hashOf(value));
  return digests;
}

async function readFile(file: string): Promise<{ ok: true } & Text | { ok: false; issues: readonly ConfigIssue[] }> {
  const refuse = (message: string, at = file) => ({ ok: false as const, issues: [{ file: at, path: "", message }] });
  const absolute = resolve(file);
  const directory = dirname(absolute);
  const read = await readText(absolute);
  if (!read.ok) return refuse(read.reason);
  if (read.text === undefined) return refuse("there is no such file (weir init makes one)");
  const dotEnvFile = resolve(directory, ".env");
  const dotEnv = await readText(dotEnvFile);
  if (!dotEnv.ok) return refuse(dotEnv.reason, dotEnvFile);
  const yaml = readYaml(read.text);
  if (!yaml.ok) return { ok: false, issues: yaml.faults.map((fault) => ({ file, path: "", ...fault })) };
  const files = dotEnv.text === undefined ? [absolute] : [absolute, dotEnvFile];
  return { ok: true, document: yaml.document, canonical: read.text, file, directory, dotEnv: dotEnv.text, files };
}

/** A text file of sane size; a file that is not there has no text. */
export async function readText(file: string): Promise<{ ok: true; text?: string } | { ok: false; reason: string }> {
  try {
    const { size, isFile } = await Deno.stat(file);
    if (!isFile) return { ok: false, reason: "is not a file" };
    if (size > fileBytesMax) return { ok: false, reason: `has ${size} bytes; expected at most ${fileBytesMax}` };
    const bytes = await Deno.readFile(file);
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { ok: true };
    if (error instanceof TypeError) return { ok: false, reason: "is not valid UTF-8" };
    return { ok: false, reason: `cannot be read: ${describeError(error)}` };
  }
}

function takeObject(source: RoutesFile): { ok: true } & Text | { ok: false; issues: readonly ConfigIssue[] } {
  const read = readObject(source);
  if (!read.ok) return { ok: false, issues: read.faults.map((fault) => ({ path: "", ...fault })) };
  const { document } = read;
  return { ok: true, document, canonical: canonicalJson(document.tree), directory: Deno.cwd(), files: [] };
}

/** JSON with sorted keys, so that the order in which a program wrote them does not matter. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return encodeHex(digest);
}
