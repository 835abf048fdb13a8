/**
 * The one request that every server of the benchmark is sent: a JSON body of 1 KB signed with HMAC-SHA256, as the bytes
 * that go over the socket. Built before the clock starts.
 */

import { createHmac } from "node:crypto";

/** Where the requests go, in every server of the benchmark. */
export const path = "/hooks/bench";
export const secret = "benchmark-secret-of-32-characters";
export const signatureHeader = "x-bench-signature";
export const idHeader = "x-bench-id";

/** Bytes of a body. */
export const bodyBytes = 1_024;

const encoder = new TextEncoder();

/** Builds the bytes of one request. `key` is what an ordered route orders by. */
export function buildRequest(id: string, key: string): Uint8Array {
  const head = { id, key, type: "bench.event", amount: 1_234, note: "" };
  const room = bodyBytes - JSON.stringify(head).length;
  const body = JSON.stringify({ ...head, note: "lorem ipsum ".repeat(100).slice(0, room) });
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  return encoder.encode(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `${idHeader}: ${id}\r\n${signatureHeader}: sha256=${signature}\r\n\r\n${body}`,
  );
}
