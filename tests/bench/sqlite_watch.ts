/**
 * Looks over the shoulder of the engine's own SQLite connection. The pragmas of a connection can be asked of that
 * connection only, and a second one in the same process would drop the locks of the first.
 */

import { DatabaseSync, StatementSync } from "node:sqlite";

/** What was seen so far. */
export interface SqliteWatch {
  /** `journal_mode` and `synchronous` of the connection that wrote last. */
  pragmas(): { journal_mode: unknown; synchronous: unknown };
  /** Calls into SQLite and commits since the last call, and how long they took. */
  counted(): { statements: number; commits: number; ms: number; commitMs: number; bySql: [string, number, number][] };
}

/** Begins to watch; to be called before the engine opens its log. */
export function watchSqlite(options: { count: boolean }): SqliteWatch {
  let connection: DatabaseSync | undefined;
  let statements = 0;
  let commits = 0;
  let ms = 0;
  let commitMs = 0;
  const bySql = new Map<string, { calls: number; ms: number }>();

  const { exec, prepare } = DatabaseSync.prototype;
  const note = (sql: string, started: number): void => {
    const took = performance.now() - started;
    statements++;
    ms += took;
    if (sql === "COMMIT") {
      commits++;
      commitMs += took;
    }
    const text = sql.replaceAll(/\s+/g, " ").replaceAll(/(\([?, ]+\), )+/g, "…").slice(0, 120);
    const known = bySql.get(text) ?? { calls: 0, ms: 0 };
    known.calls++;
    known.ms += took;
    bySql.set(text, known);
  };
  DatabaseSync.prototype.exec = function (sql) {
    connection = this;
    if (!options.count) return exec.call(this, sql);
    const started = performance.now();
    exec.call(this, sql);
    note(sql, started);
  };
  if (options.count) {
    for (const name of ["all", "get", "run"] as const) {
      const call = StatementSync.prototype[name] as (...values: unknown[]) => unknown;
      (StatementSync.prototype as unknown as Record<string, unknown>)[name] = function (
        this: StatementSync,
        ...values: unknown[]
      ): unknown {
        const started = performance.now();
        const result = call.apply(this, values);
        note(this.sourceSQL, started);
        return result;
      };
    }
  }
  return {
    pragmas() {
      if (connection === undefined) throw new Error("the engine has opened no SQLite connection on this thread");
      const ask = (name: string): unknown => Object.values(prepare.call(connection!, `PRAGMA ${name}`).get() ?? {})[0];
      return { journal_mode: ask("journal_mode"), synchronous: ask("synchronous") };
    },
    counted() {
      const rows = [...bySql].map(([sql, known]): [string, number, number] => [sql, known.calls, known.ms]);
      const counted = { statements, commits, ms, commitMs, bySql: rows.sort((a, b) => b[2] - a[2]) };
      statements =
        commits =
        ms =
        commitMs =
          0;
      bySql.clear();
      return counted;
    },
  };
}
