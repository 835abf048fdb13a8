import { createWeir } from "weir";
import { standard } from "weir/plugins";

const weir = await createWeir({
  ...standard(),
  config: {
    version: 1,
    storage: { url: "file:weir.db" },
    sources: { app: { publish: true } },
    routes: { welcome: { from: "app", on: "user.created", order_by: "body.id" } },
  },
  handlers: {
    welcome: (event) => console.log(`welcome, user ${event.body.id}`), // in this process, with its permissions
  },
});
await weir.start();
Deno.serve((request, info) => weir.fetch(request, info)); // or app.mount("/weir", weir.fetch)
await weir.publish({ source: "app", type: "user.created", body: { id: 1 }, idempotencyKey: "user-1" });
