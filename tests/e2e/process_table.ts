/**
 * The processes of an engine as the kernel tells them, orphans included: all of them inherit a TMPDIR that no one else
 * has. Linux only.
 */

/** A process, and when it was started, which tells it from a later one with the same number. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  /** Unique on this machine until it starts again. */
  readonly name: string;
}

/** Finds all living processes whose environment has this TMPDIR. */
export function findProcesses(tmpdir: string): ProcessRow[] {
  const found: ProcessRow[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const environment = read(`/proc/${pid}/environ`);
    if (environment?.split("\0").includes(`TMPDIR=${tmpdir}`) !== true) continue;
    const row = readProcess(pid);
    if (row !== undefined) found.push(row);
  }
  return found;
}

/** One process; undefined when it is gone, or dead and only waiting to be collected. */
export function readProcess(pid: number): ProcessRow | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the program's name in brackets and may hold anything; what follows is numbered from 3.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
  return { pid, parent: Number(fields[1]), name: `${pid}@${fields[19]}` };
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined; // It ended while we looked, or is not ours to see.
  }
}
