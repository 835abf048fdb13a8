/**
 * Mistakes on purpose, each planted at a seam between the engine and its collaborators: the simulation proves its worth
 * by finding every one of them. None is a flag in the product.
 */

import type { Database, Statement } from "../../core/store/database.ts";
import type { Appended, NewRequest, Settlement, Store } from "../../core/store/store.ts";
import { plantedLosses } from "./planted_losses.ts";
import { plantedRules } from "./planted_rules.ts";

/** What a bug may use of the engine that it is planted in. */
export interface Soil {
  /** The database as the engine sees it. */
  readonly database: Database;
  readonly random: () => number;
}

/** One mistake. */
export interface PlantedBug {
  readonly name: string;
  /** A seed that finds it. */
  readonly seed: number;
  readonly store?: (store: Store, soil: Soil) => Store;
  readonly database?: (database: Database) => Database;
  /** A beat looks for no work. */
  readonly beatsOnly?: boolean;
  readonly wake?: (wake: () => void, random: () => number) => () => void;
}

/** A settlement with another end. */
function ending(settlement: Settlement, transition: Partial<Settlement["transition"]>): Settlement {
  return { ...settlement, transition: { ...settlement.transition, ...transition } as Settlement["transition"] };
}

/** Does something in a transaction of its own after each settlement that held. */
function afterSettle(follow: (settlement: Settlement) => Statement[]): PlantedBug["store"] {
  return (store, { database }) => ({
    ...store,
    async settle(settlement) {
      const held = await store.settle(settlement);
      const statements = held ? follow(settlement) : [];
      if (statements.length > 0) await database.write(statements).catch(() => {});
      return held;
    },
  });
}

/** Changes the text of the statements that `pattern` finds in each batch. */
function rewriting(
  pattern: RegExp,
  change: (sql: string, batch: readonly Statement[]) => string,
): PlantedBug["database"] {
  return (database) => ({
    ...database,
    write: (batch) =>
      database.write(
        batch.map((statement) =>
          pattern.test(statement.sql) ? { ...statement, sql: change(statement.sql, batch) } : statement
        ),
      ),
  });
}

function withKeys(request: NewRequest, keyOf: (key: string | undefined) => string | undefined): NewRequest {
  const events = request.events.map((event) => ({ ...event, idempotencyKey: keyOf(event.idempotencyKey) }));
  return { ...request, events };
}

/** The statement that settles. */
const settled = /WHERE deliveries\.seq = v\.column1 AND deliveries\.token = v\.column2/;

const promoteNext: (settlement: Settlement) => Statement = ({ delivery }) => ({
  sql: `UPDATE deliveries SET state = 'ready' WHERE seq = (SELECT min(seq) FROM deliveries
    WHERE queue = ? AND lane = ? AND state = 'blocked' AND seq > ?)`,
  parameters: [delivery.queue, delivery.lane!, delivery.seq],
});

/** Every planted bug. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "what is due counted for an earlier time than it is claimed for",
    seed: 8,
    store: (store) => ({ ...store, countDue: (credits, { now }) => store.countDue(credits, { now: now - 50 }) }),
  },
  {
    name: "suspects claimed beside others",
    seed: 20,
    store: (store) => ({
      ...store,
      claim: (credits, claim) => store.claim(credits.map((credit) => ({ ...credit, suspects: undefined })), claim),
    }),
  },
  {
    name: "acknowledged before the commit",
    seed: 0,
    store: (store) => ({
      ...store,
      append(request) {
        store.append(request).catch(() => {});
        return Promise.resolve(request.events.map(({ id }) => ({ status: "accepted" as const, eventId: id })));
      },
    }),
  },
  {
    name: "acknowledged although the commit failed",
    seed: 10,
    store: (store) => ({
      ...store,
      append: (request) =>
        store.append(request).catch(() =>
          request.events.map(({ id }) => ({ status: "accepted" as const, eventId: id }))
        ),
    }),
  },
  {
    name: "no dedupe",
    seed: 1,
    store: (store) => ({ ...store, append: (request) => store.append(withKeys(request, () => undefined)) }),
  },
  {
    name: "dedupe outside the transaction",
    seed: 2,
    store: (store, { database }) => ({
      ...store,
      async append(request) {
        const answers: Appended[] = [];
        for (const event of request.events) {
          const key = event.idempotencyKey ?? event.id;
          const known = await database.read({
            sql: "SELECT event_id FROM idempotency WHERE source = ? AND key = ?",
            parameters: [request.source, key],
          });
          const first = known.rows[0]?.event_id;
          if (first !== undefined) {
            answers.push({ status: "duplicate" as const, eventId: String(first) });
            continue;
          }
          const one: NewRequest = { ...request, id: `${request.id}${answers.length}`, events: [event] };
          answers.push(...await store.append(withKeys(one, () => undefined)));
          await database.write([{
            sql: `INSERT INTO idempotency (source, key, event_id, sha256, expires_at, seen, last_at, guarded)
              VALUES (?, ?, ?, ?, ?, 1, ?, 0) ON CONFLICT DO NOTHING`,
            parameters: [request.source, key, event.id, event.sha256, request.receivedAt + 1e9, request.receivedAt],
          }]);
        }
        return answers;
      },
    }),
  },
  {
    name: "duplicate answered under another id",
    seed: 1,
    store: (store) => ({
      ...store,
      append: async (request) =>
        (await store.append(request)).map((answer, at) => ({ ...answer, eventId: request.events[at]!.id })),
    }),
  },
  {
    name: "a delivery of a fan-out forgotten",
    seed: 0,
    store: (store, { random }) => ({
      ...store,
      append(request) {
        const events = request.events.map((event) => ({
          ...event,
          deliveries: random() < 0.1 ? event.deliveries.slice(1) : event.deliveries,
        }));
        return store.append({ ...request, events });
      },
    }),
  },
  {
    name: "a lease that never ends",
    seed: 1,
    database: rewriting(
      /^\s*UPDATE deliveries SET state = 'ready', due_at = .*WHERE state = 'running'/s,
      (sql) => `${sql} AND 0`,
    ),
  },
  {
    name: "lost fencing",
    seed: 14,
    database: rewriting(settled, (sql) => sql.replace("deliveries.token = v.column2", "v.column2 IS NOT NULL")),
  },
  {
    name: "promotion forgotten",
    seed: 1,
    database: rewriting(
      /WHERE state = 'blocked' AND seq IN/,
      (sql, batch) => batch.some(({ sql }) => settled.test(sql)) ? `${sql} AND 0` : sql,
    ),
  },
  {
    name: "retried at the back of the lane",
    seed: 1,
    store: afterSettle((settlement) =>
      settlement.transition.state === "ready" && settlement.delivery.lane !== undefined
        ? [{
          sql: `UPDATE deliveries SET state = 'blocked' WHERE seq = ?1 AND state = 'ready' AND EXISTS (
            SELECT 1 FROM deliveries WHERE queue = ?2 AND lane = ?3 AND state = 'blocked')`,
          parameters: [settlement.delivery.seq, settlement.delivery.queue, settlement.delivery.lane],
        }, promoteNext(settlement)]
        : []
    ),
  },
  {
    name: "follower started while the head waits to retry",
    seed: 1,
    store: afterSettle((settlement) =>
      settlement.transition.state === "ready" && settlement.delivery.lane !== undefined
        ? [{ sql: "DROP INDEX IF EXISTS deliveries_lane_head", parameters: [] }, promoteNext(settlement)]
        : []
    ),
  },
  {
    name: "dead letter dropped",
    seed: 0,
    store: afterSettle(({ transition, delivery }) =>
      transition.state === "dead"
        ? ["attempts WHERE delivery = ?", "deliveries WHERE seq = ?"].map((what) => ({
          sql: `DELETE FROM ${what}`,
          parameters: [delivery.seq],
        }))
        : []
    ),
  },
  {
    name: "run again after success",
    seed: 2,
    store: (store, { random }) => ({
      ...store,
      settle: (settlement) =>
        store.settle(
          settlement.transition.state === "succeeded" && random() < 0.05
            ? ending(settlement, { state: "ready", dueAt: settlement.attempt.finishedAt, reason: "once more" })
            : settlement,
        ),
    }),
  },
  {
    name: "retried too early",
    seed: 0,
    store: (store) => ({
      ...store,
      settle: (settlement) =>
        store.settle(
          settlement.transition.state === "ready"
            ? ending(settlement, { dueAt: settlement.attempt.finishedAt + 500 })
            : settlement,
        ),
    }),
  },
  {
    name: "retried without end",
    seed: 0,
    store: (store) => ({
      ...store,
      settle: (settlement) =>
        store.settle(
          settlement.transition.state === "dead"
            ? ending(settlement, { state: "ready", dueAt: settlement.attempt.finishedAt + 60_000 })
            : settlement,
        ),
    }),
  },
  {
    name: "dead before its attempts are used up",
    seed: 0,
    store: (store) => ({
      ...store,
      settle: (settlement) =>
        store.settle(
          settlement.transition.state === "ready" && settlement.transition.failures > 0
            ? ending(settlement, { state: "dead" })
            : settlement,
        ),
    }),
  },
  {
    name: "cancellation of a running delivery",
    seed: 20,
    store: (store, { database }) => ({
      ...store,
      async cancel(id, at) {
        const [ended] = await database.write([{
          sql: `UPDATE deliveries SET state = 'cancelled', finished_at = ?, reason = ?, token = NULL, boot = NULL,
            claimed_at = NULL WHERE id = ? AND finished_at IS NULL`,
          parameters: [at.now, at.reason, id],
        }]);
        await store.cancel(id, at);
        return ended!.changes > 0;
      },
    }),
  },
  {
    name: "redelivery swallowed by its idempotency key",
    seed: 0,
    store: (store) => ({ ...store, redeliver: () => Promise.resolve(true) }),
  },
  {
    name: "wake-up forgotten",
    seed: 3,
    wake: (wake, random) => () => random() < 0.5 ? wake() : undefined,
  },
  {
    name: "what another engine left is never looked for",
    seed: 10,
    beatsOnly: true,
  },
  {
    name: "more at once than allowed",
    seed: 0,
    store: (store) => ({
      ...store,
      claim: (credits, claim) =>
        store.claim(
          credits.map((credit) => ({ ...credit, limit: credit.limit + 2, concurrency: undefined })),
          claim,
        ),
    }),
  },
  {
    name: "pause ignored",
    seed: 10,
    database: rewriting(/CASE WHEN paused_at IS NOT NULL OR/, (sql) => sql.replace("paused_at IS NOT NULL OR", "")),
  },
  {
    name: "rate limit ignored",
    seed: 5,
    store: (store) => ({
      ...store,
      claim: (credits, claim) => store.claim(credits.map((credit) => ({ ...credit, rateLimit: undefined })), claim),
    }),
  },
  {
    name: "retention in a hurry",
    seed: 0,
    store: (store) => ({ ...store, expire: (terms) => store.expire({ ...terms, now: terms.now + 60_000 }) }),
  },
  {
    name: "retention forgets the keys",
    seed: 5,
    database: rewriting(/^DELETE FROM idempotency/, (sql) => sql.replace("expires_at <= ?", "expires_at > ?")),
  },
  {
    name: "the pause of a source is not remembered",
    seed: 13,
    store: (store) => ({ ...store, pauseSource: () => Promise.resolve() }),
  },
  {
    name: "lane forgotten by a cancellation",
    seed: 0,
    database: rewriting(/UPDATE deliveries[^]*WHERE of\.id = \?/, (sql) => `${sql} AND 0`),
  },
  ...plantedLosses,
  ...plantedRules,
];
