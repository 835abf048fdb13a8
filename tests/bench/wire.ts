/**
 * The yardstick: a bare `Deno.serve` that reads the body, verifies its HMAC, parses its JSON and stores nothing. What
 * an engine reaches is told as a ratio to this.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { serveLines } from "./line_server.ts";
import { secret, signatureHeader } from "./signed_request.ts";

async function answer(request: Request): Promise<Response> {
  const body = new Uint8Array(await request.arrayBuffer());
  const given = request.headers.get(signatureHeader)?.slice("sha256=".length) ?? "";
  const expected = createHmac("sha256", secret).update(body).digest();
  if (!timingSafeEqual(Uint8Array.fromHex(given), expected)) return new Response(null, { status: 401 });
  const event = JSON.parse(new TextDecoder().decode(body));
  return Response.json({ id: event.id, status: "accepted" }, { status: 202 });
}

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
await serveLines({ port: server.addr.port }, () => ({}));
