/** Reading a body: every way of cutting it gives the same bytes, and no way of cutting it gets past the limit. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { awaitBody, BodyCollector, readBody } from "../../core/http/body_reader.ts";
import { createFakeClock } from "../support/fake_clock.ts";

function requestOf(chunks: readonly Uint8Array<ArrayBuffer>[], headers: Record<string, string> = {}): Request {
  return new Request("http://h/", { method: "POST", body: ReadableStream.from(chunks), headers });
}

const limits = (clock = createFakeClock()) => ({ bytesMax: 100, timeoutMs: 1_000, clock });

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

Deno.test("readBody: no timer is left when the body is there", async () => {
  const clock = createFakeClock();
  const read = await readBody(requestOf([Uint8Array.of(1)]), limits(clock));
  assertEquals(clock.waiting, 0);
  assertEquals(read, { ok: true, bytes: Uint8Array.of(1) });
});

Deno.test("awaitBody: a body that is there needs no timer, and is judged all the same", async () => {
  const clock = createFakeClock();
  const whole = (size: number) => {
    const collected = new BodyCollector();
    collected.add(new Uint8Array(size));
    return { collected, isComplete: true, more: () => Promise.reject(new Error("asked for more")) };
  };
  const fits = awaitBody(whole(100), { ...limits(clock), declared: undefined });
  assertEquals(clock.waiting, 0);
  assertEquals(await fits, { ok: true, bytes: new Uint8Array(100) });
  const large = await awaitBody(whole(101), { ...limits(clock), declared: undefined });
  assertEquals(large.ok ? 200 : large.status, 413);
});

Deno.test("BodyCollector: is the bytes that were added, whatever the cut", () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  fc.assert(fc.property(chunks, fc.integer({ min: 0, max: 60 }), (cut, bytesMax) => {
    const collector = new BodyCollector();
    collector.bytesMax = bytesMax;
    for (const chunk of cut) collector.add(chunk as Uint8Array<ArrayBuffer>);
    const whole = new Uint8Array(cut.flatMap((chunk) => [...chunk]));
    assertEquals(collector.length, whole.length);
    if (whole.length <= bytesMax) assertEquals(collector.bytes(), whole);
    else assert(collector.bytes().length <= bytesMax); // the rest was counted, and nothing was copied for it
  }));
});
