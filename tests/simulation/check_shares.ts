/**
 * Judges how an engine deals out what it can still run when not all can have what they may: higher priorities first, and
 * among equals nobody goes without while another has more. Looks on where the engine asks the log.
 */

import type { QueueId, Store } from "../../core/store/store.ts";
import type { Finding } from "./world.ts";

/** What one queue could start, what it was given, and what it runs already. */
export interface Share {
  readonly queue: string;
  readonly priority: number;
  readonly due: number;
  readonly given: number;
  readonly running: number;
}

/** Finds what was given past somebody who had more right to it. */
export function checkShares(shares: readonly Share[]): Finding[] {
  const wanting = shares.filter(({ due, given }) => given < due);
  return wanting.flatMap((poor) =>
    shares.flatMap((rich): Finding[] => {
      if (rich.given === 0) return [];
      const detail =
        `was given ${poor.given} of ${poor.due} beside ${poor.running} that run there, and ${rich.queue} ` +
        `${rich.given} beside ${rich.running}`;
      const subject = poor.queue;
      if (rich.priority < poor.priority) return [{ name: "PRIORITY", subject, detail }];
      const isUneven = rich.running + rich.given > poor.running + poor.given + 1;
      return rich.priority === poor.priority && isUneven ? [{ name: "UNFAIR", subject, detail }] : [];
    })
  );
}

/** Looks over an engine's shoulder: it gets the very answers that the log gives, at the same moment. */
export function watchShares(store: Store, seen: {
  describe(queue: QueueId): { readonly queue: string; readonly priority: number };
  report(findings: readonly Finding[]): void;
}): Store {
  /** What runs here: the queue of each lease that is not being settled yet. */
  const running = new Map<string, QueueId>();
  let shares: Map<QueueId, Omit<Share, "given">> | undefined;

  return {
    ...store,
    countDue(credits, at) {
      const answer = store.countDue(credits, at);
      const described = credits.map(({ queue }) => seen.describe(queue)); // a reload may take it away meanwhile
      answer.then((due) => {
        shares = new Map(credits.map(({ queue }, place) => {
          const runs = [...running.values()].filter((each) => each === queue).length;
          return [queue, { ...described[place]!, due: due[place]!, running: runs }];
        }));
      }, () => {});
      return answer;
    },
    claim(credits, claim) {
      const counted = shares;
      shares = undefined; // a suspect is claimed by itself, and nothing was counted for that
      if (counted !== undefined) {
        const given = new Map(credits.map(({ queue, limit }) => [queue, limit]));
        seen.report(checkShares([...counted].map(([queue, share]) => ({ ...share, given: given.get(queue) ?? 0 }))));
      }
      const answer = store.claim(credits, claim);
      answer.then(({ deliveries }) => {
        for (const { id, token, queue } of deliveries) running.set(`${id} ${token}`, queue);
      }, () => {});
      return answer;
    },
    settle(settlement) {
      running.delete(`${settlement.delivery.id} ${settlement.delivery.token}`);
      return store.settle(settlement);
    },
  };
}
