/**
 * Old events by today's routes: each is routed as if it arrived now and starts new lineages. No idempotency key can
 * swallow a replay, because it makes deliveries and no event.
 */

import { eventBody } from "../domain/body.ts";
import type { Clock } from "../domain/clock.ts";
import type { EventDetail, EventFilter, NewDelivery, Store } from "../store/store.ts";
import type { Generation } from "./generation.ts";
import { routeEvent, scopeOf, toDelivery } from "./routing.ts";

/** Most events of one call. */
export const replayEventsMax = 1_000;

/** How many bodies are held in memory at once. */
const heldMax = 32;

/** Which events, and where to. */
export interface ReplayRequest {
  /** Either these events, in the order given, ... */
  readonly ids?: readonly string[];
  /** ... or whatever this matches, in the order of the log. */
  readonly filter?: Pick<EventFilter, "source" | "type" | "since" | "until">;
  /** Names of the routes to take; without it all. */
  readonly routes?: readonly string[];
  /** Only says what would be. */
  readonly dryRun?: boolean;
  /** Only events after this position: an earlier answer's `nextAfter`. */
  readonly after?: number;
  /** Only events before this position: an earlier answer's `before`. Default: what is in the log now. */
  readonly before?: number;
  readonly limit?: number;
}

/** What came of it. */
export interface Replayed {
  /** Events that were looked at. */
  readonly events: number;
  /** How many of them no route matched. */
  readonly unrouted: number;
  /** Deliveries made, or that would be, by the name of their route. */
  readonly routes: Readonly<Record<string, number>>;
  /** Of the ids given, those that are not in the log. */
  readonly missing: readonly string[];
  /** There are more: ask again with this as `after`, and with `before`. */
  readonly nextAfter?: number;
  /** Where it ends: what arrives meanwhile is routed by the intake, and must not be a second time. */
  readonly before: number;
  /** The filter's `until`, where it has one; give it again, because one that is told as so long ago would move. */
  readonly until?: number;
}

/** What a replay needs. */
export interface ReplayOptions {
  readonly store: Pick<Store, "event" | "events" | "replay">;
  readonly generation: () => Generation;
  readonly clock: Clock;
  readonly makeDeliveryId: () => string;
  readonly wake: () => void;
  /** Throws when nothing that makes rows is taken now. */
  readonly ensureRoom: () => void;
}

/** Replays events. */
export type Replay = (request: ReplayRequest) => Promise<Replayed>;

/** Makes the function that replays. */
export function createReplay(options: ReplayOptions): Replay {
  const { store, generation, clock, makeDeliveryId, wake } = options;

  /** What the routes that are at work make of an event. */
  function route(
    event: EventDetail,
    { names, current }: { names: readonly string[] | undefined; current: Generation },
  ): { route: string; delivery: NewDelivery }[] {
    const scope = scopeOf({ ...event, body: eventBody(event) }, event);
    return routeEvent(scope, current)
      .filter(({ queue }) => names === undefined || names.includes(queue.route.name))
      .map((routed) => ({
        route: routed.queue.route.name,
        delivery: toDelivery(routed, { id: makeDeliveryId(), receivedAt: event.receivedAt }),
      }));
  }

  async function select(request: ReplayRequest, before: number): Promise<{ ids: string[]; nextAfter?: number }> {
    if (request.ids !== undefined) return { ids: [...new Set(request.ids)] };
    const ids: string[] = [];
    let after: number | undefined = request.after ?? 0;
    for (let left = request.limit ?? replayEventsMax; after !== undefined && left > 0;) {
      const page: Awaited<ReturnType<Store["events"]>> = await store.events({
        ...request.filter,
        before,
        after,
        limit: left,
      });
      ids.push(...page.rows.map(({ id }) => id));
      left -= page.rows.length;
      after = page.nextAfter;
    }
    return { ids, nextAfter: after };
  }

  return async (request) => {
    // Once for the call, which is bounded: it is refused or done, and who was refused knows how far it had come.
    if (!request.dryRun) options.ensureRoom();
    const now = clock.now();
    const current = generation(); // once: a reload meanwhile must not route one half of the call by other rules
    const before = request.before ?? await readEventsEnd(store);
    const { ids, nextAfter } = await select(request, before);
    const routes: Record<string, number> = {};
    const missing: string[] = [];
    let unrouted = 0;

    for (let at = 0; at < ids.length; at += heldMax) {
      const replays: { id: string; deliveries: NewDelivery[] }[] = [];
      for (const id of ids.slice(at, at + heldMax)) {
        const event = await store.event(id);
        if (event === undefined) {
          missing.push(id);
          continue;
        }
        const routed = route(event, { names: request.routes, current });
        if (routed.length === 0) unrouted++;
        else replays.push({ id, deliveries: routed.map(({ delivery }) => delivery) });
        for (const each of routed) routes[each.route] = (routes[each.route] ?? 0) + 1;
      }
      if (request.dryRun || replays.length === 0) continue;
      // All at once: the log takes them in this order, and shares its commits among them.
      const replaying = Promise.all(replays.map(({ id, deliveries }) => store.replay(id, deliveries, { now })));
      wake(); // now: should one of them fail, what the others have made ready is looked at all the same
      await replaying;
    }
    return {
      events: ids.length - missing.length,
      unrouted,
      routes,
      missing,
      nextAfter,
      before,
      until: request.filter?.until,
    };
  };
}

/** The position after the last event that there is now. A position and no time: no clock that is set back hides an event. */
export async function readEventsEnd(store: Pick<Store, "events">): Promise<number> {
  const { rows: [newest] } = await store.events({ limit: 1 });
  return (newest?.seq ?? 0) + 1;
}
