/**
 * PostgreSQL as it comes, in a cluster of its own, on loopback.
 */

import { findFreePort, findProgram, type ServerProcess, startServer, type User } from "./server_process.ts";

/** How its clients reach it. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Where the programs are, and who may run them. */
export interface Postgres {
  readonly initdb: string;
  readonly server: string;
  /** PostgreSQL refuses to be run by root; Debian's package makes a user for it. */
  readonly user?: User;
}

/** Finds the programs: Debian leaves them out of PATH, in a folder by version. */
export function findPostgres(): Postgres {
  const options = { debianPackage: "postgresql", otherFolders: findVersionFolders("/usr/lib/postgresql") };
  return {
    initdb: findProgram("initdb", options),
    server: findProgram("postgres", options),
    ...(Deno.uid() === 0 && { user: findUser("postgres") }),
  };
}

/** Starts it on an empty `folder`. */
export async function startPostgres(folder: string): Promise<ServerProcess & { address: PostgresAddress }> {
  const { initdb, server, user } = findPostgres();
  const address = {
    host: "127.0.0.1",
    port: findFreePort(),
    user: "bench",
    password: crypto.randomUUID(), // whoever is also on this machine could run programs through an open superuser
    database: "postgres",
  };
  const passwordFile = `${folder}/password`;
  const dataFolder = `${folder}/data`;
  await Deno.writeTextFile(passwordFile, address.password);
  if (user !== undefined) { for (const path of [folder, passwordFile]) await Deno.chown(path, user.uid, user.gid); }
  const { success, stderr } = await new Deno.Command(initdb, {
    args: [
      `--pgdata=${dataFolder}`,
      `--username=${address.user}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
    ],
    cwd: folder,
    ...user,
  }).output();
  if (!success) throw new Error(`initdb failed: ${new TextDecoder().decode(stderr)}`);
  const process = await startServer({
    program: server,
    args: [
      "-D",
      dataFolder,
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      `port=${address.port}`,
      "-c",
      "unix_socket_directories=",
    ],
    folder,
    user,
    ready: /database system is ready to accept connections/,
    stopSignal: "SIGINT", // its fast shutdown: clients are not waited for
  });
  return { ...process, address };
}

/** Its folders by version, the newest first. */
function findVersionFolders(root: string): string[] {
  try {
    const versions = [...Deno.readDirSync(root)].map(({ name }) => name);
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${root}/${version}/bin`);
  } catch {
    return [];
  }
}

/** A user by its name; passwd(5): name, password, uid, gid. */
function findUser(name: string): User {
  const line = Deno.readTextFileSync("/etc/passwd").split("\n").find((each) => each.startsWith(`${name}:`));
  if (line === undefined) throw new RangeError(`PostgreSQL does not run as root, and there is no user ${name}`);
  const [, , uid, gid] = line.split(":").map(Number);
  return { uid: uid!, gid: gid! };
}
