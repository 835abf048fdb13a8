/**
 * What the log has called finished, seen at the very commit that did: a trigger notes each delivery that ends, whatever
 * statement ended it. From then on nothing may begin for it, whoever dies.
 */

import type { Database } from "../../core/store/database.ts";
import type { DeliveryRecord } from "../support/history.ts";

/** Tells what has finished since it was last asked, as looks in passing. */
export interface FinishedRows {
  take(): Promise<DeliveryRecord[]>;
}

/** Lays the trigger into a log whose schema is there. */
export async function watchFinished(disk: Database): Promise<FinishedRows> {
  await disk.write([
    "CREATE TABLE finished_rows (delivery INTEGER NOT NULL)",
    `CREATE TRIGGER note_finished AFTER UPDATE ON deliveries WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL
      BEGIN INSERT INTO finished_rows VALUES (NEW.seq); END`,
  ].map((sql) => ({ sql, parameters: [] })));
  let seen = 0;
  return {
    async take() {
      const { rows } = await disk.read({
        sql: `SELECT f.rowid AS place, d.id, e.id AS event, d.seq, d.state, q.route, q.target FROM finished_rows AS f
          CROSS JOIN deliveries AS d ON d.seq = f.delivery CROSS JOIN events AS e ON e.seq = d.event_seq
          CROSS JOIN queues AS q ON q.id = d.queue WHERE f.rowid > ? ORDER BY f.rowid`,
        parameters: [seen],
      });
      seen = Number(rows.at(-1)?.place ?? seen);
      return rows.map((row): DeliveryRecord => ({
        kind: "delivery",
        id: row.id as string,
        eventId: row.event as string,
        queue: row.target === "" ? row.route as string : `${row.route}/${row.target}`,
        seq: row.seq as number,
        state: row.state as string,
      }));
    },
  };
}
