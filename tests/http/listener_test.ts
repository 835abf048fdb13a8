/** The open port: how it opens, how it closes without losing what it was answering, and how it comes back. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { systemClock } from "../../core/engine/system_clock.ts";
import { type Fetch, listen } from "../../core/http/listener.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { createRecorder, readAnswer, write } from "./http_fixture.ts";

const anyPort = { hostname: "127.0.0.1", port: 0 };

/** Nobody waits for the end of a server that has an answer open, so the port may close a moment later. */
async function untilRefused(address: Deno.ConnectOptions): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    try {
      (await Deno.connect(address)).close();
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return;
    }
  }
  throw new Error("the port is still open");
}

Deno.test("listen: port 0 becomes a real one", async () => {
  const { observe } = createRecorder();
  const listener = await listen(anyPort, () => new Response("here"), { clock: systemClock, observe });
  const response = await fetch(`http://127.0.0.1:${listener.address.port}/`);
  assertEquals([response.status, await response.text()], [200, "here"]);
  await listener.close();
  await assertRejects(() => Deno.connect(listener.address), Deno.errors.ConnectionRefused);
});

Deno.test("listen: says what is wrong with an address that cannot be had", async () => {
  const options = { clock: systemClock, observe: createRecorder().observe };
  const first = await listen(anyPort, () => new Response(), options);
  const { port } = first.address;
  const taken = await assertRejects(() => listen(first.address, () => new Response(), options), Error);
  assertMatch(
    taken.message,
    new RegExp(`cannot listen on 127.0.0.1:${port}: another program has this port; stop it, or choose another`),
  );
  await first.close();
  const foreign = { hostname: "203.0.113.9", port: 0 };
  const elsewhere = await assertRejects(() => listen(foreign, () => new Response(), options), Error);
  assertMatch(elsewhere.message, /203\.0\.113\.9.*choose an address of this machine/);
});

Deno.test("Listener.close: a body that is being read is read to its end, and its answer goes out", async () => {
  const reading = Promise.withResolvers<void>();
  const answer: Fetch = async (request) => {
    reading.resolve();
    return new Response(`got ${await request.text()}`);
  };
  const listener = await listen(anyPort, answer, { clock: systemClock, observe: createRecorder().observe });
  using connection = await Deno.connect(listener.address);
  await write(connection, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
  await reading.promise;
  const closed = listener.close();
  await write(connection, "def");
  assertMatch(await readAnswer(connection), /got abcdef$/);
  await closed;
});

Deno.test("Listener.close: an answer that never comes is not waited for beyond the grace", async () => {
  const clock = createFakeClock();
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  const listener = await listen(anyPort, () => {
    asked.resolve();
    return answer.promise;
  }, { clock, observe: createRecorder().observe });
  using connection = await Deno.connect(listener.address);
  await write(connection, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  await asked.promise;
  const closed = listener.close();
  clock.advance(5_000);
  await closed;
  await untilRefused(listener.address);
  answer.resolve(new Response("late"));
  await readAnswer(connection);
});

Deno.test("listen: a fetch that throws is a 500, and the operator hears of it", async () => {
  const { seen, observe } = createRecorder();
  const listener = await listen(anyPort, () => Promise.reject(new Error("s3cr3t")), { clock: systemClock, observe });
  const response = await fetch(`http://127.0.0.1:${listener.address.port}/`);
  assertEquals([response.status, (await response.text()).includes("s3cr3t")], [500, false]);
  assertEquals(seen.map((one) => one.kind === "engine" && one.level), ["error"]);
  await listener.close();
});

/** What each port says when there are no file descriptors left, and when there are some again. */
const shortages = [
  { port: "platform", lost: /is closed: .*Too many open files/, found: "is open again" },
  { port: "own", lost: /accepts no connection: .*Too many open files/, found: "accepts connections again" },
];

for (const { port, lost, found } of shortages) {
  Deno.test({
    name: `a port for want of file descriptors: ${port}: it comes back by itself`,
    // Windows has no ulimit, and no such limit either.
    ignore: Deno.build.os === "windows",
    async fn() {
      const program = new URL("./listener_process.ts", import.meta.url).pathname;
      const child = new Deno.Command("sh", {
        args: ["-c", `ulimit -n 64; exec "$0" "$@"`, Deno.execPath(), "run", "-A", "--quiet", program, port],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      let told = "";
      const reading = (async () => {
        for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) told += text;
      })();
      const connections: Deno.Conn[] = [];
      try {
        await until("the port is open", () => told.includes("\n"));
        const address = JSON.parse(told.split("\n", 1)[0]!);
        for (let opened = 0; opened < 100; opened++) {
          // Once the listener has died, nobody answers the door.
          const connection = await Deno.connect(address).catch(() => undefined);
          if (connection === undefined) break;
          connections.push(connection);
        }
        await until("there are none left", () => lost.test(told));
        for (const connection of connections.splice(0)) connection.close();
        await until("there are some again", () => told.includes(found));
        const response = await fetch(`http://127.0.0.1:${address.port}/`);
        assertEquals(await response.text(), "here");
        child.kill("SIGTERM");
        assertEquals((await child.status).code, 0);
      } finally {
        for (const connection of connections) connection.close();
        try {
          child.kill("SIGKILL");
        } catch {
          // It has ended already.
        }
        await child.status;
        await reading;
      }
    },
  });
}
