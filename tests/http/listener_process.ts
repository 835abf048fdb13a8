/**
 * The program that `listener_test.ts` starts with few file descriptors: it listens, tells on stdout what it observes, and
 * ends on SIGTERM.
 */

import { systemClock } from "../../core/engine/system_clock.ts";
import { listen } from "../../core/http/listener.ts";

const tell = (value: unknown) => console.log(JSON.stringify(value));

const listener = await listen({ hostname: "127.0.0.1", port: 0 }, () => new Response("here"), {
  clock: systemClock,
  observe: tell,
  onListen: tell,
});
Deno.addSignalListener("SIGTERM", async () => {
  await listener.close();
  Deno.exit(0);
});
