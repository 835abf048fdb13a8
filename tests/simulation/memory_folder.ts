/**
 * A folder for logs that need not survive: in memory where the system offers that, because a simulation commits often
 * and its crashes never reach below the database.
 */

/** A folder that is removed when it is disposed of. */
export interface MemoryFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes one. */
export async function makeMemoryFolder(): Promise<MemoryFolder> {
  const memory = await Deno.stat("/dev/shm").then(({ isDirectory }) => isDirectory, () => false);
  const path = await Deno.makeTempDir({ dir: memory ? "/dev/shm" : undefined, prefix: "weir-simulation-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
