/**
 * How much room a disk has left. A disk that is full makes SQLite speak of I/O errors, as if the hardware were broken.
 */

import { statfsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";

/** With less than this SQLite cannot even open a log: its -shm begins with 32 KiB. */
const fullBytes = 65_536;

/** What whoever is not root may still write. */
export async function readFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The same at once, for programs that do nothing beside; undefined for a disk that cannot be asked. */
export function readFreeBytesNow(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/**
 * Says that the disk of a file is full, when it is.
 *
 * @param isSaid whether SQLite has said so: then it had no room for what it wanted, however much is left
 */
export function describeFullDisk(file: string, isSaid = false): string | undefined {
  const free = readFreeBytesNow(dirname(file));
  if (free === undefined) return isSaid ? "the disk is full" : undefined;
  return isSaid || free < fullBytes ? `the disk is full (${free} bytes free)` : undefined;
}
