/**
 * Closes the doors of the worker that Deno's permissions leave open, before any line of the handler is loaded: imports
 * from outside the handler's folder, nested workers, the way back to the host, and ending or signalling the process.
 */

import * as nodeModule from "node:module";
import process from "node:process";
import { receiveMessageOnPort } from "node:worker_threads";
import type { ModuleSource, SourceBridge } from "./script_protocol.ts";

/** The node: built-ins that a handler may import; the rest load code, start threads or reach into the runtime. */
const builtins = Object.assign(
  // No prototype and no method: a handler that rewrites Set.prototype.has changes nothing here.
  Object.create(null) as Record<string, true>,
  Object.fromEntries(
    [
      ...["assert", "assert/strict", "async_hooks", "buffer", "constants", "crypto", "diagnostics_channel", "dns"],
      ...["dns/promises", "events", "fs", "fs/promises", "http", "http2", "https", "net", "os", "path", "path/posix"],
      ...["path/win32", "perf_hooks", "process", "punycode", "querystring", "stream", "stream/consumers"],
      ...["stream/promises", "stream/web", "string_decoder", "timers", "timers/promises", "tls", "url", "util", "zlib"],
    ].map((name) => [`node:${name}`, true]),
  ),
);

// Taken before the handler runs, for the same reason.
const { apply } = Reflect;
const { startsWith } = String.prototype;
const { URL } = globalThis;

function begins(text: string, start: string): boolean {
  return apply(startsWith, text, [start]);
}

/** `node:process` has named exports that cannot be taken away; a handler gets the same object without them. */
const processUrl = "weir:process";
const processSource =
  "export default process; export const { argv, cwd, env, hrtime, nextTick, pid, platform, version, versions } = process;";

type ResolveResult = { url: string; shortCircuit: true };
type LoadResult = { format: string; source: string; shortCircuit: true };
interface Hooks {
  resolve(
    specifier: string,
    context: { parentURL?: string },
    next: (...args: unknown[]) => ResolveResult,
  ): ResolveResult;
  load(
    url: string,
    context: { importAttributes?: { type?: string } },
    next: (...args: unknown[]) => LoadResult,
  ): LoadResult;
}

/**
 * Lets every import of this worker go through the host.
 *
 * @returns false when this Deno has no module hooks (before 2.8.2)
 */
export function guardImports(bridge: SourceBridge): boolean {
  const register = (nodeModule as { registerHooks?: (hooks: Hooks) => void }).registerHooks;
  if (register === undefined) return false;
  const read = createSourceReader(bridge);
  register({
    resolve(specifier, { parentURL }, next) {
      if (begins(specifier, "node:")) {
        if (!(specifier in builtins)) {
          throw new Error(`cannot import "${specifier}": a handler may not use this built-in`);
        }
        return specifier === "node:process" ? { url: processUrl, shortCircuit: true } : next(specifier);
      }
      if (["./", "../", "/", "file:"].some((start) => begins(specifier, start))) {
        const url: unknown = new URL(specifier, parentURL).href;
        if (typeof url === "string" && begins(url, "file:///")) return { url, shortCircuit: true };
      }
      throw new Error(explainSpecifier(specifier));
    },
    load(url, context, next) {
      if (url === processUrl) return { format: "module", source: processSource, shortCircuit: true };
      if (url in builtins) return next(url, context);
      const module = read(url, context.importAttributes?.type);
      if (!module.ok) throw new Error(module.reason);
      return { format: module.format, source: module.source, shortCircuit: true };
    },
  });
  return true;
}

/** Import hooks are synchronous and the host is another thread: ask, sleep until it rings, take the answer. */
function createSourceReader({ port, bell }: SourceBridge): (url: string, type: string | undefined) => ModuleSource {
  const flag = new Int32Array(bell);
  const { store, wait } = Atomics;
  const post = port.postMessage.bind(port);
  // Node's declaration asks for its own class of port; Deno's is one and the same.
  const take = receiveMessageOnPort as unknown as (port: MessagePort) => { message: ModuleSource };
  return (url, type) => {
    store(flag, 0, 0);
    post({ url, type });
    wait(flag, 0, 0);
    return take(port).message;
  };
}

function explainSpecifier(specifier: string): string {
  const may = "a handler may import files of its own folder and node: built-ins";
  if (/^weir(\/|$)/.test(specifier)) {
    return `cannot import "${specifier}" at run time: write "import type" for its types`;
  }
  if (`node:${specifier}` in builtins) return `cannot import "${specifier}": write "node:${specifier}"`;
  return `cannot import "${specifier}": ${may}; bundle packages into a file beside it`;
}

/**
 * Takes away what would let a handler out of its attempt.
 *
 * @param exited is told how the handler tried to end the process; it throws
 */
export function closeDoors(exited: (call: string) => never): void {
  const scope = globalThis as unknown as Record<PropertyKey, unknown>;
  for (const name of ["Worker", "postMessage", "onmessage", "BroadcastChannel", "caches", "nodeBootstrap"]) {
    delete scope[name];
    if (name in scope) Object.defineProperty(scope, name, { value: undefined, writable: false, configurable: false });
  }
  const runtime = Deno as unknown as Record<PropertyKey, unknown>;
  const internal = runtime.internal as PropertyKey | undefined;
  if (internal !== undefined) delete runtime[internal];
  const node = process as unknown as Record<string, unknown>;
  const fixed = (target: object, name: string, value: unknown) =>
    Object.defineProperty(target, name, { value, writable: false, configurable: false });
  const refuse = (what: string) => () => {
    throw new Error(`${what} is not available to a handler`);
  };
  fixed(scope, "close", () => exited("self.close()"));
  fixed(runtime, "exit", (code: unknown = 0) => exited(`Deno.exit(${String(code)})`));
  fixed(runtime, "kill", refuse("Deno.kill"));
  for (const name of ["exit", "reallyExit"]) {
    fixed(node, name, (code: unknown = 0) => exited(`process.exit(${String(code)})`));
  }
  for (const name of ["kill", "abort", "dlopen", "binding", "_linkedBinding", "getBuiltinModule"]) {
    fixed(node, name, refuse(`process.${name}`));
  }
}
