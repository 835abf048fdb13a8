/**
 * `weir init`: a working project in a folder. Nothing that is there already is overwritten.
 */

import { dirname, join } from "node:path";
import { Failure } from "./failure.ts";
import { paint, print } from "./print.ts";
import { projectFiles, type TemplateFile } from "./template/project.ts";

/** Writes the project. Exit code 1 when one of its files is there already. */
export async function init(dir: string): Promise<number> {
  const files = projectFiles();
  const there: string[] = [];
  for (const { path } of files) if (await exists(join(dir, path))) there.push(path);
  if (there.length > 0) {
    throw new Failure(
      `nothing was written: ${dir} already has ${there.join(", ")}; choose another folder, or remove them`,
    );
  }
  await writeFiles(dir, files);
  print(`A project stands in ${paint.bold(dir)}:`);
  for (const { path } of files) print(`  ${path}`);
  print(
    `\nNext:\n${dir === "." ? "" : `  cd ${dir}\n`}  weir dev\n  weir send hello     ${
      paint.dim("# in another terminal")
    }`,
  );
  return 0;
}

/** Writes files below a folder and makes the folders they need. */
export async function writeFiles(dir: string, files: readonly TemplateFile[]): Promise<void> {
  for (const { path, text, secret } of files) {
    const file = join(dir, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text, { mode: secret ? 0o600 : 0o644 });
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await Deno.lstat(file);
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}
