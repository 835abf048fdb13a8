/**
 * The program that copies a log, in a process of its own: a second handle on the file inside the engine's process would
 * drop SQLite's locks when it is closed. It reads one state of the log, whatever is written meanwhile.
 *
 * Arguments: the log, the file to write first, the file that it becomes, and how many bytes are to stay free. Answers with one line of JSON.
 */

import { DatabaseSync } from "node:sqlite";
import { dirname } from "node:path";
import { readFreeBytesNow } from "./free_space.ts";

/** What the process answers. */
export type BackupAnswer =
  | { readonly ok: true; readonly bytes: number; readonly durationMs: number }
  | { readonly ok: false; readonly reason: string };

/** Runs the program. */
export function runBackup([log, part, file, freeBytesMin]: readonly string[]): void {
  let answer: BackupAnswer;
  try {
    answer = copy({ log: log!, part: part!, file: file!, freeBytesMin: Number(freeBytesMin) });
  } catch (error) {
    answer = { ok: false, reason: (error as Error).message };
  }
  console.log(JSON.stringify(answer));
}

/** If it dies at any line, the target is either not there or whole, and checked. */
function copy(
  { log, part, file, freeBytesMin }: { log: string; part: string; file: string; freeBytesMin: number },
): BackupAnswer {
  const startedAt = performance.now();
  using source = new DatabaseSync(log, { readOnly: true });
  source.exec("PRAGMA busy_timeout = 5000");
  const shortage = findShortage(source, dirname(file), freeBytesMin);
  if (shortage !== undefined) return { ok: false, reason: shortage };
  Deno.openSync(part, { write: true, createNew: true, mode: 0o600 }).close(); // bodies of real events will be in it
  source.prepare("VACUUM INTO ?").run(part);
  const fault = findFault(part);
  if (fault !== undefined) return { ok: false, reason: `the copy is not whole: ${fault}` };
  sync(part);
  if (exists(file)) return { ok: false, reason: `${file} has appeared meanwhile and is not overwritten` };
  Deno.renameSync(part, file);
  sync(dirname(file));
  return { ok: true, bytes: Deno.statSync(file).size, durationMs: Math.round(performance.now() - startedAt) };
}

/** A copy that fills the disk of the log would close the engine, or break off after all its work. */
function findShortage(source: DatabaseSync, folder: string, freeBytesMin: number): string | undefined {
  const free = readFreeBytesNow(folder);
  const { bytes } = source.prepare(
    `SELECT (page_count - freelist_count) * page_size AS bytes
      FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`,
  ).get() as { bytes: number };
  if (free === undefined || free - bytes >= freeBytesMin) return undefined;
  const [needed, there, kept] = [bytes, free, freeBytesMin].map((each) => each.toLocaleString("en"));
  return `there is no room for the copy in ${folder}: it takes ${needed} bytes, ${there} are free, ` +
    `and ${kept} are to stay free (storage.min_free)`;
}

function findFault(part: string): string | undefined {
  using copied = new DatabaseSync(part); // opened read-only, SQLite does not look at CHECK constraints
  const [found] = copied.prepare("PRAGMA integrity_check(1)").all();
  return found?.integrity_check === "ok" ? undefined : String(found?.integrity_check);
}

/** Of a folder: the name of a file is only durable when the folder is. */
function sync(path: string): void {
  using opened = Deno.openSync(path);
  opened.syncSync();
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) runBackup(Deno.args);
