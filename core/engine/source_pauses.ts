/**
 * Which sources somebody has paused, held in memory because it is asked on every request. The log remembers them; an
 * engine reads them when it starts and, where others share the log, each time it says that it lives.
 */

import type { Paused, Store } from "../store/store.ts";

/** The sources that take no requests. */
export interface SourcePauses {
  /** Since when and why a source takes nothing; undefined when it does. */
  get(source: string): Paused | undefined;
  /** Pauses a source, or goes on. Holds once it is durable. */
  set(source: string, paused: Paused | undefined): Promise<void>;
  /** Reads them anew. */
  load(): Promise<void>;
}

/** Makes the view; it is empty until it is loaded. */
export function createSourcePauses(store: Pick<Store, "sources" | "pauseSource">): SourcePauses {
  let paused = new Map<string, Paused>();
  let changes = 0;
  return {
    get: (source) => paused.get(source),
    async set(source, value) {
      await store.pauseSource(source, value);
      changes++;
      if (value === undefined) paused.delete(source);
      else paused.set(source, value);
    },
    async load() {
      const changesBefore = changes;
      const rows = await store.sources();
      if (changes !== changesBefore) return; // what was read may be from before the change
      paused = new Map(rows.flatMap((row) => row.paused === undefined ? [] : [[row.name, row.paused]]));
    },
  };
}
