/**
 * What is said to somebody who names what is not there, in routes.yaml or in a question to the engine: that it is not,
 * what is, and what may have been meant.
 */

import { queueName } from "./config.ts";

/** What tells a queue from all others. */
export interface QueueName {
  readonly route: string;
  /** Empty for a handler. */
  readonly target: string;
}

/** Says that a name is none of those that are known. */
export function unknownName(noun: string, name: string, known: Iterable<string>): string {
  const names = [...new Set(known)];
  const expected = names.length === 0 ? "there are none" : `expected one of ${names.join(", ")}`;
  return `there is no ${noun} ${name}; ${expected}${didYouMean(name, names)}`;
}

/**
 * Says what is wrong with the name of a route, of a target, or of both.
 *
 * @returns undefined when a queue has that name
 */
export function unknownQueue(
  { route, target }: Partial<QueueName>,
  queues: readonly QueueName[],
): string | undefined {
  const ofRoute = route === undefined ? queues : queues.filter((queue) => queue.route === route);
  if (route !== undefined && ofRoute.length === 0) {
    return unknownName("route", route, queues.map((queue) => queue.route));
  }
  if (target === undefined || ofRoute.some((queue) => queue.target === target)) return undefined;
  const targets = ofRoute.map((queue) => queue.target).filter((name) => name !== "");
  return unknownName(route === undefined ? "target" : `target of ${route} named`, target, targets);
}

/**
 * Says that a lane has nothing open in it, and where to look instead.
 *
 * @param open the queues of the same route in which a lane of that name does have something open
 * @param queues all of the route
 */
export function emptyLane(
  { route, target, lane }: QueueName & { readonly lane: string },
  { open, queues }: { open: readonly QueueName[]; queues: readonly QueueName[] },
): string {
  const names = (these: readonly QueueName[]) => these.map((queue) => queueName(queue.route, queue.target)).join(", ");
  const nothing = `there is nothing open in lane ${JSON.stringify(lane)} of ${queueName(route, target)}`;
  if (open.length > 0) return `${nothing}; it is open in ${names(open)}`;
  const isQueue = queues.some((queue) => queue.route === route && queue.target === target);
  return isQueue ? nothing : `${nothing}; its queues are ${names(queues)}`;
}

/**
 * A suggestion for a misspelt word, ready to be put at the end of a message.
 *
 * @returns `; did you mean "body"?`, or nothing when no candidate is close
 */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  let best: string | undefined;
  let least = Math.floor((word.length + 1) / 3) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best === undefined ? "" : `; did you mean "${best}"?`;
}

/** Letters to change, add, drop or swap with a neighbour; words far apart in length are not worth the table. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Infinity;
  const table = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    table.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = table[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, table[i - 1]![j]! + 1, row[j - 1]! + 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, table[i - 2]![j - 2]! + 1);
    }
  }
  return table[a.length]![b.length]!;
}
