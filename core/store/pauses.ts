/**
 * Queues and sources that somebody has stopped. A paused queue keeps what it has and takes what comes; nothing of it is
 * claimed. A paused source takes no requests.
 */

import type { Database, Plan } from "./database.ts";
import type { SourcesTable } from "./schema.ts";
import type { Paused, SourceRow } from "./view.ts";
import { storableText } from "./text.ts";

/** Plans the pause of a queue, or its end; answers whether there is such a queue. */
export function planPauseQueue(
  queue: { route: string; target: string },
  paused: Paused | undefined,
): Plan<boolean> {
  return {
    statements: [{
      sql: "UPDATE queues SET paused_at = ?, paused_reason = ? WHERE route = ? AND target = ?",
      parameters: [paused?.at ?? null, storableText(paused?.reason), queue.route, queue.target],
    }],
    read: ([updated]) => updated!.changes > 0,
  };
}

/** Plans the pause of a source, or its end. */
export function planPauseSource(name: string, paused: Paused | undefined): Plan<void> {
  return {
    statements: [{
      sql: `INSERT INTO sources (name, paused_at, paused_reason) VALUES (?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, paused_reason = excluded.paused_reason`,
      parameters: [name, paused?.at ?? null, storableText(paused?.reason)],
    }],
    read: () => {},
  };
}

/** Reads the sources that somebody has paused or that are clocks. */
export async function listSources(database: Database): Promise<SourceRow[]> {
  const { rows } = await database.read({ sql: "SELECT * FROM sources ORDER BY name", parameters: [] });
  return (rows as unknown as SourcesTable[])
    .map((row) => ({ name: row.name, paused: toPaused(row), cronAt: row.cron_at ?? undefined }));
}

/** The pause in a row that may hold one. */
export function toPaused(row: { paused_at: number | null; paused_reason: string | null }): Paused | undefined {
  return row.paused_at === null ? undefined : { at: row.paused_at, reason: row.paused_reason! };
}
