/**
 * An engine as a process: `serve`, `dev` and the demo all run through here. It owns the signals, the admin token, the
 * reload, and the order in which things start and stop.
 */

import { ConfigError, createWeir, type Weir } from "../core/mod.ts";
import { standard } from "../plugins/mod.ts";
import { keepAdminToken } from "./admin_token.ts";
import { localUrl } from "./client.ts";
import type { Log } from "./log.ts";
import { flushLines } from "./print.ts";
import { printIssues } from "./project.ts";

/** An engine that listens. */
export interface RunningEngine {
  readonly weir: Weir;
  readonly adminToken: string;
  readonly ingestUrl: string;
  readonly adminUrl: string;
  /** Reads routes.yaml again; what came of it is in the log. */
  reload(): Promise<void>;
  /** Asks the engine to stop, like the first SIGTERM. */
  stop(): void;
}

/** How to run it. */
export interface EngineProcessOptions {
  /** Path of routes.yaml. */
  readonly config: string;
  readonly log: Log;
  /** Called once it listens. What it returns is called before the engine stops. */
  running?(engine: RunningEngine): void | (() => void | Promise<void>);
}

/** Exit codes of a process that a second signal ends at once. */
const signalExitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** EX_TEMPFAIL: the disk has failed, and a service manager should start the engine anew. */
const logFailedExitCode = 75;

/**
 * Runs an engine until a signal ends it: the first SIGINT or SIGTERM stops it gracefully, the second at once. SIGHUP
 * reloads.
 *
 * @returns the exit code
 */
export async function runEngine(options: EngineProcessOptions): Promise<number> {
  const { log } = options;
  const stopping = Promise.withResolvers<void>();
  let engine: RunningEngine | undefined;
  let asked = false;
  const stop = () => {
    asked = true;
    stopping.resolve();
  };
  const forget = onSignals({
    stop: (signal) => {
      // Before it runs there is nothing to wind up, and whoever asks twice does not want to wait.
      if (asked || engine === undefined) Deno.exit(signalExitCodes[signal]);
      log.note("info", "stopping: what is running may finish; once more to stop at once");
      stop();
    },
    reload: () => void engine?.reload(),
  });
  try {
    const adminToken = await keepAdminToken(options.config);
    const weir = await createWeir({ ...standard(), config: options.config, adminToken });
    const unobserve = weir.observe(log.observe);
    try {
      // The ports first: an engine that cannot have them must not have run anything. Until the start they answer 503.
      const on = await weir.listen();
      await weir.start();
      engine = {
        weir,
        adminToken,
        ingestUrl: localUrl(on.ingest),
        adminUrl: localUrl(on.admin),
        reload: () => reload(weir),
        stop,
      };
      log.note("info", `listening: ingest http://${text(on.ingest)}, admin http://${text(on.admin)}`);
      const end = options.running?.(engine);
      const failed = await Promise.race([stopping.promise, weir.failed]);
      await end?.();
      if (failed !== undefined) {
        // What was acknowledged is on the disk; what runs now cannot be recorded any more and will be repeated.
        await weir.stop({ graceMs: 0 });
        log.note("error", `stopped, because the log has failed: ${failed.message}; start the engine again`);
        return logFailedExitCode;
      }
    } finally {
      await weir.stop();
      unobserve();
    }
    log.note("info", "stopped");
    return 0;
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    printIssues(thrown.issues);
    return 1;
  } finally {
    forget();
    await flushLines();
  }
}

/** Reads the configuration again; the engine says what came of it, and here every issue is said. */
async function reload(weir: Weir): Promise<void> {
  try {
    const reloaded = await weir.reload();
    if (!reloaded.ok) printIssues(reloaded.issues);
  } catch {
    // Whatever it was, the engine has said it and goes on as it is: nobody waits for this promise, and a rejection would
    // end it.
  }
}

function text(address: { hostname: string; port: number }): string {
  return `${address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname}:${address.port}`;
}

/** Listens to the signals of an engine. Returns what stops listening. */
function onSignals(on: { stop(signal: "SIGINT" | "SIGTERM"): void; reload(): void }): () => void {
  const listeners: [Deno.Signal, () => void][] = [["SIGINT", () => on.stop("SIGINT")]];
  // Windows knows neither of these; there a service manager ends the process, which the engine survives.
  if (Deno.build.os !== "windows") {
    listeners.push(["SIGTERM", () => on.stop("SIGTERM")], ["SIGHUP", () => on.reload()]);
  }
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  };
}
