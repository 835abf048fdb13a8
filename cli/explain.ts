/**
 * `weir explain`: why each route takes an event or does not, what its idempotency key has seen, and what each of its
 * deliveries waits for now.
 */

import type { ExplanationView } from "../core/mod.ts";
import { connect, type EngineOptions } from "./client.ts";
import { printDeliveries } from "./deliveries.ts";
import { escapeControls, paint, print, printJson } from "./print.ts";
import { describeDuplicates, describeTime, field } from "./wording.ts";

/** Longest reason of a delivery; why is what was asked. */
const reasonLengthMax = 200;

/** Prints the explanation of one event. */
export async function explain(id: string, options: EngineOptions & { json?: boolean }): Promise<number> {
  const view = await (await connect(options)).explain(id);
  if (options.json) printJson(view);
  else printExplanation(view);
  return 0;
}

function printExplanation(view: ExplanationView): void {
  const fields = [
    field("event", `${view.id} (${view.source} ${view.type})`),
    field("received", describeTime(view.receivedAt)),
    field("key", view.idempotencyKey ?? "none: nothing tells a repetition from a new event"),
    field("duplicates", describeDuplicates(view) ?? "none"),
    field("replays", view.replayOf),
    field("fault", view.fault),
  ];
  for (const line of fields) if (line !== undefined) print(line);
  print(paint.dim("routes, as they are now"));
  for (const { route, decision, lane, reason } of view.routes) {
    const colour = { matched: paint.green, parked: paint.yellow, unmatched: paint.dim }[decision];
    const why = reason ?? (lane === undefined ? "no lane" : `lane ${lane}`);
    print(`  ${escapeControls(route)} ${colour(decision)}: ${escapeControls(why)}`);
  }
  print(paint.dim("deliveries"));
  if (view.deliveries.length === 0) print(paint.yellow("  none: no route matched when it came"));
  else printDeliveries(view.deliveries, reasonLengthMax);
}
