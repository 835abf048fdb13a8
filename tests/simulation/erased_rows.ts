/**
 * What retention erases stays to be judged: triggers put a copy of each row aside, and for each table a view `all_...`
 * shows what there is and what there was.
 */

import type { Retention } from "../../core/domain/config.ts";
import type { Database, Value } from "../../core/store/database.ts";
import type { Finding } from "./world.ts";

const tables = ["requests", "events", "deliveries", "attempts"] as const;

/** Holds each batch of erased rows against their age. */
export interface ErasedRows {
  /**
   * Finds what was erased since the last look although it was not old enough.
   *
   * @param now the latest that any engine's clock can have said
   */
  judge(now: number): Promise<Finding[]>;
}

/** Lays the triggers and views into a log whose schema is there. */
export async function keepErased(disk: Database, retention: Retention): Promise<ErasedRows> {
  for (const table of tables) {
    const { rows } = await disk.read({ sql: `SELECT name FROM pragma_table_info('${table}')`, parameters: [] });
    const columns = rows.map(({ name }) => String(name));
    await disk.write([
      `CREATE TABLE erased_${table} AS SELECT ${columns} FROM ${table} WHERE false`,
      `CREATE TRIGGER keep_${table} AFTER DELETE ON ${table} BEGIN
         INSERT INTO erased_${table} VALUES (${columns.map((column) => `OLD.${column}`)}); END`,
      `CREATE VIEW all_${table} AS SELECT ${columns} FROM ${table} UNION ALL SELECT ${columns} FROM erased_${table}`,
    ].map((sql) => ({ sql, parameters: [] })));
  }
  const judged = { deliveries: 0, events: 0 };

  async function unjudged(table: keyof typeof judged): Promise<readonly Record<string, Value>[]> {
    const { rows } = await disk.read({
      sql: `SELECT rowid AS place, * FROM erased_${table} WHERE rowid > ? ORDER BY rowid`,
      parameters: [judged[table]],
    });
    judged[table] = Number(rows.at(-1)?.place ?? judged[table]);
    return rows;
  }

  return {
    async judge(now) {
      const findings: Finding[] = [];
      const check = (id: Value | undefined, since: Value | undefined, keptMs: number): void => {
        if (since !== null && Number(since) + keptMs <= now) return;
        const detail = `erased ${now - Number(since)} ms after it was done with, not ${keptMs}`;
        findings.push({ name: "EARLY-ERASED", subject: String(id), detail });
      };
      for (const { id, state, finished_at } of await unjudged("deliveries")) {
        check(id, finished_at, state === "dead" ? retention.deadMs : retention.eventsMs);
      }
      for (const { id, received_at } of await unjudged("events")) check(id, received_at, retention.eventsMs);
      return findings;
    },
  };
}
