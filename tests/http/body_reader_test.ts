/** Reading a body: every way of cutting it gives the same bytes, and no way of cutting it gets past the limit. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { readBody } from "../../core/http/body_reader.ts";
import { createFakeClock } from "../support/fake_clock.ts";

function requestOf(chunks: readonly Uint8Array<ArrayBuffer>[], headers: Record<string, string> = {}): Request {
  return new Request("http://h/", { method: "POST", body: ReadableStream.from(chunks), headers });
}

const limits = (clock = createFakeClock()) => ({
  bytesMax: 100,
  timeoutMs: 1_000,
  expire: (giveUp: () => void) => void clock.timer(1_000, giveUp),
});

Deno.test("readBody: the same bytes however they are cut, and never one beyond the limit", async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
  await fc.assert(fc.asyncProperty(chunks, async (cut) => {
    const whole = cut.flatMap((chunk) => [...chunk]);
    const read = await readBody(requestOf(cut as Uint8Array<ArrayBuffer>[]), limits());
    if (whole.length > 100) assertEquals(read.ok ? 200 : read.status, 413);
    else assertEquals(read, { ok: true, bytes: new Uint8Array(whole) });
  }));
});

Deno.test("readBody: a body of exactly the limit fits, also byte by byte", async () => {
  const read = await readBody(requestOf(Array.from({ length: 100 }, (_, n) => new Uint8Array([n]))), limits());
  if (!read.ok) throw new Error(read.reason);
  assertEquals(read.bytes, Uint8Array.from({ length: 100 }, (_, n) => n));
  assertEquals(read.bytes.buffer.byteLength, 100);
});

Deno.test("readBody: no body is an empty one", async () => {
  assertEquals(await readBody(new Request("http://h/", { method: "POST" }), limits()), {
    ok: true,
    bytes: new Uint8Array(),
  });
});

Deno.test("readBody: a Content-Length that says too much is believed, one that says too little is not", async () => {
  const small = new Uint8Array(10);
  const announced = await readBody(requestOf([small], { "content-length": "101" }), limits());
  assertEquals(announced.ok ? 200 : announced.status, 413);
  const lying = await readBody(requestOf([new Uint8Array(101)], { "content-length": "3" }), limits());
  assertEquals(lying.ok ? 200 : lying.status, 413);
});

Deno.test("readBody: a body that never ends is given up, and its stream is told", async () => {
  const clock = createFakeClock();
  const cancelled = Promise.withResolvers<void>();
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array(3)),
    cancel: () => cancelled.resolve(),
  });
  const reading = readBody(new Request("http://h/", { method: "POST", body }), limits(clock));
  clock.advance(1_000);
  const read = await reading;
  assertEquals(read.ok ? 200 : read.status, 408);
  await cancelled.promise;
});

Deno.test("readBody: a body that breaks off is a 400", async () => {
  const body = new ReadableStream({ pull: (controller) => controller.error(new Error("gone")) });
  const read = await readBody(new Request("http://h/", { method: "POST", body }), limits());
  assertEquals(read.ok ? 200 : read.status, 400);
});

Deno.test("readBody: a time that is up when the body is there changes nothing", async () => {
  for (const framed of [false, true]) {
    const clock = createFakeClock();
    const request = requestOf([Uint8Array.of(1)], { "content-length": "1" });
    const read = await readBody(request, { ...limits(clock), framed });
    clock.advance(1_000);
    assertEquals(read, { ok: true, bytes: Uint8Array.of(1) });
  }
});

Deno.test("readBody: of a framed request, a length that is known is read in one piece and judged alike", async () => {
  const framed = (size: number) => {
    const headers = { "content-length": String(size) };
    return readBody(requestOf([new Uint8Array(size)], headers), { ...limits(), framed: true });
  };
  assertEquals(await framed(0), { ok: true, bytes: new Uint8Array() });
  assertEquals(await framed(100), { ok: true, bytes: new Uint8Array(100) });
  const large = await framed(101);
  assertEquals(large.ok ? 200 : large.status, 413);
  const unknown = await readBody(requestOf([new Uint8Array(101)]), { ...limits(), framed: true });
  assertEquals(unknown.ok ? 200 : unknown.status, 413);
});

Deno.test("readBody: a framed body that stalls or breaks off ends as any other", async () => {
  const clock = createFakeClock();
  const headers = { "content-length": "10" };
  const stalled = new Request("http://h/", { method: "POST", body: new ReadableStream(), headers });
  const reading = readBody(stalled, { ...limits(clock), framed: true });
  clock.advance(1_000);
  const slow = await reading;
  assertEquals(slow.ok ? 200 : slow.status, 408);
  const gone = new ReadableStream({ pull: (controller) => controller.error(new Error("gone")) });
  const broken = new Request("http://h/", { method: "POST", body: gone, headers });
  const read = await readBody(broken, { ...limits(), framed: true });
  assertEquals(read.ok ? 200 : read.status, 400);
});
