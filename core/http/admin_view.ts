/**
 * What the admin API shows of the configuration and of an event. Nothing secret passes here: every member is named, so
 * that a new one is hidden until somebody decides to show it.
 */

import { encodeBase64 } from "@std/encoding/base64";
import { parseBody, parseJsonText } from "../domain/body.ts";
import { type Destination, type Route, type Source, targetName } from "../domain/config.ts";
import type { EventDetail } from "../store/store.ts";
import type { DestinationView, EventView, RouteView, SourceView } from "./admin_schema.ts";

/** An event with its bytes in base64 and its body as handlers see it. */
export function viewEvent({ raw, ...event }: EventDetail): EventView {
  return { ...event, rawBase64: encodeBase64(raw), body: bodyOf({ raw, ...event }) };
}

function bodyOf({ raw, item, headers }: EventDetail): unknown {
  if (item !== undefined) return parseJsonText(item);
  const parsed = parseBody(raw, headers["content-type"]);
  return parsed.ok ? parsed.value : undefined;
}

/** A route as it is configured now. */
export function viewRoute(route: Route): RouteView {
  const { name, from, on, when, orderBy, onExhausted, retry, destinations } = route;
  return {
    name,
    from,
    on,
    when: when?.text,
    orderBy: orderBy?.text,
    onExhausted,
    retry,
    destinations: destinations.map(viewDestination),
  };
}

function viewDestination(destination: Destination): DestinationView {
  const { kind, timeoutMs, concurrency } = destination;
  const shown = { kind, target: targetName(destination), timeoutMs, concurrency };
  switch (destination.kind) {
    case "script":
      return { ...shown, file: destination.file, permissions: destination.permissions };
    case "target":
      return { ...shown, origin: new URL(destination.url).origin, headerNames: Object.keys(destination.headers) };
    case "inline":
      return shown;
  }
}

/** A source as it is configured now. */
export function viewSource(source: Source): SourceView {
  if (source.kind === "publish") return { name: source.name, kind: source.kind };
  if (source.kind === "cron") {
    const { name, kind, schedule, timezone } = source;
    return { name, kind, schedule, timezone };
  }
  return {
    name: source.name,
    kind: source.kind,
    path: source.path,
    provider: source.provider.name,
    id: source.id?.text,
    type: source.type?.text,
    split: source.split?.text,
    allowIps: source.allowIps,
    bodyBytesMax: source.bodyBytesMax,
    contentTypes: source.contentTypes,
    rateLimit: source.rateLimit,
    hasSchema: source.schema !== undefined,
  };
}
