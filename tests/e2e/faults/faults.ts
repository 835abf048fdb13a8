/**
 * The faults of a machine, on command, for one engine: a shim is compiled and preloaded under it, and told by a file
 * what is to fail from now on.
 */

import { fileURLToPath } from "node:url";
import { compileLibrary } from "../../support/compile_library.ts";

/** `errno` of Linux. */
export const errno = { EIO: 5, ENOSPC: 28 } as const;

/** What is to fail. */
export interface FaultOrder {
  readonly operation: "write" | "sync";
  /** End of the file's path. */
  readonly suffix: "-wal" | ".db" | "-shm";
  readonly error: keyof typeof errno;
  /** Calls that still succeed. */
  readonly after?: number;
  /** Calls that fail then. Default: all. */
  readonly times?: number;
}

/** The faults of one engine, or of several in turn. */
export interface Faults {
  /** What the engine must find in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** From now on this fails, until the next order. */
  order(order: FaultOrder): Promise<void>;
  /** Nothing fails any more. */
  clear(): Promise<void>;
  /** How often something has failed. */
  failures(): Promise<number>;
  /** Sets the engine's wall clock so far ahead of the machine's; its monotonic clock does not notice. */
  shiftClock(ms: number): Promise<void>;
}

/** The compiled shim in `folder`, or why it cannot be had here. */
export function buildFaultShim(folder: string): Promise<{ library: string } | { reason: string }> {
  return compileLibrary(fileURLToPath(new URL("./fault.c", import.meta.url)), `${folder}/fault.so`);
}

/**
 * Prepares faults for an engine.
 *
 * @param options.folder the real path of where its log is
 * @param options.control a folder for the shim's own files
 */
export async function createFaults(
  options: { library: string; folder: string; control: string },
): Promise<Faults> {
  const order = `${options.control}/order`;
  const clock = `${options.control}/clock`;
  const write = async (line: string): Promise<void> => {
    await Deno.writeTextFile(`${order}.new`, line);
    await Deno.rename(`${order}.new`, order);
  };
  await write("");
  await Deno.writeFile(clock, new Uint8Array(8));
  return {
    environment: {
      LD_PRELOAD: options.library,
      FAULT_FOLDER: options.folder,
      FAULT_ORDER: order,
      FAULT_CLOCK: clock,
    },
    order: ({ operation, suffix, error, after = 0, times = -1 }) =>
      write(`${operation} ${suffix} ${errno[error]} ${after} ${times}\n`),
    clear: () => write(""),
    async failures() {
      const done = await Deno.readTextFile(`${order}.done`).catch(() => "");
      return done.split("\n").length - 1;
    },
    async shiftClock(ms) {
      // In place: the engine has the file mapped, and a truncated one would end it.
      using file = await Deno.open(clock, { write: true });
      await file.write(new Uint8Array(new BigInt64Array([BigInt(ms)]).buffer));
    },
  };
}
