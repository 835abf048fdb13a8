/**
 * Stops what makes rows before the disk is full: new events, redeliveries and replays, while there is still room to write
 * down how the work that was taken ends. It looks at the free space every few seconds, after so many bytes, and whenever the log could not be written.
 */

import { dirname } from "node:path";
import type { Clock } from "../domain/clock.ts";
import { describeError } from "../domain/error.ts";
import { readFreeBytes } from "../store/free_space.ts";
import { DiskFull, StoreUnavailable } from "../store/store.ts";
import type { Observer } from "./observer.ts";

/** Free space that is kept unless `storage.min_free` says otherwise; twice the WAL where that is more. */
export const freeBytesMin = 268_435_456;

/** How often to look. */
export const diskCheckMs = 2_000;

/** After so many bytes of bodies it is looked at once more; after a quarter of what is to stay free where that is less. */
const uncheckedBytesMax = 33_554_432;

/** A closed log opens again when there is so much more than it needs, so that it does not open and close all the time. */
const reopenFactor = 1.1;

/** A WAL of this size means that something has been reading an old state of the log for long. */
export const walBytesWarned = 268_435_456;

/** Nothing that makes rows is taken now. */
export class DiskNearlyFull extends DiskFull {}

/** Options of {@link createDiskGuard}. */
export interface DiskGuardOptions {
  /** The log's file; undefined for a remote log, whose disk is its server's business. */
  readonly file: string | undefined;
  /** Asked for at every look, so that a reload counts. */
  readonly freeBytesMin: () => number;
  readonly clock: Clock;
  readonly observe: Observer;
  /** Free bytes of the disk that holds a folder. Default: the system's answer. */
  readonly readFree?: (folder: string) => Promise<number>;
}

/** What watches the disk. */
export interface DiskGuard {
  /** Why nothing is taken now, for the operator; undefined while there is room. */
  readonly full: string | undefined;
  /** Looks now. Never rejects. */
  check(): Promise<void>;
  /** Throws {@link DiskNearlyFull} while it is. */
  ensureRoom(): void;
  /**
   * The same write, which refuses while the disk is nearly full and has the disk looked at when it fails.
   *
   * @param bytesOf what of it takes room beside its rows
   */
  guard<Given extends unknown[], Answer>(
    write: (...given: Given) => Promise<Answer>,
    bytesOf?: (...given: Given) => number,
  ): (...given: Given) => Promise<Answer>;
  /** Looks from now on. */
  start(): void;
  stop(): Promise<void>;
}

/** Makes a guard; until it has looked, it believes that there is room. */
export function createDiskGuard(options: DiskGuardOptions): DiskGuard {
  const { file, clock, observe, readFree = readFreeBytes } = options;
  let full: string | undefined;
  let blind = false;
  let longWal = false;
  let unchecked = 0;
  let checking: Promise<void> | undefined;
  let cancelTimer = (): void => {};
  let open = false;

  function say(level: "info" | "warn" | "error", message: string): void {
    observe({ kind: "engine", at: clock.now(), level, message });
  }

  async function look(path: string): Promise<void> {
    unchecked = 0;
    try {
      const [free, wal] = await Promise.all([readFree(dirname(path)), sizeOf(`${path}-wal`)]);
      judgeSpace(free, Math.max(options.freeBytesMin(), 2 * wal));
      judgeWal(wal);
      blind = false;
    } catch (error) {
      if (!blind) say("warn", `cannot tell how full the log's disk is, so it is not watched: ${describeError(error)}`);
      blind = true;
      full = undefined;
    }
  }

  function judgeSpace(free: number, needed: number): void {
    const before = full;
    if (free >= (before === undefined ? needed : needed * reopenFactor)) full = undefined;
    else full = `the log's disk is nearly full: ${inMiB(free)} free, ${inMiB(needed)} needed`;
    if (before === undefined && full !== undefined) {
      say(
        "error",
        `${full}; new events, redeliveries and replays are answered 503 until there is more (weir events purge, or a larger disk)`,
      );
    } else if (before !== undefined && full === undefined) {
      say("info", `the log's disk has room again: ${inMiB(free)} free; new events are taken`);
    }
  }

  function judgeWal(wal: number): void {
    const before = longWal;
    longWal = wal >= walBytesWarned;
    if (!before && longWal) {
      say("warn", `the log's WAL has grown to ${inMiB(wal)}: a backup, or another program, has been reading for long`);
    } else if (before && !longWal) say("info", `the log's WAL is back to ${inMiB(wal)}`);
  }

  function check(): Promise<void> {
    if (file === undefined) return Promise.resolve();
    return checking ??= look(file).finally(() => checking = undefined);
  }

  function ensureRoom(): void {
    if (full !== undefined) throw new DiskNearlyFull(full);
  }

  function comeBack(): void {
    cancelTimer = clock.timer(diskCheckMs, () => void check().then(() => open && comeBack()));
  }

  return {
    get full() {
      return full;
    },
    check,
    ensureRoom,
    guard: (write, bytesOf = () => 0) => async (...given) => {
      ensureRoom();
      unchecked += bytesOf(...given);
      if (unchecked >= Math.min(uncheckedBytesMax, options.freeBytesMin() / 4)) void check();
      try {
        return await write(...given);
      } catch (error) {
        if (error instanceof StoreUnavailable) void check();
        throw error;
      }
    },
    start() {
      if (file === undefined) return;
      open = true;
      comeBack();
    },
    async stop() {
      open = false;
      cancelTimer();
      await checking;
    },
  };
}

/** Asking for the size opens nothing, so SQLite's locks stay. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function inMiB(bytes: number): string {
  return `${Math.floor(bytes / 1_048_576)} MiB`;
}
