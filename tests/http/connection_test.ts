/** A connection between two turns of the event loop: what a real socket brings about once in a million times. */

import { assertEquals } from "@std/assert";
import { Connection } from "../../core/http/connection.ts";
import { portLimits } from "../../core/http/port.ts";

/** A socket whose every read and write ends when the test says so. */
function createSocket() {
  const reads: { buffer: Uint8Array; end: (count: number | null) => void }[] = [];
  const writes: { text: string; end: () => void }[] = [];
  const socket = {
    isClosed: false,
    setNoDelay() {},
    closeWrite: () => Promise.resolve(),
    read: (buffer: Uint8Array) => new Promise<number | null>((end) => reads.push({ buffer, end })),
    write: (bytes: Uint8Array) =>
      new Promise<number>((resolve) => {
        writes.push({ text: new TextDecoder().decode(bytes), end: () => resolve(bytes.length) });
      }),
    close() {
      socket.isClosed = true;
    },
  };
  return {
    socket,
    writes,
    /** Gives the read that waits its bytes. */
    bring(text: string): void {
      const { buffer, end } = reads.shift()!;
      end(new TextEncoder().encodeInto(text, buffer).written);
    },
  };
}

function open() {
  const { socket, writes, bring } = createSocket();
  const taken: string[] = [];
  const refused: number[] = [];
  let now = 0;
  const connection = new Connection(socket as unknown as Deno.TcpConn, {
    door: {
      answer({ url }) {
        taken.push(url.path);
        return Promise.resolve({ status: 202 });
      },
      refuse({ status }) {
        refused.push(status);
        return { status };
      },
    },
    limits: portLimits,
    coarseNow: () => now,
    date: () => "now",
    isClosing: () => false,
    onIdle() {},
  });
  return {
    connection,
    ended: connection.converse(),
    socket,
    writes,
    bring,
    taken,
    refused,
    pass: (ms: number) => now += ms,
  };
}

/** Lets everything happen that waits for nothing outside. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

const request = "GET /event HTTP/1.1\r\nHost: h\r\n\r\n";

Deno.test("Connection: a request that was read in the moment of closing is not taken: nobody would get its answer", async () => {
  const { connection, ended, bring, taken } = open();
  await settle();
  bring(request);
  connection.close();
  await ended;
  assertEquals(taken, []);
});

Deno.test("Connection: a head that is too late is refused once, whatever comes of it meanwhile", async () => {
  for (const rest of ["\r\n", "no header\r\n\r\n"]) {
    const { connection, ended, socket, writes, bring, taken, refused, pass } = open();
    await settle();
    bring(request.slice(0, -2));
    await settle();
    pass(portLimits.headTimeoutMs + 1_000);
    connection.expire();
    await settle();
    bring(rest);
    await settle();
    assertEquals([socket.isClosed, writes.length], [false, 1]); // the refusal is on its way, and nothing cuts it off
    writes[0]!.end();
    await ended;
    assertEquals([taken, refused, writes.length, socket.isClosed], [[], [408], 1, true]);
  }
});
