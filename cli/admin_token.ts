/**
 * The token of the admin API as the command line finds it: WEIR_ADMIN_TOKEN, else a file beside routes.yaml that only
 * its owner can read. `serve` makes the file once and keeps it across restarts.
 */

import { dirname, join, resolve } from "node:path";
import { Failure } from "./failure.ts";

/** The file's name; `weir init` writes it into .gitignore. */
export const adminTokenFile = ".weir-admin-token";

/** Shortest token that is believed, in characters: 32 random bytes have 43. */
const tokenLengthMin = 32;

/** Where the file is: beside routes.yaml. */
export function adminTokenPath(config: string): string {
  return join(dirname(resolve(config)), adminTokenFile);
}

/**
 * The token, if there is one.
 *
 * @param config path of routes.yaml
 */
export async function findAdminToken(config: string): Promise<string | undefined> {
  const given = Deno.env.get("WEIR_ADMIN_TOKEN");
  if (given) return checkToken(given, "WEIR_ADMIN_TOKEN", "set a longer one without spaces; `weir secret` makes one");
  const file = adminTokenPath(config);
  try {
    const remedy = "remove the file and start the engine again, it makes a new one";
    return checkToken((await Deno.readTextFile(file)).trim(), file, remedy);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    if (thrown instanceof Deno.errors.PermissionDenied) {
      throw new Failure(`cannot read the admin token in ${file}: it belongs to somebody else; run as its owner`);
    }
    throw thrown;
  }
}

/** The token for an engine that starts: the one that is there, else a new one in a file of mode 600. */
export async function keepAdminToken(config: string): Promise<string> {
  const found = await findAdminToken(config);
  if (found !== undefined) return found;
  const file = adminTokenPath(config);
  const token = randomText(32);
  // Written whole and only then given its name: a kill at any line leaves no file with half a token.
  const draft = `${file}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(draft, `${token}\n`, { mode: 0o600, createNew: true });
  } catch (thrown) {
    const why = (thrown as Error).message;
    throw new Failure(
      `cannot write the admin token beside ${config}: ${why}; make the folder writable, or set WEIR_ADMIN_TOKEN`,
    );
  }
  await nameOnce(draft, file);
  const named = await findAdminToken(config);
  if (named === undefined) {
    throw new Failure(
      `cannot keep the admin token in ${file}: it is there and cannot be read; remove it, if it is a link`,
    );
  }
  return named;
}

/** Gives the draft its name unless another engine, which starts at the same time, was first: then its token is everyone's. */
async function nameOnce(draft: string, file: string): Promise<void> {
  try {
    await Deno.link(draft, file);
  } catch (thrown) {
    // A file system without links has no way to be second.
    if (!(thrown instanceof Deno.errors.AlreadyExists)) return await Deno.rename(draft, file);
  }
  await Deno.remove(draft);
}

/** Random bytes as base64url text. */
function randomText(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ alphabet: "base64url", omitPadding: true });
}

function checkToken(token: string, from: string, remedy: string): string {
  if (token.length >= tokenLengthMin && /^[\x21-\x7e]+$/.test(token)) return token;
  const wanted = `expected at least ${tokenLengthMin} printable characters without spaces`;
  throw new Failure(`the admin token in ${from} cannot be used: ${wanted}; ${remedy}`);
}
