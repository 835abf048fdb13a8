import { assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { createRing, createRingReader, createRingWriter, ringBytes } from "../../../plugins/handlers/report_ring.ts";

const text = fc.oneof(fc.string({ unit: "binary" }), fc.nat(ringBytes * 2).map((length) => "x".repeat(length)));

Deno.test("createRingReader: takes out what was written, once and in order, however often the ring goes around", () => {
  fc.assert(fc.property(fc.array(fc.oneof(text, fc.constant(undefined)), { maxLength: 40 }), (steps) => {
    const ring = createRing();
    const [write, read] = [createRingWriter(ring), createRingReader(ring)];
    let waiting: string[] = [];
    for (const step of steps) {
      if (step === undefined) {
        assertEquals(read(), waiting);
        waiting = [];
      } else if (write(step)) waiting.push(new TextDecoder().decode(new TextEncoder().encode(step)));
    }
    assertEquals(read(), waiting);
    assertEquals(read(), []);
  }));
});

Deno.test("createRingWriter: refuses what has no room until the reader has made some", () => {
  const ring = createRing();
  const [write, read] = [createRingWriter(ring), createRingReader(ring)];
  assertEquals(write("x".repeat(ringBytes)), false);
  const most = "x".repeat(ringBytes - 4);
  assertEquals([write(most), write("")], [true, false]);
  assertEquals(read(), [most]);
  assertEquals([write(most), read()], [true, [most]]);
});

Deno.test("createRingReader: refuses a ring that somebody else has written to", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 0x7fffffff }), fc.uint8Array({ maxLength: 64 }), (end, noise) => {
    const ring = createRing();
    const read = createRingReader(ring);
    new Uint8Array(ring, 8).set(noise);
    new Int32Array(ring)[1] = end;
    try {
      for (const each of read()) assertEquals(typeof each, "string");
    } catch (error) {
      assertEquals(error instanceof RangeError, true);
    }
  }));
  const ring = createRing();
  new Int32Array(ring)[1] = -1;
  assertThrows(createRingReader(ring), RangeError, "cannot read -1 bytes");
});
