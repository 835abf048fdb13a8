/**
 * The least that a durable answer costs on this platform: the yardstick, which answers only when what it has read is one
 * row of a table without any index, committed with `synchronous=FULL`. SQLite has a thread of its own, and whatever waits
 * when it is free goes into one transaction. What an engine costs beyond this is its own.
 */

import { serveLines } from "./line_server.ts";
import { accept, readVerified } from "./verified_event.ts";

const thread = new Worker(new URL("./durable_wire_worker.ts", import.meta.url), {
  type: "module",
  name: Deno.args[0]!,
});
let waiting: { readonly text: string; readonly stored: () => void }[] = [];
let writing: typeof waiting = [];

/** Resolves when it is on the disk. */
function store(text: string): Promise<void> {
  return new Promise((stored) => {
    waiting.push({ text, stored });
    if (waiting.length === 1 && writing.length === 0) setTimeout(write, 0);
  });
}

function write(): void {
  writing = waiting;
  waiting = [];
  thread.postMessage(writing.map(({ text }) => text));
}

thread.onmessage = () => {
  for (const { stored } of writing) stored();
  writing = [];
  if (waiting.length > 0) write();
};

async function answer(request: Request): Promise<Response> {
  const event = await readVerified(request);
  if (event === undefined) return new Response(null, { status: 401 });
  await store(JSON.stringify(event));
  return accept(event);
}

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
await serveLines({ port: server.addr.port }, () => ({}));
