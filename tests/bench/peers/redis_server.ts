/**
 * Redis with an append-only file, on loopback.
 */

import { findFreePort, findProgram, type ServerProcess, startServer } from "./server_process.ts";

/** When Redis syncs its file: about once a second after it has answered, or before every answer. */
export type FsyncPolicy = "everysec" | "always";

/** Where the server is. */
export function findRedis(): string {
  return findProgram("redis-server", { debianPackage: "redis-server" });
}

/** Starts it on an empty `folder`; returns the port as well. */
export async function startRedis(folder: string, appendfsync: FsyncPolicy): Promise<ServerProcess & { port: number }> {
  const port = findFreePort();
  const settings = {
    bind: "127.0.0.1",
    port: String(port),
    dir: folder,
    appendonly: "yes",
    appendfsync,
    save: "", // the append-only file is what is promised; snapshots beside it would only cost
  };
  const server = await startServer({
    program: findRedis(),
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    folder,
    ready: /Ready to accept connections/,
    stopSignal: "SIGTERM",
  });
  return { ...server, port };
}
