/**
 * `weir serve` whose output nobody takes: its addresses are agreed on beforehand, because it cannot say them.
 */

import { fileURLToPath } from "node:url";
import { until } from "../../support/until.ts";
import type { EngineUnderTest } from "../engine_under_test.ts";

const main = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));

/** What is wrong with its stdout and stderr. */
export type Deafness = "full" | "closed" | "broken";

/** Addresses for an engine that cannot tell its own; nobody else asks for these ports in between. */
export function agreedAddresses(): { RIG_LISTEN: string; RIG_ADMIN: string } {
  const listeners = [1, 2].map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const [listen, admin] = listeners.map(({ addr }) => `127.0.0.1:${(addr as Deno.NetAddr).port}`);
  for (const listener of listeners) listener.close();
  return { RIG_LISTEN: listen!, RIG_ADMIN: admin! };
}

/** Starts the engine at the addresses in its environment. */
export function startDeafEngine(
  deafness: Deafness,
  routesFile: string,
  environment: Readonly<Record<string, string>>,
): EngineUnderTest {
  const serve = [Deno.execPath(), "run", "-A", main, "serve", "--config", routesFile];
  const redirection = { full: ">/dev/full 2>&1", closed: ">&- 2>&-", broken: "" }[deafness];
  const out = deafness === "broken" ? "piped" : "null";
  const spawnedAtMs = performance.now();
  const child = new Deno.Command("sh", {
    args: ["-c", `exec "$@" ${redirection}`, "sh", ...serve],
    env: { NO_COLOR: "1", ...environment },
    stdin: "null",
    stdout: out,
    stderr: out,
  }).spawn();
  // The reading end goes before anything is written.
  const closed = out === "piped" ? Promise.all([child.stdout.cancel(), child.stderr.cancel()]) : undefined;
  const addresses = {
    ingestUrl: `http://${environment.RIG_LISTEN}`,
    adminUrl: `http://${environment.RIG_ADMIN}`,
  };
  const isReady = async (url: string): Promise<boolean> => {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok === true;
  };
  return {
    pid: child.pid,
    spawnedAtMs,
    listening: until(
      "the engine is ready",
      async () => await isReady(addresses.ingestUrl) && await isReady(addresses.adminUrl) && addresses,
    ),
    status: child.status.then(async (status) => {
      await closed;
      return status;
    }),
    lastWords: () => "(nobody heard it)",
    kill: (signal) => child.kill(signal),
  };
}
