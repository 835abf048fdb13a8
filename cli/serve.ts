/**
 * `weir serve`: the engine of a project, until a signal stops it.
 */

import { runEngine } from "./engine_process.ts";
import { openLog } from "./log.ts";

/** Runs the engine. Returns the exit code. */
export async function serve(options: { config: string }): Promise<number> {
  return await runEngine({ config: options.config, log: openLog() });
}
