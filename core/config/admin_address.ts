/**
 * Where an engine listens for its operator, read from a routes.yaml that need not be valid otherwise: whoever asks a
 * running engine has neither its environment nor, while the file is being changed, a file without mistakes.
 */

import { dirname, resolve } from "node:path";
import { type Address, defaultAdmin } from "../domain/config.ts";
import { parseAddress } from "./address.ts";
import { readYaml } from "./document.ts";
import { createLookup, substitute } from "./environment.ts";
import { readText } from "./load.ts";
import { valueAt } from "./path.ts";

/**
 * Reads `server.admin` and nothing else of the file.
 *
 * @param file the path of a routes.yaml
 * @param environment instead of the process's own
 * @returns undefined when the file does not tell
 */
export async function readAdminAddress(
  file: string,
  environment?: Readonly<Record<string, string>>,
): Promise<Address | undefined> {
  const absolute = resolve(file);
  const read = await readText(absolute);
  const yaml = read.ok && read.text !== undefined ? readYaml(read.text) : undefined;
  if (!yaml?.ok) return undefined;
  const { tree } = yaml.document;
  const server = valueAt(tree, ["server"]) ?? {};
  if (!isMapping(tree) || !isMapping(server)) return undefined;
  const written = valueAt(server, ["admin"]);
  if (written === undefined) return defaultAdmin;
  // A .env that is the engine's alone is as good as none.
  const dotEnv = await readText(resolve(dirname(absolute), ".env"));
  const { tree: value, faults } = substitute(written, createLookup(dotEnv.ok ? dotEnv.text : undefined, environment));
  return typeof value === "string" && faults.length === 0 ? parseAddress(value) : undefined;
}

function isMapping(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
