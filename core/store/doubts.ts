/**
 * Claims that were never confirmed to whoever asked for them: the answer was lost, came too late, or could not be read
 * to its end. Whether they are in the log nobody knows, and nobody will run them, so they are given back.
 */

import type { Database } from "./database.ts";
import { planReclaim } from "./deliveries.ts";

/** The claims of one engine that are in doubt. */
export interface Doubts {
  /** Nothing that was claimed under this token runs, nor will. */
  add(token: string): void;
  /** Gives back what was claimed under all of them, in one batch; returns how many deliveries that were. */
  giveBack(at: { now: number; monotonic: number }): Promise<number>;
}

/**
 * Keeps what is in doubt.
 *
 * @param options.lateMs how long after the first look a claim may still arrive in the log, and is looked for again
 */
export function createDoubts(database: Database, { lateMs }: { lateMs: number }): Doubts {
  /** When each was first looked for, by the monotonic clock. */
  const firstLooks = new Map<string, number | undefined>();
  return {
    add(token) {
      firstLooks.set(token, undefined);
    },
    async giveBack({ now, monotonic }) {
      const tokens = [...firstLooks.keys()];
      if (tokens.length === 0) return 0;
      // One batch, however many an outage has left: the next beat waits for it.
      const plan = planReclaim({ of: { tokens }, now, reason: "its claim was never confirmed" });
      const given = plan.read(await database.write(plan.statements));
      for (const token of tokens) {
        const since = firstLooks.get(token) ?? monotonic;
        if (monotonic - since >= lateMs) firstLooks.delete(token);
        else firstLooks.set(token, since);
      }
      return given;
    },
  };
}
