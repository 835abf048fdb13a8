/**
 * What a death explains: work that it cut off between its end and the log may be done again, and no other.
 */

import type { StartRecord } from "./history.ts";
import type { IndexedHistory, Run } from "./history_index.ts";

/** The end of a process or its standing still, after which some of its work may be done again. */
export interface Death {
  /** The engine, or the handler's process. */
  readonly of: string;
  /** Unique among all deaths. */
  readonly name: string;
}

/** Finds the death that explains why `second` does again what `first` has done. */
export function findDeath(
  history: IndexedHistory,
  repeat: { first: Run; second: Run; slots: number },
): Death | undefined {
  const { first, second, slots } = repeat;
  const { boot, proc } = first.start;
  const exitAt = proc === undefined ? undefined : history.exits.get(proc);
  if (exitAt !== undefined && exitAt < second.at && wasRunningIn(history, first, slots)) {
    return { of: proc!, name: `exit of ${proc}` };
  }
  if (boot === undefined) {
    // Nobody knows whose it was: then any engine that died in between.
    const crashed = history.crashes.entries().find(([, { at }]) => first.at < at && at < second.at);
    return crashed && { of: crashed[0], name: `crash of ${crashed[0]}` };
  }
  const pause = history.pauses.get(boot)?.find(({ at, until }) => first.at < until && at < second.at);
  if (pause !== undefined) return { of: boot, name: `pause of ${boot} at ${pause.at}` };
  const crash = history.crashes.get(boot);
  return crash !== undefined && crash.at < second.at ? { of: boot, name: `crash of ${boot}` } : undefined;
}

/** How often all deaths together may make work be done again. */
export function countRepeatsMax({ crashes, pauses, exits, runsIn }: IndexedHistory, slots: number): number {
  const engines = crashes.size + [...pauses.values()].flat().length;
  const exited = [...exits.keys()].map((proc) => Math.min(slots, runsIn.get(proc)?.length ?? 0));
  return engines * slots + exited.reduce((sum, each) => sum + each, 0);
}

/** A process that got a whole set of runs after this one began had returned it long before it ended. */
function wasRunningIn({ runsIn }: IndexedHistory, run: Run, slots: number): boolean {
  return runsIn.get(run.start.proc!)!.slice(-slots).includes(run);
}

/** A run as anomalies call it. */
export function nameRun({ run, delivery, attempt }: StartRecord): string {
  return `run ${run} of ${delivery}${attempt === undefined ? "" : ` (attempt ${attempt})`}`;
}
