/**
 * Disks after a power cut, made from a recording. What was synced is there; of what was not, each 512-byte sector of each
 * write is there or not, in any order, as if the cache had written what it liked.
 */

import type { Random } from "weir";

const sectorBytes = 512;

/** One thing that was asked of the disk. */
export interface Operation {
  /** Write, truncate, sync, delete. */
  readonly kind: "w" | "t" | "s" | "d";
  readonly path: string;
  /** Where a write begins, or the length after a truncation. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Reads what the recorder wrote. */
export function parseTrace(trace: Uint8Array): Operation[] {
  const view = new DataView(trace.buffer, trace.byteOffset, trace.byteLength);
  const operations: Operation[] = [];
  for (let at = 0; at < trace.length;) {
    const kind = String.fromCharCode(trace[at]!) as Operation["kind"];
    const pathLength = view.getUint16(at + 1, true);
    const offset = Number(view.getBigUint64(at + 3, true));
    const length = kind === "w" ? view.getUint32(at + 11, true) : 0;
    const path = new TextDecoder().decode(trace.subarray(at + 15, at + 15 + pathLength));
    const from = at + 15 + pathLength;
    operations.push({ kind, path, offset, bytes: trace.subarray(from, from + length) });
    at = from + length;
  }
  return operations;
}

/** A file that grows as it is written. */
class GrowingFile {
  bytes = new Uint8Array(65_536);
  length = 0;

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.bytes.length * 2));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes.set(bytes, offset);
    this.length = Math.max(this.length, end);
  }

  truncate(length: number): void {
    if (length > this.length) this.write(length, new Uint8Array(0));
    else this.bytes.fill(0, length, this.length);
    this.length = length;
  }

  copy(): GrowingFile {
    const copy = new GrowingFile();
    copy.bytes = this.bytes.slice();
    copy.length = this.length;
    return copy;
  }

  get content(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** What survives of one file: what was synced, and what was asked for since. */
interface CachedFile {
  synced: GrowingFile;
  pending: Operation[];
}

/** A disk that is driven forward through a recording and can be looked at as if the power had gone at any moment. */
export interface Disk {
  /** Applies operations up to, but not including, this one. */
  advance(to: number): void;
  /** The files after a cut now. */
  cut(random: Random): Map<string, Uint8Array>;
}

/** Makes a disk for a recording. `memory` names files that no power cut touches: they are the world outside. */
export function createDisk(operations: readonly Operation[], memory: (path: string) => boolean): Disk {
  const files = new Map<string, CachedFile>();
  let at = 0;

  function apply(operation: Operation): void {
    const { kind, path } = operation;
    if (kind === "d") {
      files.delete(path);
      return;
    }
    const file = files.get(path) ?? { synced: new GrowingFile(), pending: [] };
    files.set(path, file);
    if (kind === "s") settle(file);
    else file.pending.push(operation);
    if (memory(path)) settle(file);
  }

  return {
    advance(to) {
      for (; at < to; at++) apply(operations[at]!);
    },
    cut(random) {
      const image = new Map<string, Uint8Array>();
      for (const [path, { synced, pending }] of files) {
        const file = pending.length === 0 ? synced : synced.copy();
        // A cut takes everything, leaves everything, or anything between: each is drawn often.
        const share = [0, 1, random()][Math.floor(random() * 3)]!;
        for (const operation of pending) writeSome(file, operation, () => random() < share);
        image.set(path, file.content);
      }
      return image;
    },
  };
}

function settle(file: CachedFile): void {
  for (const operation of file.pending) writeSome(file.synced, operation, () => true);
  file.pending = [];
}

function writeSome(file: GrowingFile, { kind, offset, bytes }: Operation, survives: () => boolean): void {
  if (kind === "t") {
    if (survives()) file.truncate(offset);
    return;
  }
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + sectorBytes - (offset + from) % sectorBytes);
    if (survives()) file.write(offset + from, bytes.subarray(from, to));
    from = to;
  }
}
