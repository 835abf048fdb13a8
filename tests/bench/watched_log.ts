/**
 * Puts sqlite_watch.ts in the place of the log's own thread and asks it, while the engine uses the same thread and hears
 * nothing of it.
 */

import type { Counted, Pragmas, Question } from "./sqlite_watch.ts";

/** What can be asked of the log's thread. */
export interface WatchedLog {
  pragmas(): Promise<Pragmas>;
  counted(): Promise<Counted>;
}

/** Begins to watch; to be called before the engine opens its log. */
export function watchLog(options: { count: boolean }): WatchedLog {
  let log: Worker | undefined;
  let hear: ((answer: unknown) => void) | undefined;
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, settings?: WorkerOptions) {
      const isLog = String(url).endsWith("/sqlite_worker.ts");
      super(isLog ? new URL(`./sqlite_watch.ts${options.count ? "?count" : ""}`, import.meta.url) : url, settings);
      if (!isLog) return;
      log = this;
      this.addEventListener("message", (event) => {
        if (event.data.watched === undefined) return;
        event.stopImmediatePropagation();
        hear?.(event.data.watched);
      });
    }
  };
  function ask<Answer>(watch: Question["watch"]): Promise<Answer> {
    if (log === undefined) return Promise.reject(new Error("the engine has opened no log on a thread"));
    return new Promise((resolve) => {
      hear = (answer) => resolve(answer as Answer);
      log!.postMessage({ watch });
    });
  }
  return { pragmas: () => ask("pragmas"), counted: () => ask("counted") };
}
