/**
 * What the log has called finished, read from its diary right after the commit that did, whatever statement it was. From
 * then on nothing may begin for it, whoever dies.
 */

import { finishedStates } from "../../core/domain/delivery.ts";
import type { Database } from "../../core/store/database.ts";
import type { DeliveryRecord } from "../support/history.ts";

/** Tells what has finished since it was last asked, as looks in passing. */
export interface FinishedRows {
  take(): Promise<DeliveryRecord[]>;
}

/** Reads on in a diary that is kept. */
export function watchFinished(disk: Database): FinishedRows {
  let seen = 0;
  return {
    async take() {
      const { rows } = await disk.read({
        sql: `SELECT j.place, d.id, e.id AS event, d.seq, d.state, q.route, q.target FROM journal AS j
          CROSS JOIN deliveries AS d ON d.seq = j.delivery CROSS JOIN events AS e ON e.seq = d.event_seq
          CROSS JOIN queues AS q ON q.id = d.queue
          WHERE j.place > ? AND j.kind = 'move' AND j.state IN (SELECT value FROM json_each(?)) ORDER BY j.place`,
        parameters: [seen, JSON.stringify(finishedStates)],
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
