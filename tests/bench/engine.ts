/**
 * The engine under test in a process of its own: `createWeir` with its two ports, and a counter of what it has finished.
 */

import { createWeir, type Handler } from "weir";
import { standard } from "weir/plugins";
import { buildRoutes, type EngineOrder, routeName } from "./bench_routes.ts";
import { createFinishCounter } from "./finish_counter.ts";
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

const finished = createFinishCounter();
weir.observe((seen) => {
  if (seen.kind === "delivery.attempted" && seen.state === "succeeded") finished.add();
  else if (seen.kind !== "event.received" && (seen.kind !== "engine" || seen.level !== "info")) {
    finished.fail(JSON.stringify(seen));
  }
});
await weir.start();
const { ingest } = await weir.listen();

await serveLines({ port: ingest.port }, async ({ step, count, at }) => {
  switch (step) {
    case "finished":
      return { count: finished.countAt(at as number) };
    case "wait":
      return { at: await finished.reach(count as number) };
    case "check":
      return { failed: finished.failed, pragmas: await log.pragmas() };
    case "sql":
      return await log.counted();
    case "stop":
      await weir.stop({ graceMs: 0 });
      return { failed: finished.failed };
    default:
      throw new RangeError(`unknown step ${step}`);
  }
});
