/**
 * Names in a request that mean nothing here. A mistyped one must not pass for one that matches nothing, but what the log
 * still holds can be named even though the configuration no longer does.
 */

import { type Config, targetName } from "../domain/config.ts";
import { emptyLane, type QueueName, unknownName, unknownQueue } from "../domain/naming.ts";
import type { Store } from "../store/store.ts";

/** What knows names. */
interface Names {
  readonly store: Pick<Store, "gates" | "lanes" | "events">;
  readonly config: () => Config;
}

/** Why there is no such lane: the route, the target, or nothing open in it, and then where else to look. */
export async function describeMissingLane(
  named: QueueName & { readonly lane: string },
  { store }: Names,
): Promise<string> {
  const { route, target, lane } = named;
  const gates = await store.gates();
  // A route that goes to targets has no queue of its own name; that is said with their names.
  const unknown = unknownQueue(target === "" ? { route } : named, gates);
  if (unknown !== undefined) return unknown;
  const queues = gates.filter((queue) => queue.route === route);
  return emptyLane(named, { open: await store.lanes({ route, lane, limit: queues.length }), queues });
}

/** The names in a filter. */
type NamesIn = Partial<QueueName> & { readonly source?: string };

/**
 * Which name in the filter of an action on many is neither configured nor in the log; undefined when there is none. Only
 * the first piece is looked at: when it has erased the last of a name, the log no longer knows that.
 */
export async function findUnknownName(
  { filter = {}, after }: { readonly filter?: NamesIn; readonly after?: number },
  { store, config }: Names,
): Promise<string | undefined> {
  if (after !== undefined) return undefined;
  const { source, ...queue } = filter;
  const { sources, routes } = config();
  if (queue.route !== undefined || queue.target !== undefined) {
    const configured = routes.flatMap(({ name: route, destinations }) =>
      destinations.map((destination) => ({ route, target: targetName(destination) }))
    );
    const unknown = unknownQueue(queue, [...await store.gates(), ...configured]);
    if (unknown !== undefined) return unknown;
  }
  if (source === undefined || sources.has(source)) return undefined;
  const { rows } = await store.events({ source, limit: 1 });
  return rows.length > 0 ? undefined : unknownName("source", source, sources.keys());
}

/** The same for a listing. Its names are only looked at when it has found nothing: what was found was meant. */
export async function findMistyped(
  { route, target, source, before }: NamesIn & { readonly before?: number },
  found: readonly unknown[],
  names: Names,
): Promise<string | undefined> {
  if (found.length > 0) return undefined;
  return await findUnknownName({ filter: { route, target, source }, after: before }, names);
}
