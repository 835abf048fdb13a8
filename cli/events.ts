/**
 * `weir events`: what came in, and what became of it.
 */

import type { EventRow, EventView } from "../core/mod.ts";
import { connect, type EngineOptions, type EventQuery } from "./client.ts";
import { printDeliveries } from "./deliveries.ts";
import { escapeControls, escapeLines, paint, print, printError, printJson, printTable } from "./print.ts";
import { describeCounts, describeDuplicates, describeFlags, describeTime, field } from "./wording.ts";

/** Prints events, newest first. */
export async function listEvents(options: EngineOptions & EventQuery & { json?: boolean }): Promise<number> {
  const { source, type, since, until, before, limit } = options;
  const page = await (await connect(options)).events({ source, type, since, until, before, limit });
  if (options.json) {
    printJson(page);
    return 0;
  }
  if (page.rows.length === 0) printError("no events");
  else printEvents(page.rows);
  if (page.nextBefore !== undefined) printError(paint.dim(`more with --before ${page.nextBefore}`));
  return 0;
}

/** Prints one event: where it came from, what it says, where it went. */
export async function showEvent(id: string, options: EngineOptions & { json?: boolean }): Promise<number> {
  const event = await (await connect(options)).event(id);
  if (options.json) printJson(event);
  else printEvent(event);
  return 0;
}

function printEvents(rows: readonly EventRow[]): void {
  printTable<EventRow>([
    { title: "EVENT", value: (row) => row.id },
    { title: "RECEIVED", value: (row) => describeTime(row.receivedAt) },
    { title: "SOURCE", value: (row) => row.source },
    { title: "TYPE", value: (row) => row.type, widthMax: 40 },
    { title: "DELIVERIES", value: (row) => describeCounts(row.deliveries) },
    { title: "", value: describeFlags, paint: paint.yellow },
  ], rows);
}

function printEvent(event: EventView): void {
  const { id, source, type, idempotencyKey, time, receivedAt, query, headers } = event;
  const fields = [
    field("event", id),
    field("source", source),
    field("type", type),
    field("key", idempotencyKey),
    field("happened", time === undefined ? undefined : describeTime(time)),
    field("received", describeTime(receivedAt)),
    field("duplicates", describeDuplicates(event)),
    field("replays", event.replayOf),
    field("query", query),
  ];
  for (const line of fields) if (line !== undefined) print(line);
  print(paint.dim("headers"));
  for (const [name, value] of Object.entries(headers)) print(`  ${escapeControls(name)}: ${escapeControls(value)}`);
  print(paint.dim("body"));
  const body = typeof event.body === "string" ? event.body : JSON.stringify(event.body, undefined, 2) ?? "";
  print(escapeLines(body).replaceAll(/^/gm, "  "));
  if (event.deliveryRows.length === 0) print(paint.yellow("no route matched"));
  else printDeliveries(event.deliveryRows);
}
