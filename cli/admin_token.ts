/**
 * The token of the admin API as the command line finds it: WEIR_ADMIN_TOKEN, else a file beside routes.yaml that only
 * its owner can read. `serve` makes the file once and keeps it across restarts.
 */

import { dirname, join, resolve } from "node:path";

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
  if (given) return given;
  const file = adminTokenPath(config);
  try {
    return checkToken((await Deno.readTextFile(file)).trim(), file);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

/** The token for an engine that starts: the one that is there, else a new one in a file of mode 600. */
export async function keepAdminToken(config: string): Promise<string> {
  const found = await findAdminToken(config);
  if (found !== undefined) return found;
  const file = adminTokenPath(config);
  const token = randomText(32);
  // Written whole and then renamed: a kill at any line leaves no file with half a token.
  const draft = `${file}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, `${token}\n`, { mode: 0o600, createNew: true });
  await Deno.rename(draft, file);
  return token;
}

/** Random bytes as base64url text. */
function randomText(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ alphabet: "base64url", omitPadding: true });
}

function checkToken(token: string, file: string): string {
  if (token.length >= tokenLengthMin) return token;
  throw new Error(
    `the admin token in ${file} is ${token.length} characters long, expected at least ${tokenLengthMin}: ` +
      "remove the file and start the engine again, it makes a new one",
  );
}
