/**
 * Copies of the log that can be opened like it, made by a process of its own while the engine goes on. A copy appears
 * under its name only when it is whole, checked and on the disk, and nothing is ever overwritten.
 */

import { isAbsolute } from "node:path";
import type { BackupAnswer } from "./backup_process.ts";

/** What came of a backup. */
export type Backup = BackupAnswer;

/** What makes backups of one log. */
export interface Backups {
  /** Copies the log into a file that does not exist yet; one copy at a time. */
  make(file: string): Promise<Backup>;
  /** Ends a copy that is being made; nothing of it stays. */
  stop(): Promise<void>;
}

/**
 * Makes what makes backups.
 *
 * @param log its file; undefined for a remote log
 * @param options.freeBytesMin what a copy leaves free of the disk that it goes to; asked for at every copy
 */
export function createBackups(log: string | undefined, options: { freeBytesMin: () => number }): Backups {
  const stopping = new AbortController();
  let making: Promise<Backup> | undefined;

  async function make(log: string, file: string): Promise<Backup> {
    const target = await Deno.lstat(file).catch((error) => error);
    if (!(target instanceof Error)) return refuse(`${file} is there already, and a backup overwrites nothing`);
    if (!(target instanceof Deno.errors.NotFound)) return refuse(`cannot write ${file}: ${target.message}`);
    const part = `${file}.${crypto.randomUUID()}.part`;
    try {
      return await runProcess([log, part, file, `${options.freeBytesMin()}`], stopping.signal);
    } catch (error) {
      return refuse(`the backup's process could not do its work: ${(error as Error).message}`);
    } finally {
      await Deno.remove(part).catch(() => {}); // there only when it failed or was ended
    }
  }

  return {
    async make(file) {
      if (log === undefined) {
        return refuse("the log is on a libSQL server, and this engine has no file of it; make the backup there");
      }
      if (!isAbsolute(file)) return refuse(`the path of a backup must be absolute, got ${JSON.stringify(file)}`);
      if (stopping.signal.aborted) return refuse("the engine is shutting down");
      if (making !== undefined) return refuse("another backup is being made; try again when it is done");
      try {
        return await (making = make(log, file));
      } finally {
        making = undefined;
      }
    },
    async stop() {
      stopping.abort();
      await making;
    },
  };
}

function refuse(reason: string): Backup {
  return { ok: false, reason };
}

async function runProcess(args: readonly string[], signal: AbortSignal): Promise<Backup> {
  const child = new Deno.Command(Deno.execPath(), {
    // All permissions, because without them Deno lets SQLite attach nothing, which is how it makes the copy.
    args: Deno.build.standalone
      ? ["__backup", ...args]
      : ["run", "-A", "--quiet", "--no-config", "--no-lock", "--cached-only", processUrl(), ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const kill = (): void => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  if (signal.aborted) kill();
  else signal.addEventListener("abort", kill, { once: true });
  const { stdout, stderr, code } = await child.output();
  signal.removeEventListener("abort", kill);
  const [line] = new TextDecoder().decode(stdout).trim().split("\n").slice(-1);
  if (line?.startsWith("{")) return JSON.parse(line);
  if (signal.aborted) return refuse("the engine is shutting down");
  return refuse(`the backup's process ended with exit code ${code}: ${new TextDecoder().decode(stderr).trim()}`);
}

function processUrl(): string {
  return new URL("./backup_process.ts", import.meta.url).href;
}
