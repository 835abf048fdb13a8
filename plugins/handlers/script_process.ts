/**
 * One handler process as the engine holds it: started, shaken hands with, kept awake by beats, and killed without
 * appeal. It knows frames and exit codes; what an attempt is, script.ts knows.
 */

import type { ScriptSpec } from "../../core/plugin.ts";
import { createFrameDecoder, createFrameWriter, type SendMessage, writeAll } from "./frame.ts";
import type { EngineMessage, HostMessage, HostSetup } from "./script_protocol.ts";

/** How a process came to its end. */
export interface ProcessEnd {
  /** Whether it ever shook hands. */
  readonly started: boolean;
  readonly reason: string;
  /** It ended itself because it had lost us. */
  readonly engineLost: boolean;
}

/** A running handler process. */
export interface ScriptProcess {
  readonly pid: number | undefined;
  readonly send: SendMessage<EngineMessage>;
  /** SIGKILL; returns at once. */
  kill(): void;
  /** Resolves when the process is gone from the system; never rejects. */
  readonly ended: Promise<ProcessEnd>;
}

/** Heap of one process under `deno run`; a compiled binary takes no V8 flags, there `memoryBytesMax` alone stands guard. */
export const heapMiBMax = 256;
const memoryBytesMax = 512 * 1024 * 1024;
const beatEveryMs = 5_000;
/** How long a process that has closed its channel may take to end. */
const exitGraceMs = 1_000;
const stderrCharsMax = 16 * 1024;

/**
 * Starts a process for a route's handler.
 *
 * @param spec the route's
 * @param link.childLockFile held shared by the process for as long as it lives
 * @param link.onMessage called for every message after the handshake
 */
export function startScriptProcess(
  spec: ScriptSpec,
  link: { childLockFile?: string; onMessage: (message: HostMessage) => void },
): ScriptProcess {
  const waiting: Parameters<SendMessage<EngineMessage>>[] = [];
  let write: SendMessage<EngineMessage> | undefined;
  let child: Deno.ChildProcess | undefined;
  let killed = false;
  let dying: { reason: string; engineLost: boolean } | undefined;

  return {
    get pid() {
      return child?.pid;
    },
    send(message, bytes) {
      if (write === undefined) waiting.push([message, bytes]);
      else write(message, bytes);
    },
    kill,
    ended: live(),
  };

  function kill(): void {
    killed = true;
    try {
      child?.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }

  async function live(): Promise<ProcessEnd> {
    let started = false;
    let folder: string | undefined;
    try {
      folder = await Deno.makeTempDir({ prefix: "weir-" });
      const socket = `${folder}/s`;
      const token = crypto.randomUUID();
      using listener = Deno.listen({ transport: "unix", path: socket });
      if (killed) return { started, reason: "killed before it started", engineLost: false };
      child = spawn(spec, folder);
      const stderr = drain(child.stderr);
      const status = child.status.finally(() => closeQuietly(listener));
      await give(child.stdin, describeSetup(spec, { socket, token, childLockFile: link.childLockFile }));
      const conn = await listener.accept().catch(() => undefined);
      closeQuietly(listener);
      // From here on nothing of it is on disk, so that a kill of the engine leaves nothing behind.
      await Deno.remove(folder, { recursive: true });
      if (conn !== undefined) {
        const isOver = await talk(conn, token, () => started = true);
        // Whoever closes the channel is on its way out and may still say why; whoever breaks it is not heard.
        const impatience = setTimeout(kill, isOver ? exitGraceMs : 0);
        await status;
        clearTimeout(impatience);
      }
      return { started, ...explain(await status, await stderr) };
    } catch (thrown) {
      kill();
      await child?.status;
      return { started, reason: thrown instanceof Error ? thrown.message : String(thrown), engineLost: false };
    } finally {
      if (folder !== undefined) await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  }

  /** Reads until the channel closes (true) or something malformed arrives (false). */
  async function talk(conn: Deno.Conn, token: string, onHello: () => void): Promise<boolean> {
    const decode = createFrameDecoder<HostMessage>();
    const chunk = new Uint8Array(256 * 1024);
    const beat = setInterval(() => write?.({ kind: "beat" }), beatEveryMs);
    try {
      for (let count; (count = await conn.read(chunk)) !== null;) {
        for (const message of decode(chunk.subarray(0, count)).flatMap(({ messages }) => messages)) {
          if (write === undefined) {
            if (message.kind !== "hello" || message.token !== token) return false;
            onHello();
            write = createFrameWriter((frame) => writeAll(conn, frame));
            for (const each of waiting.splice(0)) write(...each);
          } else if (message.kind === "dying") dying = message;
          else link.onMessage(message);
        }
      }
      return true;
    } catch {
      // A reset connection or a broken frame.
      return false;
    } finally {
      clearInterval(beat);
      conn.close();
    }
  }

  function explain(status: Deno.CommandStatus, stderr: string): { reason: string; engineLost: boolean } {
    if (dying !== undefined) return dying;
    if (/JavaScript out of memory|Reached heap limit/.test(stderr)) {
      return { reason: `ran out of memory: its heap is limited to ${heapMiBMax} MiB`, engineLost: false };
    }
    const lines = stderr.trim().split("\n");
    const last = lines.find((line) => line.startsWith("error:")) ?? lines.at(-1)!;
    const how = status.signal === null ? `ended with exit code ${status.code}` : `was killed by ${status.signal}`;
    return { reason: `its process ${how}${last === "" ? "" : `: ${last}`}`, engineLost: false };
  }
}

function describeSetup(
  spec: ScriptSpec,
  link: { socket: string; token: string; childLockFile?: string },
): HostSetup {
  return {
    ...link,
    route: spec.route,
    file: spec.file,
    permissions: spec.permissions,
    memoryBytesMax,
    unguardedImports: mayRunUnguarded(),
  };
}

/** Below Deno 2.8.2 there is no import guard; only whoever asks for it by name runs scripts without. */
function mayRunUnguarded(): boolean {
  const [major, minor, patch] = Deno.version.deno.split(".").map((part) => parseInt(part)) as [number, number, number];
  const hasHooks = major > 2 || (major === 2 && (minor > 8 || (minor === 8 && patch >= 2)));
  return !hasHooks && Deno.env.get("WEIR_UNGUARDED_IMPORTS") === "1";
}

function spawn(spec: ScriptSpec, socketFolder: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: Deno.build.standalone ? ["__script_host"] : denoArgs(spec, socketFolder),
    // In a group of its own, so that Ctrl-C reaches the engine and not the handlers that it lets finish.
    detached: true,
    clearEnv: true,
    env: { ...runtimeEnv(), ...spec.env },
    stdin: "piped",
    // Nothing that matters goes through it, so a flood costs nothing.
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

function denoArgs(spec: ScriptSpec, socketFolder: string): string[] {
  const { net, env } = spec.permissions;
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--cached-only",
    "--unstable-worker-options",
    `--v8-flags=--max-old-space-size=${heapMiBMax}`,
    "--allow-read",
    `--allow-write=${socketFolder}`,
    `--allow-net=${[`unix:${socketFolder}/s`, ...net].join(",")}`,
    ...(env.length > 0 ? [`--allow-env=${env.join(",")}`] : []),
    new URL("./script_host.ts", import.meta.url).href,
  ];
}

/** The few variables that Deno itself needs to find its cache. */
function runtimeEnv(): Record<string, string> {
  const names = ["HOME", "XDG_CACHE_HOME", "DENO_DIR", "TMPDIR"];
  const found = names.map((name) => [name, Deno.env.get(name)]);
  return Object.fromEntries([...found.filter(([, value]) => value !== undefined), ["NO_COLOR", "1"]]);
}

async function give(stdin: WritableStream<Uint8Array>, setup: HostSetup): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(JSON.stringify(setup)));
    await writer.close();
  } catch {
    // It died before it read; its exit tells why.
  }
}

/** Reads stderr to its end, so that a flood never blocks, and keeps only its tail. */
async function drain(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let kept = "";
  for await (const chunk of stderr) kept = (kept + decoder.decode(chunk, { stream: true })).slice(-stderrCharsMax);
  return kept;
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is closed already.
  }
}
