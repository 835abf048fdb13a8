/**
 * `weir events replay` and `weir events purge`: old events by the routes of now, or out of the log. They are looked through
 * piece by piece, in the order of the log, up to what was there when the first piece began.
 */

import type { PurgeAnswer, Replayed } from "../core/mod.ts";
import {
  type Client,
  connect,
  type EngineOptions,
  type EventFilter,
  type EventsCall,
  type ReplayCall,
} from "./client.ts";
import { failAfter, UsageError } from "./failure.ts";
import { print, printError, printJson } from "./print.ts";
import { count } from "./wording.ts";

/** How the commands were called. */
interface EventsOptions extends EngineOptions, EventFilter {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** What all pieces came to. */
interface Sum {
  events: number;
  unrouted: number;
  readonly routes: Record<string, number>;
  readonly missing: string[];
}

/** Replays the events that are named, or all that a filter matches. Exit code 1 when one that was named is not there. */
export async function replay(
  ids: readonly string[],
  options: EventsOptions & { route?: readonly string[] },
): Promise<number> {
  const { route: routes, dryRun = false } = options;
  const call = { ...selection(ids, options), routes, dryRun };
  const sum = await replayAll(await connect(options), call);
  if (options.json) printJson({ ...sum, dryRun });
  else printSum(sum, dryRun);
  return sum.missing.length === 0 ? 0 : 1;
}

/** Erases the events that are named, or all that a filter matches, with everything that belongs to them. */
export async function purge(ids: readonly string[], options: EventsOptions): Promise<number> {
  const { dryRun = false } = options;
  const call = { ...selection(ids, options), dryRun };
  const client = await connect(options);
  const sum = { events: 0, deliveries: 0, unfinished: 0, running: 0 };
  for (let next: EventsCall | undefined = call; next !== undefined;) {
    const { events, deliveries, unfinished, running, next: after, ...end }: PurgeAnswer = await client.purge(next);
    sum.events += events;
    sum.deliveries += deliveries;
    sum.unfinished += unfinished;
    sum.running += running;
    if (after === undefined) break;
    next = { ...nextCall(call, end), after };
  }
  if (options.json) printJson({ ...sum, dryRun });
  else {
    const deliveries = count(sum.deliveries, "delivery", "deliveries");
    const unfinished = sum.unfinished === 0 ? "" : `, ${sum.unfinished} of them not finished,`;
    const verb = dryRun ? "would be erased" : "erased";
    print(`${count(sum.events, "event")} with ${deliveries}${unfinished} ${verb}`);
    if (sum.running > 0) print(`${count(sum.running, "event")} stay: something of theirs runs`);
  }
  return 0;
}

/** What the ids and the options of a command name, once it is clear that it was meant. */
function selection(ids: readonly string[], options: EventsOptions): Pick<EventsCall, "ids" | "filter"> {
  const { source, type, since, until, all, dryRun } = options;
  const filter = { source, type, since, until };
  const filtered = all || Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0 && filtered) throw new UsageError("name events, or describe them with options: not both");
  if (ids.length === 0 && !filtered) throw new UsageError("say which events: their ids, or a filter with --all");
  if (ids.length === 0 && !all && !dryRun) {
    throw new UsageError("this is for all events that match: say --all, or --dry-run to see what would be");
  }
  return ids.length > 0 ? { ids } : { filter };
}

/** The call for the piece after the first: it ends where the first one said that all ends. */
function nextCall<Call extends EventsCall>(call: Call, { before, until }: { before: number; until?: number }): Call {
  return { ...call, ...(call.filter && { filter: { ...call.filter, until: until?.toString() } }), before };
}

async function replayAll(client: Client, call: ReplayCall): Promise<Sum> {
  const sum: Sum = { events: 0, unrouted: 0, routes: {}, missing: [] };
  for (let next: ReplayCall | undefined = call; next !== undefined;) {
    const answer: Replayed = await client.replay(next).catch((thrown) =>
      sum.events === 0 ? Promise.reject(thrown) : failAfter(`${count(sum.events, "event")} replayed`, thrown)
    );
    sum.events += answer.events;
    sum.unrouted += answer.unrouted;
    sum.missing.push(...answer.missing);
    for (const [route, made] of Object.entries(answer.routes)) sum.routes[route] = (sum.routes[route] ?? 0) + made;
    const { nextAfter: after } = answer;
    next = after === undefined ? undefined : { ...nextCall(call, answer), after };
  }
  return sum;
}

function printSum({ events, unrouted, routes, missing }: Sum, dryRun: boolean): void {
  for (const id of missing) printError(`${id}: there is no such event`);
  const made = Object.entries(routes).map(([route, n]) => `${route} ${n}`);
  const verb = dryRun ? "would become" : "became";
  print(`${count(events, "event")} ${verb} ${made.length === 0 ? "no deliveries" : `deliveries: ${made.join(", ")}`}`);
  if (unrouted > 0) print(`${count(unrouted, "event")} matched by no route`);
}
