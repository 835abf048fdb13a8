/**
 * `weir status`: whether the engine runs, and what waits in its queues.
 */

import type { QueueView } from "../core/mod.ts";
import { connect, type EngineOptions } from "./client.ts";
import { escapeControls, paint, print, printJson, printTable } from "./print.ts";
import { describeDuration, describeGate, describePause, describeTime, field, queueOf } from "./wording.ts";

/** Prints the engine's state. Exit code 1 when it is not ready. */
export async function status(options: EngineOptions & { json?: boolean }): Promise<number> {
  const view = await (await connect(options)).status();
  if (options.json) {
    printJson(view);
    return view.ready ? 0 : 1;
  }
  const now = Date.now();
  print(
    `${view.ready ? paint.green("ready") : paint.red("not ready")}${
      view.closed === undefined ? "" : ` (${escapeControls(view.closed)})`
    } weir ${view.version}`,
  );
  const fields = [
    field("since", `${describeTime(view.startedAt)} (${describeDuration(now - view.startedAt)})`),
    field("storage", view.storage),
    field("config", view.configHash.slice(0, 12)),
    field("running", view.running),
    field("orphaned", view.orphaned > 0 ? `${view.orphaned} wait for a route or target that is gone` : undefined),
    ...view.pausedSources.map(({ name, paused }) => field("paused", `source ${name}, ${describePause(paused, now)}`)),
  ];
  for (const line of fields) if (line !== undefined) print(line);
  if (view.queues.length === 0) return view.ready ? 0 : 1;
  print();
  printTable<QueueView>([
    { title: "QUEUE", value: queueOf },
    { title: "READY", value: (row) => `${row.ready}` },
    { title: "RUNNING", value: (row) => `${row.running}` },
    { title: "BLOCKED", value: (row) => `${row.blocked}` },
    {
      title: "PARKED",
      value: (row) => `${row.parked}`,
      paint: (text, row) => row.parked > 0 ? paint.yellow(text) : text,
    },
    { title: "DEAD", value: (row) => `${row.dead}`, paint: (text, row) => row.dead > 0 ? paint.red(text) : text },
    { title: "OLDEST", value: (row) => row.oldestAt === undefined ? "" : describeDuration(now - row.oldestAt) },
    { title: "", value: (row) => describeGate(row, now), widthMax: 80, paint: paint.yellow },
  ], view.queues);
  return view.ready ? 0 : 1;
}
