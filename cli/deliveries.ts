/**
 * `weir deliveries` and `weir dead`: the work that events became, and what a person can do about it.
 */

import type { DeliveryDetail, DeliveryRow, Page } from "../core/mod.ts";
import { type Client, connect, type DeliveryQuery, type EngineOptions } from "./client.ts";
import { Failure, UsageError } from "./failure.ts";
import { escapeLines, paint, print, printError, printJson, printTable } from "./print.ts";
import { describeDuration, describeTime, describeWait, field, paintState, queueOf } from "./wording.ts";

type ListOptions = EngineOptions & DeliveryQuery & { readonly json?: boolean };

/** Prints deliveries, newest first. */
export async function listDeliveries(options: ListOptions & { event?: string }): Promise<number> {
  const { route, target, lane, state, event, before, limit } = options;
  const client = await connect(options);
  printPage(await client.deliveries({ route, target, lane, state, eventId: event, before, limit }), options);
  return 0;
}

/** Prints dead letters, newest first. */
export async function listDead(options: ListOptions): Promise<number> {
  const { route, target, before, limit } = options;
  printPage(await (await connect(options)).dead({ route, target, before, limit }), options);
  return 0;
}

/** Prints one delivery with all its attempts. */
export async function showDelivery(id: string, options: EngineOptions & { json?: boolean }): Promise<number> {
  const delivery = await (await connect(options)).delivery(id);
  if (options.json) printJson(delivery);
  else printDelivery(delivery);
  return 0;
}

/** Makes a new delivery from each finished one. Exit code 1 when one of them could not be. */
export async function redeliver(ids: readonly string[], options: EngineOptions): Promise<number> {
  const client = await connect(options);
  return await eachOf(ids, async (id) => `${id} → ${(await client.redeliver(id)).id}`);
}

/** Cancels deliveries that are neither running nor finished. Exit code 1 when one of them could not be. */
export async function cancel(ids: readonly string[], options: EngineOptions): Promise<number> {
  const client = await connect(options);
  return await eachOf(ids, async (id) => {
    await client.cancel(id);
    return `${id} cancelled`;
  });
}

/** Redelivers the dead letters that are named, or all of them, of one route if one is given. */
export async function redeliverDead(
  ids: readonly string[],
  options: EngineOptions & { all?: boolean; route?: string },
): Promise<number> {
  if (ids.length > 0) {
    if (options.all || options.route !== undefined) throw new UsageError("name dead letters, or use --all: not both");
    return await redeliver(ids, options);
  }
  if (!options.all && options.route === undefined) {
    throw new UsageError("say which dead letters: their ids, --route NAME, or --all");
  }
  const client = await connect(options);
  const found = await findDead(client, options.route);
  if (found.length === 0) printError("no dead letters");
  return await eachOf(found, async (id) => `${id} → ${(await client.redeliver(id)).id}`);
}

/** The dead letters that nothing has repeated yet, oldest first, so that they come back in the order they had. */
async function findDead(client: Client, route: string | undefined): Promise<string[]> {
  const found: DeliveryRow[] = [];
  let before: number | undefined;
  do {
    const page: Page<DeliveryRow> = await client.dead({ route, before, limit: 100 });
    for (const row of page.rows) if (!await isRepeated(client, row)) found.push(row);
    before = page.nextBefore;
  } while (before !== undefined);
  return found.reverse().map((row) => row.id);
}

/** A dead letter stays dead when it is redelivered, so that a second `--all` would repeat it once more. */
async function isRepeated(client: Client, row: DeliveryRow): Promise<boolean> {
  const { deliveryRows } = await client.event(row.eventId);
  return deliveryRows.some((other) => other.redeliveryOf === row.id);
}

async function eachOf(ids: readonly string[], act: (id: string) => Promise<string>): Promise<number> {
  let refused = 0;
  for (const id of ids) {
    try {
      print(await act(id));
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      printError(`${id}: ${thrown.message}`);
      refused++;
    }
  }
  return refused === 0 ? 0 : 1;
}

function printPage(page: Page<DeliveryRow>, options: { json?: boolean }): void {
  if (options.json) {
    printJson(page);
    return;
  }
  if (page.rows.length === 0) printError("no deliveries");
  else printDeliveries(page.rows);
  if (page.nextBefore !== undefined) printError(paint.dim(`more with --before ${page.nextBefore}`));
}

/** Prints deliveries one line each. */
export function printDeliveries(rows: readonly DeliveryRow[]): void {
  const now = Date.now();
  printTable<DeliveryRow>([
    { title: "DELIVERY", value: (row) => row.id },
    { title: "CREATED", value: (row) => describeTime(row.createdAt) },
    { title: "QUEUE", value: queueOf, widthMax: 30 },
    { title: "LANE", value: (row) => row.lane ?? "", widthMax: 20 },
    { title: "TYPE", value: (row) => row.eventType, widthMax: 30 },
    { title: "STATE", value: (row) => row.state, paint: (text, row) => paintState(text, row.state) },
    { title: "ATTEMPTS", value: (row) => `${row.executions}` },
    { title: "REASON", value: (row) => describeWait(row, now), widthMax: 80 },
  ], rows);
}

function printDelivery(delivery: DeliveryDetail): void {
  const { id, eventId, source, eventType, lane, state, redeliveryOf, createdAt, finishedAt, behind, result } = delivery;
  const waits = describeWait(delivery, Date.now());
  const fields = [
    field("delivery", id),
    field("event", `${eventId} (${source} ${eventType})`),
    field("queue", queueOf(delivery)),
    field("lane", lane),
    field("state", waits === "" ? state : `${state}: ${waits}`),
    field("behind", behind),
    field("repeats", redeliveryOf),
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
