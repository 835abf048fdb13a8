/**
 * Work that nobody takes: due for some time in a queue that is open, while nothing runs anywhere and every engine is up.
 * Sooner or later something wakes one of them; that it was not its time is what is found here.
 */

import { clockSkewMsMax } from "../../core/domain/clock.ts";
import { epochMs, type Finding, type World } from "./world.ts";

/** Anything that is due is begun within this time, beats of engines that learn of it from the log included. */
const lateMs = 10_000;

/** Looks for it. */
export interface OverdueWatch {
  /** Finds what was overdue at the last look too. `isStill`: nobody has begun or ended anything in between. */
  look(isStill: boolean): Promise<Finding[]>;
}

/** Starts to watch a world in which faults are over. */
export function watchOverdue(world: World): OverdueWatch {
  let before = new Set<string>();

  async function findOverdue(): Promise<Map<string, number>> {
    const now = epochMs + world.kernel.now + world.wallOffsetMs;
    const { rows } = await world.disk.read({
      sql: `SELECT d.id, d.due_at, q.route, q.failures FROM deliveries AS d JOIN queues AS q ON q.id = d.queue
        WHERE d.state = 'ready' AND d.due_at <= ? AND q.paused_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE state = 'running')`,
      parameters: [now - lateMs],
    });
    const open = rows.filter(({ route, failures }) => {
      const { rateLimit, breaker } = world.swarm.policies[String(route)]!;
      return rateLimit === undefined && Number(failures) < (breaker?.failures ?? Infinity);
    });
    return new Map(open.map((row) => [String(row.id), now - Number(row.due_at)]));
  }

  return {
    async look(isStill) {
      // An engine that waits for a time reads the clock on the wall again within a minute.
      const isSettled = world.kernel.now > world.jumpedAt + 2 * clockSkewMsMax;
      const overdue = isStill && isSettled ? await findOverdue() : new Map<string, number>();
      const found = [...overdue].filter(([id]) => before.has(id));
      before = new Set(overdue.keys());
      return found.map(([subject, ms]) => ({
        name: "LATE",
        subject,
        detail: `due for ${ms} ms, nothing runs, its queue is open, and nobody takes it`,
      }));
    },
  };
}
