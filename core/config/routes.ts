/**
 * Builds the routes: checks what they refer to, compiles expressions, finds handler files and fills in what a queue
 * needs to run.
 */

import { type BreakerPolicy, defaultBreaker } from "../domain/breaker.ts";
import type { Destination, Route, TargetDestination } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import { secretBytesMin } from "../domain/provider.ts";
import { defaultRetry, exponentialSchedule, type RetryPolicy } from "../domain/retry.ts";
import { absolutePath, type Build, buildExpression, checkSecrets } from "./build.ts";
import { didYouMean } from "../domain/naming.ts";
import { type Path, valueAt } from "./path.ts";
import type { ParsedRetry, ParsedRoute, ParsedTarget } from "./schema.ts";

const handlerTimeoutMs = 60_000;
const targetTimeoutMs = 15_000;
const defaultConcurrency = 10;

/** Headers that Weir writes itself, or that belong to the connection. */
const reservedHeaders = [
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
  "content-length",
  "host",
  "connection",
];

/** Builds every route; those with issues may be incomplete, which is why a file with issues is never used. */
export async function buildRoutes(build: Build, written: Readonly<Record<string, ParsedRoute>>): Promise<Route[]> {
  const names = Object.keys(written);
  for (const name of build.inlineHandlers) {
    if (valueAt(build.tree, ["routes", name]) !== undefined) continue;
    build.issues.add(["handlers", name], `there is no route ${name}${didYouMean(name, names)}`);
  }
  return await Promise.all(Object.entries(written).map(([name, route]) => buildRoute(build, { name, route })));
}

async function buildRoute(build: Build, written: { name: string; route: ParsedRoute }): Promise<Route> {
  const { name, route } = written;
  const path = ["routes", name];
  checkFrom(build, { path: [...path, "from"], from: route.from });
  checkLanes(build, path);
  return {
    name,
    from: route.from,
    on: route.on,
    when: buildExpression(build, { path: [...path, "when"], text: route.when, use: "condition" }),
    orderBy: buildExpression(build, { path: [...path, "order_by"], text: route.order_by, use: "key" }),
    concurrencyKey: buildConcurrencyKey(build, { path: [...path, "concurrency"], route }),
    skipOlder: buildExpression(build, { path: [...path, "skip_older"], text: route.skip_older, use: "version" }),
    delayMs: route.delay,
    priority: route.priority,
    onExhausted: route.on_exhausted,
    retry: buildRetry(build, { path: [...path, "retry"], retry: route.retry }),
    destinations: await buildDestinations(build, written),
  };
}

/** Both a key of `concurrency` and `order_by` make lanes, and a version is held against the last one of its lane. */
function checkLanes(build: Build, path: Path): void {
  const has = (...keys: string[]) => valueAt(build.tree, [...path, ...keys]) !== undefined;
  if (has("concurrency", "key") && has("order_by")) {
    const message = "has no meaning beside order_by, which runs one event of a key at a time; take one of them out";
    build.issues.add([...path, "concurrency", "key"], message, { key: true });
  }
  if (has("skip_older") && !has("order_by")) {
    const message = "has no meaning without order_by: a version is compared with those of the same key";
    build.issues.add([...path, "skip_older"], message, { key: true });
  }
}

function buildConcurrencyKey(build: Build, written: { path: Path; route: ParsedRoute }): Route["concurrencyKey"] {
  const { concurrency } = written.route;
  if (typeof concurrency !== "object") return undefined;
  const key = buildExpression(build, { path: [...written.path, "key"], text: concurrency.key, use: "key" });
  return key && { key, limit: concurrency.limit };
}

/** Most attempts of a queue at once, whatever their keys. */
function totalConcurrency({ concurrency = defaultConcurrency }: ParsedRoute): number {
  if (typeof concurrency === "number") return concurrency;
  return concurrency.total ?? Math.max(defaultConcurrency, concurrency.limit);
}

function checkFrom(build: Build, written: { path: Path; from: readonly string[] }): void {
  const { path, from } = written;
  if (build.issues.has(path)) return;
  const sources = Object.keys(valueAt(build.tree, ["sources"]) ?? {});
  const isList = Array.isArray(valueAt(build.tree, path));
  from.forEach((source, i) => {
    const at = isList ? [...path, i] : path;
    if (from.indexOf(source) !== i) build.issues.add(at, `${source} stands here twice`);
    if (sources.includes(source)) return;
    const known = sources.length === 0 ? "there are none" : `expected one of ${sources.join(", ")}`;
    build.issues.add(at, `there is no source ${build.issues.show(at)}; ${known}${didYouMean(source, sources)}`);
  });
}

function buildRetry(build: Build, written: { path: Path; retry: ParsedRetry | undefined }): RetryPolicy {
  const { path, retry } = written;
  if (retry === undefined) return defaultRetry;
  const { attempts, jitter } = retry;
  if (retry.backoff === undefined) {
    for (const key of ["base", "factor", "max"] as const) {
      if (retry[key] === undefined) continue;
      build.issues.add([...path, key], "has no meaning without backoff: exponential", { key: true });
    }
    return { attempts, jitter, scheduleMs: retry.schedule ?? defaultRetry.scheduleMs };
  }
  if (retry.schedule !== undefined) {
    build.issues.add([...path, "schedule"], "has no meaning beside backoff; take one of them out", { key: true });
  }
  const { base: baseMs = 1_000, factor = 2, max: maxMs = 3_600_000 } = retry;
  if (maxMs < baseMs) build.issues.add([...path, "max"], "is less than base; expected at least as much");
  return { attempts, jitter, scheduleMs: exponentialSchedule({ baseMs, factor, maxMs, attempts }) };
}

async function buildDestinations(
  build: Build,
  written: { name: string; route: ParsedRoute },
): Promise<readonly Destination[]> {
  const { name, route } = written;
  const path = ["routes", name];
  // Asked of the file as written: a send list with a mistake in it is still there.
  const has = (key: string) => valueAt(build.tree, [...path, key]) !== undefined;
  const inline = build.inlineHandlers.includes(name);
  const ways = [has("handler") && "handler", has("send") && "send", inline && "a handler in the program"]
    .filter((way) => way !== false);
  if (ways.length === 0) build.issues.add(path, "has neither handler nor send; expected one of them", { key: true });
  if (ways.length > 1) {
    build.issues.add(path, `has ${ways.join(" and ")}; expected exactly one of them`, { key: true });
  }
  if (has("permissions") && !has("handler")) {
    build.issues.add([...path, "permissions"], "has no meaning without handler; take it out", { key: true });
  }
  const timeoutMs = route.timeout ?? handlerTimeoutMs;
  const flow = { concurrency: totalConcurrency(route), rateLimit: route.rate_limit };
  if (route.send !== undefined) return buildTargets(build, { path: [...path, "send"], route, targets: route.send });
  if (inline) return [{ kind: "inline", timeoutMs, ...flow }];
  if (route.handler === undefined) return [];
  const file = absolutePath(build, route.handler);
  await checkFile(build, { path: [...path, "handler"], file });
  const { net = [], env = [], read = [] } = route.permissions ?? {};
  env.forEach((variable, i) => {
    if (build.lookup(variable) !== undefined) return;
    build.issues.warn(
      [...path, "permissions", "env", i],
      `the environment variable ${variable} is granted but not set`,
    );
  });
  const permissions = { net, env, read: read.map((granted) => absolutePath(build, granted)) };
  return [{ kind: "script", file, permissions, timeoutMs, ...flow }];
}

async function checkFile(build: Build, written: { path: Path; file: string }): Promise<void> {
  const shown = build.issues.show(written.path);
  try {
    const { isFile } = await Deno.stat(written.file);
    if (!isFile) build.issues.add(written.path, `${shown} is not a file`);
    else (await Deno.open(written.file)).close(); // it must also be one that may be read
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    build.issues.add(
      written.path,
      missing
        ? `there is no file ${shown}; expected a path from ${build.directory}`
        : `${shown}: ${describeError(error)}`,
    );
  }
}

function buildTargets(
  build: Build,
  written: { path: Path; route: ParsedRoute; targets: readonly ParsedTarget[] },
): TargetDestination[] {
  const { path, route, targets } = written;
  const names = targets.map(({ name }) => name);
  return targets.map((target, i) => {
    const at = [...path, i];
    if (target.name === undefined && targets.length > 1) {
      build.issues.add([...at, "name"], "is missing; each of several targets needs a name");
    } else if (target.name !== undefined && names.indexOf(target.name) !== i) {
      build.issues.add([...at, "name"], `${target.name} is the name of another target of this route`);
    }
    if (target.secret !== undefined) {
      const secretAt = [...at, "secret"];
      const isList = Array.isArray(valueAt(build.tree, secretAt));
      checkSecrets(build, { path: secretAt, secrets: target.secret, bytesMin: secretBytesMin, isList });
    }
    return {
      kind: "target",
      name: target.name ?? "default",
      url: target.url,
      secrets: target.secret ?? [],
      headers: buildHeaders(build, { path: [...at, "headers"], headers: target.headers }),
      timeoutMs: target.timeout ?? route.timeout ?? targetTimeoutMs,
      concurrency: target.concurrency ?? totalConcurrency(route),
      rateLimit: target.rate_limit ?? route.rate_limit,
      breaker: buildBreaker(build, { path: [...at, "breaker"], breaker: target.breaker }),
    };
  });
}

function buildBreaker(
  build: Build,
  written: { path: Path; breaker: ParsedTarget["breaker"] },
): BreakerPolicy | undefined {
  if (written.breaker === false) return undefined;
  const { failures = defaultBreaker.failures, open: openMs = defaultBreaker.openMs, open_max } = written.breaker ?? {};
  const openMsMax = open_max ?? Math.max(openMs, defaultBreaker.openMsMax);
  if (openMsMax < openMs) {
    build.issues.add([...written.path, "open_max"], "is less than open; expected at least as much");
  }
  return { failures, openMs, openMsMax };
}

function buildHeaders(
  build: Build,
  written: { path: Path; headers: Readonly<Record<string, string>> },
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(written.headers)) {
    const at = [...written.path, name];
    const lower = name.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) build.issues.add(at, "is no header name", { key: true });
    else if (reservedHeaders.includes(lower)) build.issues.add(at, "is written by Weir; take it out", { key: true });
    else if (Object.hasOwn(headers, lower)) build.issues.add(at, "stands here twice", { key: true });
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) build.issues.add(at, "holds characters that no header may carry");
    headers[lower] = value;
  }
  return headers;
}
