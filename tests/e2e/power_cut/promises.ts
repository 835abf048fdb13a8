/**
 * What the outside was told before the power went, and whether the log that is left keeps it. What was not yet told may
 * be there or not, but only whole.
 */

import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import type { NewRequest, QueueId, Store } from "../../../core/store/store.ts";

/** Something that was told. */
export type Told =
  /** An event was taken, as part of a request with these bytes. */
  | { readonly kind: "taken"; readonly event: string; readonly key: string; readonly sha256: string }
  /** The same key came again, and was recognised. */
  | { readonly kind: "again"; readonly key: string }
  /** An attempt has succeeded, and was settled. */
  | { readonly kind: "done"; readonly delivery: string };

/** Every event goes to both. */
export const queueNames = ["work", "mirror"] as const;

/** Keys that are sent again to the log that is left. */
const sentAgain = 20;

/** SHA-256 in hex. */
export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Makes sure of {@link queueNames}. */
export function registerQueues(store: Store): Promise<QueueId[]> {
  return store.registerQueues(queueNames.map((route) => ({ route, target: "" })));
}

/** One request: each key is an event with a delivery in each queue. */
export function makeRequest(
  name: string,
  keys: readonly string[],
  { raw, queues, receivedAt }: { raw: Uint8Array; queues: readonly QueueId[]; receivedAt: number },
): NewRequest {
  const events = keys.map((key, at) => ({
    id: `evt_${name}-${at}`,
    type: "t",
    idempotencyKey: key,
    sha256: digest(raw),
    deliveries: queues.map((queue) => ({ id: `dlv_${name}-${at}-${queue}`, queue, lane: `lane-${name.length % 5}` })),
  }));
  return { id: `req_${name}`, source: "s", query: "", headers: {}, raw, receivedAt, configHash: "c", events };
}

/** Sends some of what was taken again, and something new: whatever is not answered as it must be. */
export async function askAgain(store: Store, told: readonly Told[]): Promise<string[]> {
  const broken: string[] = [];
  const queues = await registerQueues(store);
  const send = async (name: string, key: string) =>
    (await store.append(makeRequest(name, [key], { raw: new Uint8Array(1), queues, receivedAt: 1 })))[0]!;
  const taken = told.flatMap((each) => each.kind === "taken" ? each : []).slice(-sentAgain);
  await Promise.all(taken.map(async ({ key, event }) => {
    const { status, eventId } = await send(`again-${key}`, key);
    if (status !== "duplicate" || eventId !== event) broken.push(`${event} again: ${status} as ${eventId}`);
  }));
  const { status } = await send("new", "a key that nobody has");
  if (status !== "accepted") broken.push(`a new event is answered as ${status}`);
  return broken;
}

/** Everything in which the log at `path` is not what was told, or not whole. */
export function findBroken(path: string, told: readonly Told[]): string[] {
  using db = new DatabaseSync(path, { readOnly: true });
  const [checked] = Object.values(db.prepare("PRAGMA integrity_check").get()!);
  if (checked !== "ok") return [`SQLite: ${checked}`];
  const all = <Row>(sql: string): Row[] => db.prepare(sql).all() as Row[];
  const events = new Map(
    all<{ id: string; raw: Uint8Array; winner: string | null; seen: number | null; sha256: string }>(
      `SELECT e.id, r.raw, i.event_id AS winner, i.seen, e.sha256 FROM events AS e JOIN requests AS r ON r.id = e.request_id
       LEFT JOIN idempotency AS i ON i.source = e.source AND i.key = e.idem_key`,
    ).map((row) => [row.id, row]),
  );
  const succeeded = new Set(
    all<{ id: string }>(
      `SELECT d.id FROM deliveries AS d JOIN attempts AS a ON a.delivery = d.seq AND a.outcome = 'succeeded'
       WHERE d.state = 'succeeded'`,
    ).map(({ id }) => id),
  );
  const eventOfKey = new Map(told.flatMap((each) => each.kind === "taken" ? [[each.key, each.event]] : []));
  const repeats = Map.groupBy(told.flatMap((each) => each.kind === "again" ? each.key : []), (key) => key);

  return [
    ...told.flatMap((each) => {
      if (each.kind === "done") return succeeded.has(each.delivery) ? [] : [`${each.delivery} is not done any more`];
      if (each.kind === "again") return [];
      const event = events.get(each.event);
      if (event === undefined) return [`${each.event} is lost`];
      if (digest(event.raw) !== each.sha256) return [`${each.event} has other bytes than were sent`];
      return event.winner === each.event ? [] : [`the key of ${each.event} belongs to ${event.winner}`];
    }),
    ...[...repeats].flatMap(([key, { length }]) => {
      const event = events.get(eventOfKey.get(key) ?? "");
      return (event?.seen ?? 0) > length
        ? []
        : [`${key} came ${length} times again, and was seen ${event?.seen} times`];
    }),
    // Of these nobody was told, and they must be whole all the same.
    ...all<{ id: string }>(
      `SELECT e.id FROM events AS e LEFT JOIN requests AS r ON r.id = e.request_id
       LEFT JOIN idempotency AS i ON i.source = e.source AND i.key = e.idem_key WHERE r.id IS NULL OR i.event_id IS NOT e.id`,
    ).map(({ id }) => `${id} has no request or no key`),
    ...all<{ id: string; n: number }>(
      `SELECT e.id, count(d.seq) AS n FROM events AS e LEFT JOIN deliveries AS d ON d.event_seq = e.seq
       GROUP BY e.seq HAVING n <> ${queueNames.length}`,
    ).map(({ id, n }) => `${id} has ${n} deliveries of ${queueNames.length}`),
    ...all<{ id: string }>("SELECT id FROM requests WHERE id NOT IN (SELECT request_id FROM events)")
      .map(({ id }) => `${id} has no events`),
    ...all<{ id: string }>("SELECT id FROM deliveries WHERE event_seq NOT IN (SELECT seq FROM events)")
      .map(({ id }) => `${id} has no event`),
    ...all<{ id: string }>(
      `SELECT id FROM deliveries AS d WHERE state = 'succeeded'
       AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.delivery = d.seq AND a.outcome = 'succeeded')`,
    ).map(({ id }) => `${id} has succeeded without an attempt`),
  ];
}
