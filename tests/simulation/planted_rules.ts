/**
 * Mistakes on purpose in what a route asks for: what is exhausted, what is counted, what a queue lets through. Each would
 * leave every delivery ended and every lane in order.
 */

import { shareOut } from "../../core/domain/throttle.ts";
import type { NewDelivery, Settlement, Store } from "../../core/store/store.ts";
import type { Credit } from "../../core/store/record.ts";
import type { PlantedBug } from "./planted_bugs.ts";

type Change = NonNullable<PlantedBug["store"]>;

function settling(change: (settlement: Settlement) => Settlement): Change {
  return (store) => ({ ...store, settle: (settlement) => store.settle(change(settlement)) });
}

/** Another transition, where `to` gives one. */
function moving(to: (settlement: Settlement) => Partial<Settlement["transition"]> | undefined): Change {
  return settling((settlement) => {
    const transition = { ...settlement.transition, ...to(settlement) } as Settlement["transition"];
    return { ...settlement, transition };
  });
}

function claiming(change: (credit: Credit) => Credit): Change {
  return (store) => ({ ...store, claim: (credits, claim) => store.claim(credits.map(change), claim) });
}

function appending(change: (delivery: NewDelivery) => NewDelivery): Change {
  return (store) => ({
    ...store,
    append: (request) =>
      store.append({
        ...request,
        events: request.events.map((event) => ({ ...event, deliveries: event.deliveries.map(change) })),
      }),
  });
}

/** Counts no process that died, before it begins or after it has ended. */
const uncounted: Change = (store) => ({
  ...moving(({ transition }) => transition.deaths > 0 ? { deaths: 0 } : undefined)(store, undefined!),
  begin: () => Promise.resolve(true),
});

/** Deals out evenly what was dealt out by priority. */
const levelling: Change = (store) => {
  let due: number[] | undefined;
  return {
    ...store,
    countDue: async (credits, at) => due = await store.countDue(credits, at),
    claim(credits, claim) {
      const wants = due?.map((limit, key) => ({ key, limit, running: 0, priority: 0 }));
      due = undefined;
      const free = credits.reduce((sum, { limit }) => sum + limit, 0);
      const shares = wants && shareOut(wants, free);
      return store.claim(
        shares ? credits.map((each, at) => ({ ...each, limit: shares.get(at) ?? 0 })) : credits,
        claim,
      );
    },
  };
};

function spreading(store: Store, part: Partial<Store>): Store {
  return { ...store, ...part };
}

const park = { state: "parked", reason: "too soon", halt: false } as const;

/** Every bug of this kind. */
export const plantedRules: readonly PlantedBug[] = [
  {
    name: "parked at the first failure",
    seed: 0,
    store: moving(({ transition }) => transition.state === "ready" && transition.failures > 0 ? park : undefined),
  },
  {
    name: "parked where what is exhausted is dead",
    seed: 0,
    store: moving(({ transition }) => transition.state === "dead" ? park : undefined),
  },
  {
    name: "parked although it succeeded",
    seed: 1,
    store: moving(({ transition, delivery }) =>
      transition.state === "succeeded" && delivery.seq % 5 === 0 ? park : undefined
    ),
  },
  {
    name: "every park halts its queue",
    seed: 1,
    store: moving(({ transition }) => transition.state === "parked" ? { halt: true } : undefined),
  },
  {
    name: "a halt that never pauses",
    seed: 10,
    store: moving(({ transition }) => transition.state === "parked" ? { halt: false } : undefined),
  },
  {
    name: "resumed without fresh attempts",
    seed: 1,
    database: (database) => ({
      ...database,
      write: (batch) =>
        database.write(
          batch.map((statement) => ({ ...statement, sql: statement.sql.replace("failures = 0, deaths = 0,", "") })),
        ),
    }),
  },
  {
    name: "a breaker that never opens",
    seed: 2,
    store: (store, soil) =>
      spreading(store, {
        settle: settling((settlement) => ({ ...settlement, breaker: undefined }))(store, soil).settle,
        claim: claiming((credit) => ({ ...credit, breaker: undefined }))(store, soil).claim,
      }),
  },
  {
    name: "an open breaker that holds nothing back",
    seed: 2,
    store: claiming((credit) => ({ ...credit, breaker: undefined })),
  },
  {
    name: "a breaker that opens one failure late",
    seed: 2,
    store: settling((settlement) => ({
      ...settlement,
      breaker: settlement.breaker && { ...settlement.breaker, failures: settlement.breaker.failures + 1 },
    })),
  },
  {
    name: "a breaker that opens for a moment only",
    seed: 2,
    store: settling((settlement) => ({
      ...settlement,
      breaker: settlement.breaker && { ...settlement.breaker, openMs: 5 },
    })),
  },
  {
    name: "parked on arrival, out of its lane",
    seed: 4,
    store: appending((delivery) => delivery.parkedReason === undefined ? delivery : { ...delivery, lane: undefined }),
  },
  {
    name: "versions forgotten, so that nothing is outdated",
    seed: 1,
    store: appending((delivery) => ({ ...delivery, version: undefined })),
  },
  {
    name: "versions of one rule held against those of another",
    seed: 74,
    store: appending((delivery) => ({ ...delivery, version: delivery.version && { ...delivery.version, rule: 0 } })),
  },
  {
    name: "retried ten times later",
    seed: 0,
    store: moving(({ transition, attempt }) =>
      transition.state === "ready"
        ? { dueAt: transition.dueAt + 9 * (transition.dueAt - attempt.finishedAt) }
        : undefined
    ),
  },
  {
    name: "what is due next told ten minutes late",
    seed: 4,
    store: (store) =>
      spreading(store, {
        async claim(...asked) {
          const claim = await store.claim(...asked);
          return { ...claim, nextDueAt: claim.nextDueAt && claim.nextDueAt + 600_000 };
        },
      }),
  },
  {
    name: "a Retry-After that nobody reads",
    seed: 1,
    store: moving(({ transition, attempt }) =>
      transition.state === "ready" && transition.dueAt > attempt.finishedAt + 30_000
        ? { dueAt: attempt.finishedAt + 30_000 }
        : undefined
    ),
  },
  {
    name: "concurrency held by each engine for itself",
    seed: 1,
    store: claiming((credit) => ({ ...credit, concurrency: undefined })),
  },
  {
    name: "a key that is no key delivered without order",
    seed: 2,
    store: appending((delivery) => ({ ...delivery, parkedReason: undefined })),
  },
  {
    name: "results lost",
    seed: 0,
    store: moving(({ transition }) => transition.state === "succeeded" ? { result: undefined } : undefined),
  },
  {
    name: "the result of another run kept",
    seed: 0,
    store: moving(({ transition }) => transition.state === "succeeded" ? { result: '"run1"' } : undefined),
  },
  {
    name: "every attempt told as a success",
    seed: 0,
    store: settling((settlement) => ({ ...settlement, attempt: { ...settlement.attempt, outcome: "succeeded" } })),
  },
  {
    name: "rejections told as failures",
    seed: 0,
    store: settling((settlement) =>
      settlement.attempt.outcome === "rejected"
        ? { ...settlement, attempt: { ...settlement.attempt, outcome: "failed" } }
        : settlement
    ),
  },
  { name: "deaths never counted", seed: 5, store: uncounted },
  {
    name: "the death of an engine not counted before a suspect begins",
    seed: 20,
    store: (store) => spreading(store, { begin: () => Promise.resolve(true) }),
  },
  {
    name: "what died with its engine not counted by the next",
    seed: 1,
    database: (database) => ({
      ...database,
      write: (batch) =>
        database.write(
          batch.map((statement) =>
            /^\s*UPDATE deliveries SET failures = v\.column3/.test(statement.sql)
              ? { ...statement, sql: statement.sql.replace(" RETURNING", " AND 0 RETURNING") }
              : statement
          ),
        ),
    }),
  },
  {
    name: "rate limits twice as high",
    seed: 5,
    store: claiming((credit) => ({
      ...credit,
      rateLimit: credit.rateLimit && { ...credit.rateLimit, count: credit.rateLimit.count * 2 },
    })),
  },
  {
    name: "what is free given to whoever asks last",
    seed: 8,
    store: (store) => ({
      ...store,
      claim(credits, claim) {
        const limits = credits.map(({ limit }) => limit).reverse();
        return store.claim(credits.map((credit, at) => ({ ...credit, limit: limits[at]! })), claim);
      },
    }),
  },
  {
    name: "priority ignored",
    seed: 8,
    store: levelling,
  },
];
