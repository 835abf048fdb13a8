/**
 * Reads the modules of a handler for its sandbox. The sandbox itself may not read the handler's folder, so every import
 * comes through here: code from the handler's own folder, data (JSON, text) only where the route grants reading.
 */

import { createHash } from "node:crypto";
import * as nodeModule from "node:module";
import { basename, dirname, extname, isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadedFile, ModuleSource } from "./script_protocol.ts";

/** A module larger than this is not read. */
const moduleBytesMax = 16 * 1024 * 1024;

/** Serves the modules of one handler and remembers what it served. */
export interface ModuleSources {
  /** @param type the import attribute `type`, if there was one */
  read(url: string, type: string | undefined): ModuleSource;
  /** Everything served so far and its hash: one file's own SHA-256, or that of all names and hashes together. */
  loaded(): { files: readonly LoadedFile[]; codeHash: string };
  /** Grows with every file served. */
  count(): number;
}

/**
 * @param handler.file absolute path of the handler
 * @param handler.read paths that the route may read
 */
export function createModuleSources(handler: { file: string; read: readonly string[] }): ModuleSources {
  const folder = Deno.realPathSync(dirname(handler.file));
  const readable = handler.read.map(realPathOrSelf);
  const served = new Map<string, { stamp: string; hash: string }>();

  function read(url: string, type: string | undefined): ModuleSource {
    let path = url;
    try {
      path = fileURLToPath(url);
      const real = Deno.realPathSync(path);
      const refusal = refuse(path, real, type);
      if (refusal !== undefined) return { ok: false, reason: refusal };
      const { bytes, stamp } = readStamped(real);
      served.set(path, { stamp, hash: createHash("sha256").update(bytes).digest("hex") });
      const source = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      if (type === "json" || type === "text") return { ok: true, format: type, source };
      return { ok: true, format: "module", source: isTypeScript(real) ? stripTypes(source, real) : source };
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return { ok: false, reason: `there is no file ${path}` };
      return { ok: false, reason: thrown instanceof Error ? thrown.message : String(thrown) };
    }
  }

  function refuse(path: string, real: string, type: string | undefined): string | undefined {
    if (type === "json" || type === "text") {
      if (readable.some((granted) => isWithin(granted, real))) return undefined;
      return `Requires read access to "${path}"`;
    }
    if (type !== undefined) return `cannot import ${path} as "${type}": expected code, "json" or "text"`;
    if (!isWithin(folder, real)) {
      return `cannot import ${path}: code is imported from the handler's own folder ${folder} only`;
    }
    if (![".ts", ".mts", ".js", ".mjs"].includes(extname(real))) {
      return `cannot import ${path}: expected a .ts, .mts, .js or .mjs file`;
    }
    return undefined;
  }

  function loaded() {
    const files = [...served].map(([path, { stamp }]) => ({ path, stamp }));
    const hashes = [...served].map(([path, { hash }]) => [relative(folder, path), hash] as const);
    if (hashes.length === 1) return { files, codeHash: hashes[0]![1] };
    const all = createHash("sha256");
    for (const [name, hash] of hashes.sort(([a], [b]) => a < b ? -1 : 1)) all.update(`${hash} ${name}\n`);
    return { files, codeHash: all.digest("hex") };
  }

  return { read, loaded, count: () => served.size };
}

/** Tells one version of a file from the next without reading it; undefined when it is not there. */
export function stampFile(path: string): string | undefined {
  try {
    return stampOf(Deno.statSync(path));
  } catch {
    return undefined;
  }
}

function stampOf(info: Deno.FileInfo): string {
  return `${info.ino} ${info.size} ${info.mtime?.getTime()} ${info.ctime?.getTime()}`;
}

/** Stamp and content of the same open file, so that a file renamed over it in between is not mixed in. */
function readStamped(path: string): { bytes: Uint8Array; stamp: string } {
  using file = Deno.openSync(path, { read: true });
  const info = file.statSync();
  if (!info.isFile) throw new Error(`cannot import ${path}: it is not a file`);
  if (info.size > moduleBytesMax) {
    throw new Error(`cannot import ${path}: ${info.size} bytes, at most ${moduleBytesMax}`);
  }
  const bytes = new Uint8Array(info.size);
  let at = 0;
  while (at < bytes.length) {
    const count = file.readSync(bytes.subarray(at));
    if (count === null) break;
    at += count;
  }
  return { bytes: bytes.subarray(0, at), stamp: stampOf(info) };
}

/** Blanking the types out keeps every line and column; enums and the like need a real translation. */
function stripTypes(source: string, path: string): string {
  const strip = nodeModule.stripTypeScriptTypes as typeof nodeModule.stripTypeScriptTypes | undefined;
  if (strip === undefined) throw new Error(`cannot import ${path}: this Deno reads no TypeScript from disk; use .js`);
  try {
    return strip(source);
  } catch {
    try {
      // The declaration of newer Node versions has lost this mode; Deno has it.
      return strip(source, { mode: "transform" as "strip" });
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Error(message.replaceAll("file:///stripTypeScriptTypes.ts", basename(path)));
    }
  }
}

function isTypeScript(path: string): boolean {
  return path.endsWith(".ts") || path.endsWith(".mts");
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (!way.startsWith("..") && !isAbsolute(way));
}

function realPathOrSelf(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}
