/**
 * `weir dev`: the engine of a project while somebody works on it. The files of the configuration are watched and
 * reloaded, and everything that happens is shown as it happens.
 */

import { basename, dirname, join } from "node:path";
import { type EngineProcessOptions, runEngine, type RunningEngine } from "./engine_process.ts";
import { type Log, openLog } from "./log.ts";

/** Editors write a file in several steps; a reload waits until this long nothing happened. */
const quietMs = 100;

/** Runs the engine with reload and live tail. Returns the exit code. */
export async function dev(options: { config: string }): Promise<number> {
  return await runDev({ ...options, log: openLog({ readable: true }) });
}

/** The same for a command that brings a log and something of its own to do while the engine runs. */
export async function runDev(options: EngineProcessOptions): Promise<number> {
  return await runEngine({
    ...options,
    running: (engine) => {
      const unwatch = watchConfig(engine, options.log);
      const end = options.running?.(engine);
      return async () => {
        unwatch();
        await end?.();
      };
    },
  });
}

/** Reloads when a file of the configuration changed. Returns what ends the watching. */
function watchConfig({ weir, reload }: RunningEngine, log: Log): () => void {
  let watcher: Deno.FsWatcher | undefined;
  let quiet: ReturnType<typeof setTimeout> | undefined;
  let ended = false;

  const watch = async () => {
    try {
      // The folders, not the files: most editors put a new file in the place of the old one. Their real paths, because
      // that is what some systems report.
      const folders = new Map(weir.config.files.map((file) => [dirname(file), Deno.realPathSync(dirname(file))]));
      const files = new Set(weir.config.files.map((file) => join(folders.get(dirname(file))!, basename(file))));
      watcher = Deno.watchFs([...new Set(folders.values())], { recursive: false });
      for await (const event of watcher) {
        if (event.kind === "access" || !event.paths.some((path) => files.has(path))) continue;
        clearTimeout(quiet);
        quiet = setTimeout(reloadAndWatch, quietMs);
      }
    } catch (thrown) {
      log.note("warn", `changes are no longer watched: ${(thrown as Error).message}`);
    }
  };
  const reloadAndWatch = async () => {
    await reload();
    if (ended) return;
    // The new configuration may be made of other files.
    watcher?.close();
    void watch();
  };

  void watch();
  return () => {
    ended = true;
    clearTimeout(quiet);
    watcher?.close();
  };
}
