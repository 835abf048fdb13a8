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

/**
 * Says that the disk of a file is full, when it is.
 *
 * @param isSaid whether SQLite has said so: then it had no room for what it wanted, however much is left
 */
export function describeFullDisk(file: string, isSaid = false): string | undefined {
  let free: number;
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    free = bavail * bsize;
  } catch {
    return isSaid ? "the disk is full" : undefined; // a disk that cannot be asked
  }
  return isSaid || free < fullBytes ? `the disk is full (${free} bytes free)` : undefined;
}
