/**
 * Builds the sources: finds each one's provider, binds it to secrets and options, compiles expressions and the schema of
 * bodies, and makes sure that no two listen on one path.
 */

import type { CronSource, HttpSource, Source } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import { type Provider, type Scheme, secretBytesMin } from "../domain/provider.ts";
import { absolutePath, type Build, buildExpression, checkSecrets } from "./build.ts";
import { compileSchedule, explainTimezone } from "./cron.ts";
import { didYouMean } from "../domain/naming.ts";
import { type Path, valueAt } from "./path.ts";
import { loadPatterns } from "./pattern.ts";
import type { ParsedSource } from "./schema.ts";

/** Largest body that a source may accept, and what a remote log can take of it. */
export const bodyBytesMax = { local: 25 * 1_048_576, remote: 4 * 1_048_576 };

/** Paths of the engine itself on the ingest port. */
const reservedPaths = ["/healthz", "/readyz"];

/** Providers that know no event id by themselves. */
const idlessProviders = ["hmac", "token", "none"];

/** Builds every source that can be built; the others have issues. */
export async function buildSources(
  build: Build,
  written: { sources: Readonly<Record<string, ParsedSource>>; remoteStorage: boolean },
): Promise<Map<string, Source>> {
  const sources = new Map<string, Source>();
  const takenPaths = new Map<string, string>();
  for (const [name, source] of Object.entries(written.sources)) {
    const path = ["sources", name];
    // Asked of the file as written: a kind with a mistake in it is still that kind.
    const has = (key: string) => valueAt(build.tree, [...path, key]) !== undefined;
    if (source.publish) {
      checkAlone(build, { path, kind: "publish: true", keys: ["publish"] });
      sources.set(name, { kind: "publish", name });
      continue;
    }
    if (has("cron")) {
      checkAlone(build, { path, kind: "cron", keys: ["cron", "timezone", "body"] });
      const built = buildCronSource(build, { name, source });
      if (built !== undefined) sources.set(name, built);
      continue;
    }
    for (const key of ["timezone", "body"]) {
      if (has(key)) build.issues.add([...path, key], "has no meaning without cron; take it out", { key: true });
    }
    const urlPath = source.path ?? `/hooks/${name}`;
    const pathAt = [...path, "path"];
    const taken = takenPaths.get(urlPath);
    if (taken !== undefined) build.issues.add(pathAt, `${urlPath} is already the path of the source ${taken}`);
    if (reservedPaths.includes(urlPath)) build.issues.add(pathAt, `${urlPath} is the engine's own; choose another`);
    takenPaths.set(urlPath, name);
    checkBodySize(build, { path, source, remote: written.remoteStorage });
    const built = await buildHttpSource(build, { name, urlPath, source });
    if (built !== undefined) sources.set(name, built);
  }
  return sources;
}

function checkAlone(build: Build, written: { path: Path; kind: string; keys: readonly string[] }): void {
  const { path, kind, keys } = written;
  const others = Object.keys(valueAt(build.tree, path) as object).filter((key) => !keys.includes(key));
  for (const key of others) {
    build.issues.add([...path, key], `has no meaning beside ${kind}; take one of them out`, { key: true });
  }
}

function buildCronSource(build: Build, written: { name: string; source: ParsedSource }): CronSource | undefined {
  const { name, source } = written;
  const path = ["sources", name];
  const timezone = source.timezone ?? "UTC";
  const zoneFault = explainTimezone(timezone);
  const zoneAt = [...path, "timezone"];
  if (zoneFault !== undefined) build.issues.add(zoneAt, `is ${build.issues.show(zoneAt)}; ${zoneFault}`);
  if (source.cron === undefined) return undefined;
  const schedule = compileSchedule(source.cron, zoneFault === undefined ? timezone : "UTC");
  const at = [...path, "cron"];
  if (!schedule.ok) build.issues.add(at, `${build.issues.show(at)} is not a schedule: ${schedule.reason}`);
  if (!schedule.ok || zoneFault !== undefined) return undefined;
  return { kind: "cron", name, schedule: source.cron, timezone, next: schedule.next, body: source.body ?? null };
}

function checkBodySize(build: Build, written: { path: Path; source: ParsedSource; remote: boolean }): void {
  const most = written.remote ? bodyBytesMax.remote : bodyBytesMax.local;
  if (written.source.max_body <= most) return;
  const at = [...written.path, "max_body"];
  const why = written.remote ? " where storage is remote" : "";
  build.issues.add(at, `is ${build.issues.show(at)}; expected at most ${most / 1_048_576}MiB${why}`);
}

async function buildHttpSource(
  build: Build,
  written: { name: string; urlPath: string; source: ParsedSource },
): Promise<HttpSource | undefined> {
  const { name, source } = written;
  const path = ["sources", name];
  const id = buildExpression(build, { path: [...path, "id"], text: source.id, use: "key" });
  const type = buildExpression(build, { path: [...path, "type"], text: source.type, use: "key" });
  const split = buildExpression(build, { path: [...path, "split"], text: source.split, use: "list" });
  const schema = await readBodySchema(build, { path: [...path, "schema"], file: source.schema });
  const provider = findProvider(build, { path, source });
  const scheme = provider && bindProvider(build, { path, source, provider });
  if (scheme === undefined || provider === undefined) return undefined;
  const hasIds = source.id !== undefined || !idlessProviders.includes(provider.name) ||
    source.options.id_header !== undefined;
  if (!hasIds) {
    build.issues.warn(path, `without id: no event of this source has an id, so a repeated one runs again`, {
      key: true,
    });
  }
  if (source.replay_guard !== undefined) checkReplayGuard(build, { path, provider, hasIds });
  return {
    kind: "http",
    name,
    path: written.urlPath,
    provider,
    scheme,
    id,
    type,
    split,
    allowIps: source.allow_ips,
    bodyBytesMax: source.max_body,
    contentTypes: source.content_types ?? provider.contentTypes,
    rateLimit: source.rate_limit,
    schema,
    replayGuard: source.replay_guard,
  };
}

/** The guard is for content that comes again under another id; it needs an id, and one that can be changed. */
function checkReplayGuard(build: Build, written: { path: Path; provider: Provider; hasIds: boolean }): void {
  const at = [...written.path, "replay_guard"];
  if (written.provider.signsId) {
    const reason =
      `the provider ${written.provider.name} signs its ids, so nobody can send an event again under another`;
    build.issues.add(at, `has no meaning: ${reason}; take it out`, { key: true });
  } else if (!written.hasIds) {
    build.issues.add(at, "has no meaning without id: only events with an id are compared", { key: true });
  }
}

function findProvider(build: Build, written: { path: Path; source: ParsedSource }): Provider | undefined {
  const at = [...written.path, "provider"];
  const wanted = written.source.provider;
  const names = build.providers.map(({ name }) => name);
  const found = build.providers.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  if (wanted !== undefined) {
    build.issues.add(
      at,
      `there is no provider ${build.issues.show(at)}; expected one of ${names.join(", ")}${didYouMean(wanted, names)}`,
    );
  } else if (valueAt(build.tree, [...written.path, "publish"]) === undefined) {
    build.issues.add(at, `is missing; expected one of ${names.join(", ")}, or cron, or publish: true`);
  }
}

function bindProvider(
  build: Build,
  written: { path: Path; source: ParsedSource; provider: Provider },
): Scheme | undefined {
  const { path, source, provider } = written;
  const at = [...path, "secret"];
  const isList = Array.isArray(valueAt(build.tree, at));
  if (provider.secret === "forbidden" && source.secret !== undefined) {
    build.issues.add(at, `the provider ${provider.name} takes no secret; take it out`);
  } else if (provider.secret === "required" && source.secret === undefined) {
    build.issues.add(at, `is missing; the provider ${provider.name} needs one`);
  } else if (source.secret !== undefined) {
    const bytesMin = provider.secretBytesMin ?? secretBytesMin;
    checkSecrets(build, { path: at, secrets: source.secret, bytesMin, isList });
  }
  const settings = { secrets: source.secret ?? [], toleranceMs: source.tolerance, options: source.options };
  const bound = provider.bind(settings);
  if (bound.ok) return bound.scheme;
  for (const issue of bound.issues) {
    const below = issue.path[0] === "secret" && !isList ? ["secret"] : issue.path;
    build.issues.add([...path, ...below], issue.message);
  }
}

async function readBodySchema(
  build: Build,
  written: { path: Path; file: string | undefined },
): Promise<HttpSource["schema"]> {
  if (written.file === undefined) return undefined;
  const file = absolutePath(build, written.file);
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    build.issues.add(
      written.path,
      missing
        ? `there is no file ${build.issues.show(written.path)}; expected a path from ${build.directory}`
        : `${build.issues.show(written.path)} cannot be read: ${describeError(error)}`,
    );
    return undefined;
  }
  build.files.push(file);
  await loadPatterns();
  const { compileBodySchema } = await import("./body_schema.ts"); // ajv is 11 MiB that few configurations need
  const compiled = compileBodySchema(text);
  if (compiled.ok) return compiled.check;
  build.issues.add(written.path, `${build.issues.show(written.path)} is not a JSON Schema: ${compiled.reason}`);
}
