/**
 * `weir backup`: a copy of the log that can be opened like it, made while the engine goes on.
 */

import { resolve } from "node:path";
import { connect, type EngineOptions } from "./client.ts";
import { print } from "./print.ts";
import { describeDuration } from "./wording.ts";

/** Copies the log into a file of the engine's machine that does not exist yet. */
export async function backup(file: string, options: EngineOptions): Promise<number> {
  const path = resolve(file);
  const { bytes, durationMs } = await (await connect(options)).backup(path);
  print(`${path}: ${bytes.toLocaleString("en")} bytes, whole, in ${describeDuration(durationMs)}`);
  return 0;
}
