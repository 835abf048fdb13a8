/**
 * The child process in which a route's handler runs. Its main thread is ours alone: it keeps the control channel, lends
 * the sandboxed worker its modules, and ends the process when the engine is gone, whatever the worker is doing.
 */

import process from "node:process";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { resultLengthMax } from "../../core/plugin.ts";
import { createFrameDecoder, createFrameWriter, type Frame, type SendMessage, writeAll } from "./frame.ts";
import { createRing, createRingReader } from "./report_ring.ts";
import { createModuleSources, type ModuleSources } from "./module_source.ts";
import {
  attemptPlaces,
  type EngineMessage,
  type HostMessage,
  type HostSetup,
  outputCharsMax,
  type Verdict,
  type WorkerCommand,
  type WorkerOrders,
  type WorkerReport,
  type WorkerSetup,
} from "./script_protocol.ts";

/** Without a beat for this long the engine is taken for dead or frozen. */
export const beatLostMs = 20_000;

const watchEveryMs = 500;

/** How soon the host looks for reports of a worker that may have no time to wake it. */
const lookAfterMs = 50;
type Send = SendMessage<HostMessage>;

/** Serves one engine until it goes away. Never returns: the process ends here. */
export async function runScriptHost(): Promise<never> {
  // A service manager or a terminal signals the whole group; when this process ends is the engine's decision alone.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  const setup = await readSetup();
  const conn = await Deno.connect({ transport: "unix", path: setup.socket });
  const send: Send = createFrameWriter((chunk) => writeAll(conn, chunk));
  const worker = startWorker(setup, send);
  const engine = listenTo(conn, worker.order);
  watch(setup, engine, { send, collect: worker.collect });
  if (setup.childLockFile !== undefined) await holdLock(setup.childLockFile);
  send({ kind: "hello", token: setup.token });
  return await engine.lost;
}

/** The end, at once: no exit handler runs and no busy worker can hold it up. */
function die(): never {
  process.kill(process.pid, "SIGKILL");
  return Deno.exit(1);
}

async function readSetup(): Promise<HostSetup> {
  const text = await new Response(Deno.stdin.readable).text();
  return JSON.parse(text) as HostSetup;
}

/** As long as this process lives, no other engine may take its attempts for abandoned. Never given back: death does. */
async function holdLock(path: string): Promise<void> {
  const file = await Deno.open(path, { read: true });
  await file.lock(false);
  held.push(file);
}

/** Keeps the lock's file from being collected and thereby closed. */
const held: Deno.FsFile[] = [];

/** Hands what the engine asks for on to the worker. */
type Order = (frame: Frame<EngineMessage>) => void;

interface EngineLink {
  readonly lost: Promise<never>;
  /** When the engine was last heard, on the monotonic clock. */
  heardAt(): number;
}

function listenTo(conn: Deno.Conn, order: Order): EngineLink {
  let heardAt = performance.now();
  const listen = async (): Promise<never> => {
    const decode = createFrameDecoder<EngineMessage>();
    const chunk = new Uint8Array(256 * 1024);
    try {
      for (let count; (count = await conn.read(chunk)) !== null;) {
        heardAt = performance.now();
        for (const frame of decode(chunk.subarray(0, count))) order(frame);
      }
    } catch {
      // Reset or malformed, it ends the same way: nothing here outlives its engine.
    }
    return die();
  };
  return { lost: listen(), heardAt: () => heardAt };
}

/** Ends the process when the engine has fallen silent or the handler has taken too much memory. */
function watch(setup: HostSetup, engine: EngineLink, { send, collect }: { send: Send; collect: () => void }): void {
  let silentMs = 0;
  let heardBefore = engine.heardAt();
  setInterval(() => {
    // Counted in ticks, not in wall time: a machine that slept has not been silent.
    silentMs = engine.heardAt() === heardBefore ? silentMs + watchEveryMs : 0;
    heardBefore = engine.heardAt();
    if (silentMs >= beatLostMs) return end(`no sign of the engine for ${beatLostMs / 1000}s`, true);
    collect();
    const bytes = Deno.memoryUsage().rss;
    if (bytes <= setup.memoryBytesMax) return;
    end(
      `ran out of memory: its process held ${toMiB(bytes)} MiB, at most ${toMiB(setup.memoryBytesMax)} are allowed`,
      false,
    );
  }, watchEveryMs);

  function end(reason: string, engineLost: boolean): void {
    send({ kind: "dying", reason, engineLost });
    // The frame leaves in the next turns of the loop; the engine may be too far gone to read it.
    setTimeout(die, 50);
  }
}

/** The sandbox, as the host holds it. */
interface WorkerLink {
  readonly order: Order;
  /** Takes what the worker has reported so far, whether it came to wake us or not. */
  readonly collect: () => void;
}

function startWorker(setup: HostSetup, send: Send): WorkerLink {
  const sources = createModuleSources({ file: setup.file, read: setup.permissions.read });
  const commands = new MessageChannel();
  const ring = createRing();
  const readRing = createRingReader(ring);
  const modules = new MessageChannel();
  const bell = new SharedArrayBuffer(4);
  const begun = new Uint8Array(new SharedArrayBuffer(attemptPlaces));
  const nonces = new Map<number, string>();
  const ids = new Map<string, number>();
  /** Where the worker says that it has begun, of each attempt that has not ended. */
  const places = new Map<number, number>();
  const freePlaces = Array.from(begun, (_, place) => place);
  let toldCount = 0;
  let looking = false;

  const worker = new Worker(new URL("./script_worker.ts", import.meta.url), {
    type: "module",
    name: "handler",
    deno: { permissions: workerPermissions(setup) },
  } as WorkerOptions);
  // The worker catches its own errors; one that still arrives here has ended it.
  worker.onerror = (event) => {
    event.preventDefault();
    end(event.message);
  };
  modules.port1.onmessage = ({ data }) => {
    modules.port1.postMessage(sources.read(String(data.url), data.type));
    Atomics.store(new Int32Array(bell), 0, 1);
    Atomics.notify(new Int32Array(bell), 0);
  };
  commands.port1.onmessage = ({ data }) => {
    collect();
    if (data !== null) believe(data as WorkerReport);
    if (ids.size > 0) lookSoon();
  };
  const folderUrl = new URL(".", pathToFileURL(setup.file)).href;
  const fileUrl = pathToFileURL(setup.file).href;
  const guarded = !setup.unguardedImports;
  if (!guarded) sources.read(fileUrl, undefined);
  const workerSetup: WorkerSetup = {
    port: commands.port2,
    ring,
    begun: begun.buffer,
    sources: { port: modules.port2, bell },
    route: setup.route,
    fileUrl,
    folderUrl,
    guarded,
  };
  worker.postMessage(workerSetup, [commands.port2, modules.port2]);

  function end(reason: string): void {
    send({ kind: "dying", reason, engineLost: false });
    setTimeout(die, 50);
  }

  function collect(): void {
    try {
      for (const text of readRing()) believe(JSON.parse(text) as WorkerReport);
    } catch {
      end("its handler tampered with the memory of its worker");
    }
  }

  /** A handler that spins, or is about to die, keeps the worker from waking us for those that have ended before. */
  function lookSoon(): void {
    if (looking) return;
    looking = true;
    setTimeout(() => {
      looking = false;
      collect();
    }, lookAfterMs);
  }

  function believe(report: WorkerReport): void {
    if (report.kind === "broken") return send({ kind: "broken" });
    const id = ids.get(report.nonce);
    if (id === undefined) return;
    tellLoaded(sources);
    if (report.kind === "doomed") return send({ kind: "doomed", id, reason: clip(report.reason, 16_384) });
    if (report.kind === "output") return send({ kind: "output", id, output: clip(report.output, outputCharsMax * 2) });
    ids.delete(report.nonce);
    nonces.delete(id);
    freePlaces.push(places.get(id)!);
    places.delete(id);
    send({ kind: "done", id, ...soundVerdict(report) });
  }

  function hasBegun(id: number): boolean {
    return Atomics.load(begun, places.get(id)!) === 1;
  }

  function tellLoaded(modules: ModuleSources): void {
    if (modules.count() === toldCount) return;
    toldCount = modules.count();
    send({ kind: "loaded", ...modules.loaded() });
  }

  return {
    order({ messages, bytes }) {
      const orders: WorkerOrders = { commands: messages.flatMap(commandFor), bytes };
      if (orders.commands.length === 0) return;
      commands.port1.postMessage(orders, [bytes.buffer]);
      lookSoon();
    },
    collect,
  };

  function commandFor(message: EngineMessage): WorkerCommand[] {
    if (message.kind === "run") {
      const { kind, id, headBytes, rawBytes, itemBytes } = message;
      const nonce = crypto.randomUUID();
      nonces.set(id, nonce);
      ids.set(nonce, id);
      const place = freePlaces.pop()!;
      places.set(id, place);
      Atomics.store(begun, place, 0);
      return [{ kind, nonce, place, headBytes, rawBytes, itemBytes }];
    }
    // Before a kill there is always an abort: now is the time to save what has ended.
    if (message.kind === "abort") {
      collect();
      send({ kind: "begun", ids: [...places.keys()].filter(hasBegun) });
    }
    const nonce = message.kind === "abort" ? nonces.get(message.id) : undefined;
    return message.kind === "abort" && nonce !== undefined ? [{ kind: "abort", nonce, reason: message.reason }] : [];
  }
}

/** Only what a verdict may hold, cut to its limits, whatever the sandbox sent. */
function soundVerdict(report: Verdict): Verdict {
  const outcome = report.outcome === "succeeded" || report.outcome === "rejected" ? report.outcome : "failed";
  return {
    outcome,
    text: typeof report.text === "string" ? clip(report.text, resultLengthMax) : undefined,
    retryAfterMs: Number.isFinite(report.retryAfterMs) ? report.retryAfterMs : undefined,
    output: clip(String(report.output), outputCharsMax * 2),
  };
}

function workerPermissions(setup: HostSetup): unknown {
  const { net, env } = setup.permissions;
  const read = setup.unguardedImports ? [...setup.permissions.read, dirname(setup.file)] : setup.permissions.read;
  return {
    net: net.length > 0 ? net : false,
    env: env.length > 0 ? env : false,
    read: read.length > 0 ? read : false,
    write: false,
    run: false,
    ffi: false,
    sys: false,
    import: false,
  };
}

function clip(text: string, charsMax: number): string {
  return text.length > charsMax ? text.slice(0, charsMax) : text;
}

function toMiB(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

if (import.meta.main) await runScriptHost();
