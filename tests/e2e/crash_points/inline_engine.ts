/**
 * An engine whose handler is a function of its own program: `weir serve` has none of these, and only against them the
 * death of an engine is counted beforehand. Listens, speaks and ends as `weir serve` does.
 */

import { createWeir } from "weir";
import { standard } from "weir/plugins";
import work from "../kill_project/plugins/work.ts";

const [config] = Deno.args as [string];

const weir = await createWeir({
  ...standard(),
  config,
  handlers: { work },
  adminToken: Deno.env.get("WEIR_ADMIN_TOKEN"),
});
weir.failed.then((error) => {
  console.error(error);
  Deno.exit(75);
});
await weir.start();
const { ingest, admin } = await weir.listen();
const stop = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", () => stop.resolve());
console.log(`listening: ingest http://${ingest.hostname}:${ingest.port}, admin http://${admin.hostname}:${admin.port}`);
await stop.promise;
await weir.stop();
Deno.exit(0);
