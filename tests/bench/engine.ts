/**
 * The engine under test in a process of its own: `createWeir` with its two ports, and a counter of what it has finished.
 */

import { createWeir, type Handler } from "weir";
import { standard } from "weir/plugins";
import { buildRoutes, type EngineOrder, routeName } from "./bench_routes.ts";
import { preciseNow, serveLines } from "./line_server.ts";
import { watchLog } from "./watched_log.ts";

const order = JSON.parse(Deno.args[0]!) as EngineOrder;
const log = watchLog({ count: order.countSql ?? false });
const handlers: Record<string, Handler> = {
  paused: (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve)),
  inline: () => preciseNow(),
};
const inline = handlers[order.work];
const weir = await createWeir({
  ...standard(),
  config: buildRoutes(order),
  environment: {},
  ...(inline && { handlers: { [routeName]: inline } }),
});

/** When each success was heard of, in their order. */
const finishedAt: number[] = [];
let failed: string | undefined;
let waiting: { count: number; resolve: (at: number) => void; reject: (reason: Error) => void } | undefined;
weir.observe((seen) => {
  if (seen.kind === "delivery.attempted" && seen.state === "succeeded") {
    finishedAt.push(preciseNow());
    if (waiting?.count === finishedAt.length) waiting.resolve(finishedAt.at(-1)!);
  } else if (seen.kind !== "event.received" && (seen.kind !== "engine" || seen.level !== "info")) {
    failed ??= JSON.stringify(seen);
    waiting?.reject(new Error(failed));
  }
});
await weir.start();
const { ingest } = await weir.listen();

await serveLines({ port: ingest.port }, async ({ step, count, at }) => {
  switch (step) {
    case "finished":
      return { count: finishedAt.filter((each) => each <= (at as number)).length };
    case "wait":
      if (finishedAt.length >= (count as number)) return { at: finishedAt[(count as number) - 1] };
      if (failed !== undefined) throw new Error(failed);
      return {
        at: await new Promise<number>((resolve, reject) => waiting = { count: count as number, resolve, reject }),
      };
    case "check":
      return { failed, pragmas: await log.pragmas() };
    case "sql":
      return await log.counted();
    case "stop":
      await weir.stop({ graceMs: 0 });
      return { failed };
    default:
      throw new RangeError(`unknown step ${step}`);
  }
});
