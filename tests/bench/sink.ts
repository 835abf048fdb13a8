/**
 * The receiver of the HTTP target: takes everything and answers 204.
 */

import { serveLines } from "./line_server.ts";

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
  await request.arrayBuffer();
  return new Response(null, { status: 204 });
});
await serveLines({ port: server.addr.port }, () => ({}));
