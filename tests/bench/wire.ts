/**
 * The yardstick: a bare `Deno.serve` that reads the body, verifies its HMAC, parses its JSON and stores nothing. What
 * an engine reaches is told as a ratio to this.
 */

import { serveLines } from "./line_server.ts";
import { accept, readVerified } from "./verified_event.ts";

async function answer(request: Request): Promise<Response> {
  const event = await readVerified(request);
  return event === undefined ? new Response(null, { status: 401 }) : accept(event);
}

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
await serveLines({ port: server.addr.port }, () => ({}));
