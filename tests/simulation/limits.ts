/**
 * What the history checker must know of a world: how each queue orders, and how much one death may make be done again.
 */

import { type Config, queueName, type Route, targetName } from "../../core/domain/config.ts";
import type { HistoryLimits, Ordering } from "../support/history.ts";

/** The limits of a world under whichever of its configurations is at work. */
export function limitsOf(configs: readonly Config[]): Partial<HistoryLimits> {
  const orders = new Map<string, Ordering>();
  const atOnce = new Map<string, number>();
  for (const route of configs.flatMap(({ routes }) => routes)) {
    for (const destination of route.destinations) {
      const queue = queueName(route.name, targetName(destination));
      orders.set(queue, orderingOf(route));
      // The log counts what is claimed and not settled, so this holds for all engines together.
      atOnce.set(queue, Math.max(atOnce.get(queue) ?? 0, destination.concurrency));
    }
  }
  return {
    slots: [...atOnce.values()].reduce((sum, each) => sum + each, 0),
    ordering: (queue) => orders.get(queue)!,
    attempts: () => 0, // the final checks know what happened to each run, and judge more strictly
    hasOperator: true,
  };
}

function orderingOf({ orderBy, concurrencyKey }: Route): Ordering {
  if (concurrencyKey !== undefined) return concurrencyKey.limit;
  return orderBy === undefined ? "none" : "one";
}
