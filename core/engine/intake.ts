/**
 * From a request to rows in the log: verify, parse, describe, route, append, and only then accept. Everything that
 * decides is in `domain/`; this file puts the steps in order.
 */

import { createHash } from "node:crypto";
import { isJson, parseBody } from "../domain/body.ts";
import type { Clock } from "../domain/clock.ts";
import type { CronSource, HttpSource, Source } from "../domain/config.ts";
import { type HeaderMap, type IncomingRequest, storableHeaders } from "../domain/event.ts";
import { type Expression, keyOf, type Scope } from "../domain/expression.ts";
import { cleanType, identify, type Identity } from "../domain/identity.ts";
import { shortReason } from "../domain/outcome.ts";
import type { Answer, DescribedEvent } from "../domain/provider.ts";
import type { Appended, NewEvent, NewRequest, QueueId, Store } from "../store/store.ts";
import type { Generation } from "./generation.ts";
import type { Observer } from "./observer.ts";
import { type Routed, routeEvent, routesWithoutLane, scopeOf, toDelivery } from "./routing.ts";
import type { IdMaker } from "./system_clock.ts";

/** Most events that one request may carry. */
export const eventsPerRequestMax = 10_000;

/** Why a request was not accepted, as far as the caller may know. */
export type RefusalKind = "unverified" | "unparsable" | "invalid";

/** Nothing was logged. `detail` may be shown to the caller; `reason` is for the operator alone. */
export interface Refused {
  readonly kind: "refused";
  readonly refusal: RefusalKind;
  readonly reason: string;
  readonly detail?: string;
  /** For `invalid`: the JSON paths that do not fit the source's schema. */
  readonly paths?: readonly string[];
}

/** What the intake made of a request. */
export type Intaken =
  /** In the log, durably. One entry per event, in the order of the request; `answer` is what the sender requires. */
  | { readonly kind: "accepted"; readonly events: readonly Appended[]; readonly answer?: Answer }
  /** A question of the sender, or of whoever says so where no proof is asked for it, answered; nothing was logged. */
  | { readonly kind: "handshake"; readonly answer: Answer }
  | Refused;

/** Something a program publishes by itself. */
export interface Publication {
  readonly source: string;
  readonly type: string;
  readonly body: unknown;
  readonly idempotencyKey?: string;
}

/**
 * A source together with the generation whose configuration it is of. They are taken once per request and stay together:
 * what comes under one configuration is not routed by another, whatever is reloaded while its body arrives.
 */
export interface SourceAtWork<Kind extends Source = Source> {
  readonly source: Kind;
  readonly generation: Generation;
}

/** The way into the log. */
export interface Intake {
  /** @throws StoreUnavailable when nothing may be acknowledged */
  receive(from: SourceAtWork<HttpSource>, request: IncomingRequest): Promise<Intaken>;
  /**
   * @throws StoreUnavailable likewise
   * @throws RangeError for a source that is not there to publish under
   * @throws TypeError for a body that is not JSON, or a key that cannot be one
   */
  publish(publication: Publication): Promise<Appended>;
  /**
   * Logs a tick of a cron source, which its instant identifies: of several engines that log it, one does.
   *
   * @throws StoreUnavailable likewise
   */
  tick(from: SourceAtWork<CronSource>, tickAt: number): Promise<Appended>;
  /**
   * Remembers that a cron source counts from here on: earlier ticks are no concern of it.
   *
   * @throws StoreUnavailable likewise
   */
  beginTicking(from: SourceAtWork<CronSource>, fromAt: number): Promise<void>;
}

/** Options of {@link createIntake}. */
export interface IntakeOptions {
  readonly store: Pick<Store, "append">;
  /** What is at work now, for what the program itself publishes. */
  readonly generation: () => Generation;
  readonly clock: Clock;
  readonly makeId: IdMaker;
  readonly observe: Observer;
  /** Tells the scheduler in which queues there may be work. */
  readonly wake: (queues: Iterable<QueueId>) => void;
}

/** An event on its way in. */
interface Arrival extends DescribedEvent, Pick<Identity, "idIsOfBody"> {
  /** JSON text of the body when it is not simply the request's. */
  readonly item?: string;
  /** An expression of the source failed: a person has to look before it runs. */
  readonly parkedReason?: string;
}

/** A request's worth of arrivals. */
interface Batch {
  readonly from: SourceAtWork;
  readonly receivedAt: number;
  readonly headers: HeaderMap;
  readonly query: string;
  readonly raw: Uint8Array;
  readonly arrivals: readonly Arrival[];
  readonly replays?: NewRequest["replays"];
  readonly cronAt?: number;
}

/** Makes the way into the log. */
export function createIntake(options: IntakeOptions): Intake {
  const { store, makeId, observe, wake } = options;

  async function append(batch: Batch): Promise<Appended[]> {
    const { source: { name: source }, generation } = batch.from;
    const routes = batch.arrivals.map((arrival): { id: string; places: readonly Routed[] } => {
      const id = makeId("evt");
      const scope = scopeOf({ ...arrival, id, source }, batch);
      return { id, places: routeEvent(scope, generation, arrival.parkedReason) };
    });
    const events = batch.arrivals.map((arrival, at): NewEvent => ({
      id: routes[at]!.id,
      item: arrival.item,
      type: arrival.type,
      idempotencyKey: arrival.id,
      time: arrival.time,
      sha256: createHash("sha256").update(arrival.item ?? batch.raw).digest("hex"),
      deliveries: routes[at]!.places.map((place) =>
        toDelivery(place, { id: makeId("dlv"), receivedAt: batch.receivedAt })
      ),
    }));
    const { query, headers, raw, receivedAt, replays, cronAt } = batch;
    const request = {
      id: makeId("req"),
      source,
      query,
      headers,
      raw,
      receivedAt,
      configHash: generation.config.hash,
      events,
      replays,
      cronAt,
    };
    // If the process dies before this resolves, nobody was answered and the sender tries again.
    const appending = store.append(request);
    wake(events.flatMap(({ deliveries }) => deliveries.map(({ queue }) => queue)));
    const appended = await appending;
    appended.forEach(({ status, eventId }, at) => {
      const { type } = events[at]!;
      const received = { kind: "event.received" as const, at: receivedAt, eventId, source, type, status };
      if (status === "duplicate") return observe({ ...received, queues: [] });
      const { places } = routes[at]!;
      const fault = batch.arrivals[at]!.parkedReason ?? places.find(({ parkedReason }) => parkedReason)?.parkedReason;
      observe({
        ...received,
        queues: places.map(({ queue }) => queue.name),
        withoutLane: routesWithoutLane(places),
        fault: fault && shortReason(fault),
      });
    });
    return appended;
  }

  return {
    async receive(from, request) {
      const { source } = from;
      const verification = await source.scheme.verify(request, { now: options.clock.now() });
      if (!verification.ok) {
        const { reason, answer } = verification;
        return answer === undefined ? refuse("unverified", reason) : { kind: "handshake", answer };
      }
      const verified = verification.request;
      const parsed = parseBody(verified.body, verified.headers["content-type"]);
      if (!parsed.ok) return refuse("unparsable", parsed.reason, { detail: parsed.reason });
      const handshake = source.scheme.handshake?.(verified, parsed.value);
      if (handshake !== undefined) return { kind: "handshake", answer: handshake };

      const headers = storableHeaders(verified.headers, [
        ...source.provider.signatureHeaders,
        ...(source.scheme.signatureHeaders ?? []),
      ]);
      const query = queryOf(verified.url);
      const described = source.scheme.describe(verified, parsed.value);
      const arrivals = arrive(source, described, {
        body: parsed.value,
        headers,
        query,
        receivedAt: verified.receivedAt,
      });
      if ("refusal" in arrivals) return arrivals;
      const answer = source.scheme.accepted?.(verified);
      if (arrivals.length === 0) return { kind: "accepted", events: [], answer };
      const batch = {
        from,
        receivedAt: verified.receivedAt,
        headers,
        query,
        raw: verified.body,
        arrivals,
        replays: replaysOf(source, arrivals),
      };
      return { kind: "accepted", events: await append(batch), answer };
    },

    async publish(publication) {
      const generation = options.generation();
      const source = generation.config.sources.get(publication.source);
      if (source?.kind !== "publish") {
        throw new RangeError(
          `cannot publish under "${publication.source}": expected a source with "publish: true" in routes.yaml`,
        );
      }
      const key = keyOf({ kind: "value", value: publication.idempotencyKey });
      if (!key.ok) throw new TypeError(`cannot publish: idempotencyKey: ${key.reason}`);
      const text = JSON.stringify(publication.body ?? null);
      if (text === undefined) throw new TypeError("cannot publish: the body must be a value that JSON can hold");
      const [appended] = await append({
        from: { source, generation },
        receivedAt: options.clock.now(),
        headers: { "content-type": "application/json" },
        query: "",
        raw: new TextEncoder().encode(text),
        arrivals: [{ id: key.key, type: cleanType(publication.type), body: JSON.parse(text) }],
      });
      return appended!;
    },

    async tick(from, tickAt) {
      const id = new Date(tickAt).toISOString();
      const event = { id, type: "cron", time: tickAt, body: from.source.body };
      const [appended] = await append(batchOf(from, { cronAt: tickAt, arrivals: [event] }));
      return appended!;
    },

    async beginTicking(from, fromAt) {
      await append(batchOf(from, { cronAt: fromAt, arrivals: [] }));
    },
  };

  function batchOf(
    from: SourceAtWork<CronSource>,
    ticking: { cronAt: number; arrivals: readonly Arrival[] },
  ): Batch {
    const raw = new TextEncoder().encode(JSON.stringify(from.source.body));
    const headers = { "content-type": "application/json" };
    return { from, receivedAt: options.clock.now(), headers, query: "", raw, ...ticking };
  }
}

/**
 * An event whose sender signs its id, or whose id is computed from its content, cannot be sent again under another, and
 * nobody looks for it: contents have no order, so their index is nearly half of what is written for an event (11.5 KB
 * with it, 6.4 without). Where bodies need not be JSON, the unsigned content type has a say in what the body is.
 */
function replaysOf(source: HttpSource, arrivals: readonly Arrival[]): NewRequest["replays"] {
  if (source.replayGuard === "body") return "refuse";
  const isSigned = source.provider.signsId ||
    source.contentTypes.every(isJson) && arrivals.every(({ idIsOfBody }) => idIsOfBody);
  return isSigned ? undefined : "flag";
}

function refuse(
  refusal: RefusalKind,
  reason: string,
  shown: { detail?: string; paths?: readonly string[] } = {},
): Refused {
  return { kind: "refused", refusal, reason, ...shown };
}

/** Applies what the source itself says (`split`, `id`, `type`, `schema`) to what its provider described. */
function arrive(
  source: HttpSource,
  described: readonly DescribedEvent[],
  request: { body: unknown; headers: HeaderMap; query: string; receivedAt: number },
): Arrival[] | Refused {
  const found = source.split === undefined ? described : splitBody(source, source.split, described, request);
  if ("refusal" in found) return found;
  if (found.length > eventsPerRequestMax) {
    const reason = `the request carries ${found.length} events, at most ${eventsPerRequestMax} are accepted`;
    return refuse("invalid", reason, { detail: reason });
  }
  const arrivals: Arrival[] = [];
  for (const event of found) {
    const paths = source.schema?.(event.body) ?? [];
    if (paths.length > 0) {
      return refuse("invalid", `schema: ${paths.join("; ")}`, {
        detail: "the body does not fit the source's schema",
        paths,
      });
    }
    const scope = (): Scope => scopeOf({ ...event, id: "", source: source.name }, request);
    const { fault, ...identity } = identify(source, event, scope);
    const item = event.body === request.body ? undefined : JSON.stringify(event.body);
    arrivals.push({ ...identity, time: event.time, body: event.body, item, parkedReason: fault });
  }
  return arrivals;
}

function splitBody(
  source: HttpSource,
  split: Expression,
  described: readonly DescribedEvent[],
  request: { body: unknown; headers: HeaderMap; query: string; receivedAt: number },
): DescribedEvent[] | Refused {
  const whole = described[0] ?? { type: "unknown", body: request.body };
  const items = split.evaluate(scopeOf({ ...whole, id: "", source: source.name, body: request.body }, request));
  if (items.kind === "value" && Array.isArray(items.value)) {
    // The provider's id names the request, not its items: only the source's own `id` can tell them apart.
    return items.value.map((body) => ({ type: whole.type, time: whole.time, body }));
  }
  const reason = items.kind === "value" ? `split: ${split.text} is not a list` : `split: ${items.reason}`;
  return refuse("invalid", reason, { detail: reason });
}

/** The query of a URL, without the question mark. Most senders have none, and then nothing is parsed. */
function queryOf(url: string): string {
  return url.includes("?") ? new URL(url).search.slice(1) : "";
}
