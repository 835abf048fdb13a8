/**
 * One engine per log file, and no handler of a dead engine beside a live one. Both are locks of the operating system,
 * which lets go of them when their holder dies, however it dies.
 */

/** A lock that is held until it is released or the process ends. */
export interface FileLock {
  release(): void;
}

/**
 * Takes the exclusive lock that proves that no other engine lives on this log.
 *
 * @param path of the lock file, beside the log and never the log itself
 * @returns undefined when another engine holds it
 */
export async function lockFile(path: string): Promise<FileLock | undefined> {
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  if (await file.tryLock(true)) {
    return {
      release() {
        // Closing alone leaves it with a child process that is just being made, until that runs its own program.
        file.unlockSync();
        file.close();
      },
    };
  }
  file.close();
  return undefined;
}

/**
 * Waits until no process holds a shared lock on `path`: the handlers of the engine before us, which end themselves when
 * their pipe closes. After this, their work can be taken back and no two attempts of one delivery overlap.
 *
 * @returns false when some process still held it after `limitMs`
 */
export async function waitForHolders(path: string, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const lock = await lockFile(path);
    if (lock !== undefined) {
      lock.release();
      return true;
    }
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
