/**
 * Counts what a process has finished and when, and lets its parent wait for a number.
 */

import { preciseNow } from "./line_server.ts";

/** What has been finished so far. */
export interface FinishCounter {
  /** One more is finished, now. */
  add(): void;
  /** Something went wrong: whoever waits hears of it, now or later. */
  fail(reason: string): void;
  /** The first failure. */
  readonly failed: string | undefined;
  /** How many were finished at a moment. */
  countAt(at: number): number;
  /** When the one with this number was finished; waits for it. */
  reach(count: number): Promise<number>;
}

/** Begins at none. */
export function createFinishCounter(): FinishCounter {
  const finishedAt: number[] = [];
  let failed: string | undefined;
  let waiting: { count: number; resolve: (at: number) => void; reject: (reason: Error) => void } | undefined;
  return {
    add() {
      finishedAt.push(preciseNow());
      if (waiting?.count === finishedAt.length) waiting.resolve(finishedAt.at(-1)!);
    },
    fail(reason) {
      failed ??= reason;
      waiting?.reject(new Error(failed));
    },
    get failed() {
      return failed;
    },
    countAt: (at) => finishedAt.filter((each) => each <= at).length,
    async reach(count) {
      if (finishedAt.length >= count) return finishedAt[count - 1]!;
      if (failed !== undefined) throw new Error(failed);
      return await new Promise((resolve, reject) => waiting = { count, resolve, reject });
    },
  };
}
