/**
 * The thread of the engine's log with somebody looking over its shoulder: it runs the product's own worker, and answers
 * questions about the connection in it. Pragmas can be asked of that connection only, and a second one in the same
 * process would drop the locks of the first. Its other end is watched_log.ts.
 */

import { DatabaseSync, StatementSync } from "node:sqlite";

/** What can be asked. */
export interface Question {
  readonly watch: "pragmas" | "counted";
}

/** Calls into SQLite and commits since the last question, and how long they took. */
export interface Counted {
  readonly statements: number;
  readonly commits: number;
  readonly ms: number;
  readonly commitMs: number;
  readonly bySql: readonly [string, number, number][];
}

/** `journal_mode` and `synchronous` of the connection that wrote last. */
export interface Pragmas {
  readonly journal_mode: unknown;
  readonly synchronous: unknown;
}

const { exec, prepare } = DatabaseSync.prototype;
const bySql = new Map<string, { calls: number; ms: number }>();
let connection: DatabaseSync | undefined;

DatabaseSync.prototype.exec = function (sql) {
  connection = this;
  return exec.call(this, sql);
};

function countStatements(): void {
  for (const name of ["all", "get", "run"] as const) {
    const call = StatementSync.prototype[name] as (...values: unknown[]) => unknown;
    (StatementSync.prototype as unknown as Record<string, unknown>)[name] = function (
      this: StatementSync,
      ...values: unknown[]
    ): unknown {
      const started = performance.now();
      const result = call.apply(this, values);
      note(this.sourceSQL, performance.now() - started);
      return result;
    };
  }
}

function note(sql: string, ms: number): void {
  const text = sql.replaceAll(/\s+/g, " ").replaceAll(/(\([?, ]+\), )+/g, "…").slice(0, 120);
  const known = bySql.get(text) ?? { calls: 0, ms: 0 };
  known.calls++;
  known.ms += ms;
  bySql.set(text, known);
}

function pragmas(): Pragmas {
  if (connection === undefined) throw new Error("the engine has opened no SQLite connection on this thread");
  const ask = (name: string): unknown => Object.values(prepare.call(connection!, `PRAGMA ${name}`).get() ?? {})[0];
  return { journal_mode: ask("journal_mode"), synchronous: ask("synchronous") };
}

function counted(): Counted {
  const rows = [...bySql].map(([sql, known]): [string, number, number] => [sql, known.calls, known.ms]);
  const commit = bySql.get("COMMIT");
  bySql.clear();
  return {
    statements: rows.reduce((sum, [, calls]) => sum + calls, 0),
    commits: commit?.calls ?? 0,
    ms: rows.reduce((sum, [, , ms]) => sum + ms, 0),
    commitMs: commit?.ms ?? 0,
    bySql: rows.sort((a, b) => b[2] - a[2]),
  };
}

if (new URL(import.meta.url).searchParams.has("count")) countStatements();
const scope = globalThis as unknown as Worker;
/** What comes while the product's own worker is being loaded would meet no listener but this one. */
const early: MessageEvent[] = [];
// Listens before the product's own worker does, so that a question never reaches it.
scope.addEventListener("message", (event: MessageEvent<Partial<Question>>) => {
  const { watch } = event.data;
  if (watch === undefined) {
    if (scope.onmessage === null) early.push(event);
    return;
  }
  event.stopImmediatePropagation();
  scope.postMessage({ watched: watch === "pragmas" ? pragmas() : counted() });
});
await import("../../core/store/sqlite_worker.ts");
for (const event of early) scope.onmessage!(event);
