/**
 * Answers every request with the same bytes without looking at it: what the load generator reaches against this is the
 * generator's own ceiling. It relies on each request arriving whole in as many bytes as the first one.
 */

import { serveLines } from "./line_server.ts";

const answer = new TextEncoder().encode(
  "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
);

async function respond(conn: Deno.Conn): Promise<void> {
  const chunk = new Uint8Array(16_384);
  try {
    while (await conn.read(chunk) !== null) await conn.write(answer);
  } catch {
    // The generator has gone.
  }
  conn.close();
}

async function accept(listener: Deno.TcpListener): Promise<void> {
  for await (const conn of listener) {
    conn.setNoDelay(true);
    void respond(conn);
  }
}

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
void accept(listener);
await serveLines({ port: listener.addr.port }, () => ({}));
