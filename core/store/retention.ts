/**
 * What ages out of the log, and how it goes: one short batch a call, each atomic and safe to repeat. Idempotency keys
 * and marks go by themselves, deliveries and events by the sweeps; the space is given back at the end.
 */

import type { Database } from "./database.ts";
import { eraseRowsMax, type Expired, type Step, type Submit, type Terms } from "./erase.ts";
import { createSweeps } from "./sweep.ts";

/** A key stays this long beyond its window: a request that came within it may still be on its way to the log. */
export const keyMarginMs = 60_000;

/** Free space that the file keeps for what comes next; more is given back to the disk. */
export const freeBytesKept = 16_777_216;

/** Pages given back in one batch. */
const shrinkPages = 128;

/** The sweeps begin anew this often, for rows that a clock which jumped has put behind them. */
const sweepAgainMs = 86_400_000;

/** Erases one batch of what has aged out. */
export type Expire = (terms: Terms) => Promise<Expired>;

/**
 * Makes the function that erases what has aged out.
 *
 * @param options.isFile whether the database is a file of ours, whose free pages can be given back
 */
export function createExpiry(database: Database, options: { submit: Submit; isFile: boolean }): Expire {
  const { submit, isFile } = options;
  const shrink = createShrink(database, submit);
  let sweeps = createSweeps(database, submit);
  let sweptAt: number | undefined;
  let at = 0;

  return async (terms) => {
    const stages = [
      () => expireKeys(submit, terms),
      () => expireMarks(submit, terms),
      ...sweeps.map((sweep) => () => sweep(terms)),
      ...(isFile ? [shrink] : []),
    ];
    const turn = at;
    at = (turn + 1) % stages.length; // at once: a stage that fails must not keep the others from their turn
    const step = await stages[turn]!();
    if (step.more) at = turn;
    const more = step.more || at !== 0;
    if (!more && Math.abs(terms.now - (sweptAt ??= terms.now)) >= sweepAgainMs) {
      sweeps = createSweeps(database, submit);
      sweptAt = terms.now;
    }
    return { events: 0, deliveries: 0, attempts: 0, keys: 0, marks: 0, pages: 0, ...step, more };
  };
}

function expireKeys(submit: Submit, { now }: Terms): Promise<Step> {
  return submit({
    statements: [{
      sql: `DELETE FROM idempotency WHERE (source, key) IN
        (SELECT source, key FROM idempotency WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
      parameters: [now - keyMarginMs, eraseRowsMax],
    }],
    read: ([deleted]) => ({ keys: deleted!.changes, more: deleted!.changes === eraseRowsMax }),
  });
}

/** The mark of a lane in which something is still open will be asked for. */
function expireMarks(submit: Submit, { now, retention }: Terms): Promise<Step> {
  return submit({
    statements: [{
      sql:
        `DELETE FROM marks WHERE (queue, lane, rule) IN (SELECT m.queue, m.lane, m.rule FROM marks AS m WHERE m.at <= ?
        AND NOT EXISTS (SELECT 1 FROM deliveries AS d
          WHERE d.queue = m.queue AND d.lane = m.lane AND d.lane IS NOT NULL AND d.finished_at IS NULL)
        ORDER BY m.at LIMIT ?)`,
      parameters: [now - retention.eventsMs, eraseRowsMax],
    }],
    read: ([deleted]) => ({ marks: deleted!.changes, more: deleted!.changes === eraseRowsMax }),
  });
}

/**
 * Gives free pages back, and at the end takes the WAL into the file: only then is the file shorter, and the checkpoints
 * that SQLite makes by itself come with writes, of which a log that is closed for want of space has hardly any.
 */
function createShrink(database: Database, submit: Submit): () => Promise<Step> {
  let isOwed = false; // if it dies here, the next start takes the WAL into the file
  return async () => {
    const step = await givePages(database, submit);
    if (step.more) isOwed = true;
    else if (isOwed && await database.checkpoint?.()) isOwed = false;
    return step;
  };
}

/** Some free pages stay: a log in balance would otherwise shrink and grow all day. */
async function givePages(database: Database, submit: Submit): Promise<Step> {
  const { rows: [free] } = await database.read({
    sql: `SELECT freelist_count * page_size - ? AS bytes FROM pragma_freelist_count(), pragma_page_size()`,
    parameters: [freeBytesKept],
  });
  if (Number(free!.bytes) <= 0) return { more: false };
  return await submit({
    statements: [{ sql: `PRAGMA incremental_vacuum(${shrinkPages})`, parameters: [] }],
    // A file that was made without auto_vacuum has nothing to give.
    read: ([given]) => ({ pages: given!.changes, more: given!.changes > 0 }),
  });
}
