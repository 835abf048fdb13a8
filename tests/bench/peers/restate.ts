/**
 * The front of Restate: an invocation is sent before the answer, and a handler that this process serves takes it. Its
 * argument is the address of the Restate server.
 */

import type { BenchEvent } from "../verified_event.ts";
import { importPackage, serveFront } from "./front.ts";
import type { RestateAddress } from "./restate_server.ts";

/** What is used of Restate's SDK. */
interface RestateSdk {
  service(definition: {
    name: string;
    handlers: Record<string, (ctx: unknown, event: BenchEvent) => Promise<void>>;
  }): unknown;
  createEndpointHandler(options: {
    services: unknown[];
    logger: (about: { level: string }, ...words: unknown[]) => void;
  }): Deno.ServeHandler;
}

const { service, createEndpointHandler } = await importPackage<RestateSdk>("npm:@restatedev/restate-sdk@1.17.2/fetch");
const { ingress, admin } = JSON.parse(Deno.args[0]!) as RestateAddress;

/** Posts JSON and reads the answer to its end, so that the connection is free again. */
async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`Restate answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

await serveFront(async ({ started, finished, failed }) => {
  // An event counts as finished when its handler is: nobody is told when Restate has logged the result.
  const take = (_: unknown, event: BenchEvent): Promise<void> => {
    started(event.id);
    finished();
    return Promise.resolve();
  };
  const endpoint = createEndpointHandler({
    services: [service({ name: "bench", handlers: { take } })],
    // Its own logger writes a line for every event, to standard output, which belongs to the benchmark.
    logger: ({ level }, ...words) => level === "error" && failed(words.map(String).join(" ")),
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, endpoint);
  await post(`${admin}/deployments`, { uri: `http://127.0.0.1:${server.addr.port}/` });
  return {
    enqueue: (event) => post(`${ingress}/bench/take/send`, event),
    async unfinished() {
      const query = "SELECT count(*) AS n FROM sys_invocation WHERE status <> 'completed'";
      const { rows } = await post(`${admin}/query`, { query }) as { rows: { n: number }[] };
      return rows[0]!.n;
    },
    durability: () => Promise.resolve("as it comes"),
  };
});
