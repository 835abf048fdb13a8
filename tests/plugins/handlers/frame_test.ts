import { assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import {
  createFrameDecoder,
  createFrameWriter,
  encodeFrame,
  type Frame,
  frameBytesMax,
} from "../../../plugins/handlers/frame.ts";

Deno.test("createFrameDecoder: gives back what was encoded, however the bytes are cut", () => {
  const frames = fc.array(fc.record({ header: fc.jsonValue(), bytes: fc.uint8Array({ maxLength: 300 }) }), {
    maxLength: 8,
  });
  fc.assert(fc.property(frames, fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }), (sent, cuts) => {
    const encoded = sent.map(({ header, bytes }) => encodeFrame(header, bytes));
    const stream = encoded.flatMap((frame) => [...frame]);
    const decode = createFrameDecoder<unknown>();
    const got: Frame<unknown>[] = [];
    for (let at = 0, i = 0; at < stream.length; i++) {
      const length = cuts[i % cuts.length]!;
      got.push(...decode(Uint8Array.from(stream.slice(at, at + length))));
      at += length;
    }
    assertEquals(
      got.map(({ header, bytes }) => [header, [...bytes]]),
      sent.map(({ header, bytes }) => [JSON.parse(JSON.stringify(header)), [...bytes]]),
    );
  }));
});

for (
  const [what, words] of [
    ["a frame beyond the limit", [frameBytesMax, 2]],
    ["a header longer than its frame", [10, 100]],
    ["a frame shorter than its own prefix", [0, 0]],
  ] as const
) {
  Deno.test(`createFrameDecoder: refuses ${what}`, () => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    words.forEach((word, i) => view.setUint32(i * 4, word));
    assertThrows(() => createFrameDecoder()(bytes), RangeError);
  });
}

Deno.test("createFrameDecoder: refuses a header that is not JSON", () => {
  const frame = encodeFrame({ kind: "beat" });
  frame[8] = 0x7d;
  assertThrows(() => createFrameDecoder()(frame), SyntaxError);
});

Deno.test("createFrameDecoder: never hangs and never reads beyond what it was given, whatever arrives", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
    try {
      createFrameDecoder()(noise);
    } catch (thrown) {
      assertEquals(thrown instanceof RangeError || thrown instanceof SyntaxError || thrown instanceof TypeError, true);
    }
  }));
});

Deno.test("createFrameWriter: frames queued together leave in one write, in order", async () => {
  const writes: Uint8Array[] = [];
  const send = createFrameWriter((chunk) => {
    writes.push(chunk);
    return Promise.resolve();
  });
  for (let n = 0; n < 5; n++) send({ n });
  await Promise.resolve();
  assertEquals(writes.length, 1);
  assertEquals(createFrameDecoder()(writes[0]!).map(({ header }) => header), [0, 1, 2, 3, 4].map((n) => ({ n })));
});

Deno.test("encodeFrame: refuses to send more than the limit", () => {
  assertThrows(() => encodeFrame({}, new Uint8Array(frameBytesMax)), RangeError, "at most");
});
