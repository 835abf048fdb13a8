/**
 * The program that the tests of ports start with few file descriptors: it listens, tells on stdout what it observes, and
 * ends on SIGTERM. Its one argument says with which port: `platform` or `own`.
 */

import { systemClock } from "../../core/engine/system_clock.ts";
import { listen } from "../../core/http/listener.ts";
import { openPort } from "../../core/http/port.ts";

const tell = (value: unknown) => console.log(JSON.stringify(value));
const address = { hostname: "127.0.0.1", port: 0 };
const options = { clock: systemClock, observe: tell };
const here = { status: 200, body: "here" };

const listener = Deno.args[0] === "own"
  ? openPort(address, { answer: () => Promise.resolve(here), refuse: ({ status }) => ({ status }) }, options)
  : await listen(address, () => new Response("here"), options);
tell(listener.address);
Deno.addSignalListener("SIGTERM", async () => {
  await listener.close();
  Deno.exit(0);
});
