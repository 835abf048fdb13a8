/**
 * An HTTP server written by hand on a socket, for the answers that no HTTP library would send: endless, broken, lying.
 */

import { Buffer } from "node:buffer";

/** What one request looked like on the wire. */
export interface Seen {
  readonly head: string;
  readonly body: Uint8Array;
}

/** How a server treats a connection whose request has been read in full. */
export type Answer = (connection: Deno.TcpConn, seen: Seen) => Promise<unknown>;

/** A server on a port of its own; disposing of it waits for its last connection. */
export interface RawServer {
  readonly url: string;
  readonly address: string;
  readonly seen: readonly Seen[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server that reads one request per connection, byte by byte, and then does with the connection whatever it likes. */
export function serveRaw(answer: Answer): RawServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const seen: Seen[] = [];
  const serve = async (connection: Deno.TcpConn) => {
    try {
      const request = await readRequest(connection);
      seen.push(request);
      await answer(connection, request);
    } catch {
      // The client went away, which is what many of these tests are about.
    } finally {
      try {
        connection.close();
      } catch { /* closed by the answer already */ }
    }
  };
  const serving = (async () => {
    const connections: Promise<void>[] = [];
    for await (const connection of listener) connections.push(serve(connection));
    await Promise.all(connections);
  })();
  const { port } = listener.addr;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    address: `127.0.0.1:${port}`,
    seen,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await serving;
    },
  };
}

async function readRequest(connection: Deno.TcpConn): Promise<Seen> {
  let bytes = Buffer.alloc(0);
  for (const chunk = new Uint8Array(65_536);;) {
    const end = bytes.indexOf("\r\n\r\n");
    const head = end === -1 ? "" : bytes.subarray(0, end).toString("latin1");
    const length = Number(head.match(/^content-length: (\d+)/im)?.[1] ?? 0);
    if (end !== -1 && bytes.length >= end + 4 + length) return { head, body: bytes.subarray(end + 4) };
    const read = await connection.read(chunk);
    if (read === null) throw new Error("the client closed the connection before its request was complete");
    bytes = Buffer.concat([bytes, chunk.subarray(0, read)]);
  }
}

/** Writes all of it. */
export async function write(connection: Deno.TcpConn, data: string | Uint8Array): Promise<void> {
  let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
}

/** Answers like an ordinary server. */
export function reply(status: string, headers = "", body = ""): Answer {
  return (connection) =>
    write(connection, `HTTP/1.1 ${status}\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`);
}

/** Holds the connection until the client lets go of it. */
export async function untilClosed(connection: Deno.TcpConn): Promise<void> {
  while (await connection.read(new Uint8Array(1_024)) !== null);
}
