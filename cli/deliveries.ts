/**
 * `weir deliveries` and `weir dead`: the work that events became, listed and shown. What a person can do about it is in
 * redeliver.ts.
 */

import type { DeliveryDetailView, DeliveryView, Page } from "../core/mod.ts";
import { connect, type DeliveryFilter, type DeliveryQuery, type EngineOptions } from "./client.ts";
import { escapeLines, paint, print, printError, printJson, printTable } from "./print.ts";
import { describeDuration, describeState, describeTime, field, paintState, queueOf } from "./wording.ts";

type ListOptions = EngineOptions & DeliveryQuery & { readonly json?: boolean };

/** Prints deliveries, newest first. */
export async function listDeliveries(options: ListOptions & { event?: string }): Promise<number> {
  const { event: eventId, before, limit } = options;
  const client = await connect(options);
  printPage(await client.deliveries({ ...filterOf(options), eventId, before, limit }), options);
  return 0;
}

/** Prints dead letters, newest first; those that have been redelivered are answered for by what was made from them. */
export async function listDead(options: ListOptions & { all?: boolean }): Promise<number> {
  const { before, limit, all = false } = options;
  const page = await (await connect(options)).dead({ ...filterOf(options), before, limit, unrepeated: !all });
  printPage(page, options, "dead letters");
  const { repeated = 0 } = page;
  if (repeated > 0 && !options.json) {
    printError(paint.dim(`${repeated} left out that ${repeated === 1 ? "has" : "have"} been redelivered: see --all`));
  }
  return 0;
}

/** The filter among the options of a command. */
export function filterOf({ route, target, lane, state, source, since, until }: DeliveryFilter): DeliveryFilter {
  return { route, target, lane, state, source, since, until };
}

/** Prints one delivery with all its attempts. */
export async function showDelivery(id: string, options: EngineOptions & { json?: boolean }): Promise<number> {
  const delivery = await (await connect(options)).delivery(id);
  if (options.json) printJson(delivery);
  else printDelivery(delivery);
  return 0;
}

function printPage(page: Page<DeliveryView>, options: { json?: boolean }, what = "deliveries"): void {
  if (options.json) {
    printJson(page);
    return;
  }
  if (page.rows.length === 0) printError(`no ${what}`);
  else printDeliveries(page.rows);
  if (page.nextBefore !== undefined) printError(paint.dim(`more with --before ${page.nextBefore}`));
}

/** Prints deliveries one line each, with reasons of a length that a listing has room for unless told otherwise. */
export function printDeliveries(rows: readonly DeliveryView[], reasonLengthMax = 80): void {
  const now = Date.now();
  printTable<DeliveryView>([
    { title: "DELIVERY", value: (row) => row.id },
    { title: "CREATED", value: (row) => describeTime(row.createdAt) },
    { title: "QUEUE", value: queueOf, widthMax: 30 },
    { title: "LANE", value: (row) => row.lane ?? "", widthMax: 20 },
    { title: "TYPE", value: (row) => row.eventType, widthMax: 30 },
    { title: "STATE", value: (row) => row.state, paint: (text, row) => paintState(text, row.state) },
    { title: "ATTEMPTS", value: (row) => `${row.executions}` },
    { title: "REASON", value: (row) => describeState(row, now), widthMax: reasonLengthMax },
  ], rows);
}

function printDelivery(delivery: DeliveryDetailView): void {
  const {
    id,
    eventId,
    source,
    eventType,
    lane,
    state,
    redeliveryOf,
    redeliveredAs,
    createdAt,
    finishedAt,
    behind,
    result,
  } = delivery;
  const why = describeState(delivery, Date.now());
  const fields = [
    field("delivery", id),
    field("event", `${eventId} (${source} ${eventType})`),
    field("queue", queueOf(delivery)),
    field("lane", lane),
    field("state", why === "" ? state : `${state}: ${why}`),
    field("waits for", state === "parked" ? `a person: weir deliveries resume ${id}, or skip` : undefined),
    field("behind", behind),
    field("repeats", redeliveryOf),
    field("redelivered", redeliveredAs && `as ${redeliveredAs.id} (${redeliveredAs.state})`),
    field("origin", delivery.origin === "event" ? undefined : delivery.origin),
    field("order", delivery.outOfOrder ? "others of its lane may have passed before it was made" : undefined),
    field("created", describeTime(createdAt)),
    field("finished", finishedAt === undefined ? undefined : describeTime(finishedAt)),
    field("result", result),
  ];
  for (const line of fields) if (line !== undefined) print(line);
  for (const attempt of delivery.attempts) {
    const took = describeDuration(attempt.finishedAt - attempt.startedAt);
    print(`${paint.bold(`attempt ${attempt.n}`)} ${describeTime(attempt.startedAt)}, ${took}: ${attempt.outcome}`);
    if (attempt.reason) print(escapeLines(attempt.reason).replaceAll(/^/gm, "  "));
    if (attempt.output) print(escapeLines(attempt.output.trimEnd()).replaceAll(/^/gm, paint.dim("  | ")));
  }
}
