/** A project folder on the disk: files by their relative names, gone when the test ends. */

import { dirname, join } from "node:path";

/** Writes files into a fresh folder. */
export async function createProject(
  files: Readonly<Record<string, string>>,
): Promise<{ path(name: string): string } & AsyncDisposable> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
    await Deno.writeTextFile(join(folder, name), text);
  }
  return {
    path: (name) => join(folder, name),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
