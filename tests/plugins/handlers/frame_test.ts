import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import {
  createFrameDecoder,
  createFrameWriter,
  encodeFrame,
  type Frame,
  frameBytesMax,
} from "../../../plugins/handlers/frame.ts";

Deno.test("createFrameDecoder: gives back what was encoded, however the bytes are cut", () => {
  const frames = fc.array(
    fc.record({
      messages: fc.array(fc.jsonValue(), { maxLength: 4 }),
      parts: fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 4 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(fc.property(frames, fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sent, cuts) => {
    const encoded = sent.map(({ messages, parts }) => encodeFrame(messages.map((each) => JSON.stringify(each)), parts));
    const stream = encoded.flatMap((frame) => [...frame]);
    const decode = createFrameDecoder<unknown>();
    const got: Frame<unknown>[] = [];
    const chunk = new Uint8Array(200);
    for (let at = 0, i = 0; at < stream.length; i++) {
      const length = cuts[i % cuts.length]!;
      const piece = stream.slice(at, at + length);
      chunk.set(piece);
      got.push(...decode(chunk.subarray(0, piece.length)));
      chunk.fill(0xff); // the reader's own from here on
      at += length;
    }
    assertEquals(
      got.map(({ messages, bytes }) => [messages, [...bytes]]),
      sent.map(({ messages, parts }) => [JSON.parse(JSON.stringify(messages)), parts.flatMap((part) => [...part])]),
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

Deno.test("createFrameDecoder: refuses messages that are not JSON", () => {
  const frame = encodeFrame([`{"kind":"beat"}`]);
  frame[9] = 0x7d;
  assertThrows(() => createFrameDecoder()(frame), SyntaxError);
});

Deno.test("createFrameDecoder: refuses JSON that is no list", () => {
  const frame = encodeFrame(["10"]);
  frame.set([0x20, 0x31, 0x30, 0x20], 8);
  assertThrows(() => createFrameDecoder()(frame), TypeError, "no list");
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

/** What a writer wrote, each write read as one frame. */
function collectFrames(): { frames: Frame<unknown>[]; write: (chunk: Uint8Array) => Promise<void> } {
  const frames: Frame<unknown>[] = [];
  const write = (chunk: Uint8Array) => {
    const [frame, ...others] = createFrameDecoder()(chunk);
    assertEquals(others, []);
    frames.push(frame!);
    return Promise.resolve();
  };
  return { frames, write };
}

Deno.test("createFrameWriter: messages queued together leave in one frame, in order, and their bytes too", async () => {
  const { frames, write } = collectFrames();
  const send = createFrameWriter(write);
  for (let n = 0; n < 5; n++) send({ n }, n === 3 ? undefined : [Uint8Array.of(n), Uint8Array.of(n, n)]);
  await Promise.resolve();
  assertEquals(frames, [{
    messages: [0, 1, 2, 3, 4].map((n) => ({ n })),
    bytes: Uint8Array.of(0, 0, 0, 1, 1, 1, 2, 2, 2, 4, 4, 4),
  }]);
});

Deno.test("createFrameWriter: what waits is split into frames of a size that a reader takes in at once", async () => {
  const { frames, write } = collectFrames();
  const done = Promise.withResolvers<void>();
  const send = createFrameWriter(async (chunk) => {
    await write(chunk);
    if (frames.flatMap(({ messages }) => messages).length === 100) done.resolve();
  });
  for (let n = 0; n < 100; n++) send(n, [new Uint8Array(10_000).fill(n)]);
  await done.promise;
  assertEquals(frames.flatMap(({ messages }) => messages), Array.from({ length: 100 }, (_, n) => n));
  for (const { messages, bytes } of frames) {
    assert(bytes.length <= 200_000 && bytes.length === messages.length * 10_000);
    messages.forEach((n, at) => assertEquals(bytes[at * 10_000], n));
  }
});

Deno.test("createFrameWriter: refuses what fits into no frame, and goes on", async () => {
  const { frames, write } = collectFrames();
  const send = createFrameWriter(write);
  assertThrows(() => send({}, [new Uint8Array(frameBytesMax)]), RangeError, "fit into a frame");
  send("small");
  await Promise.resolve();
  assertEquals(frames.map(({ messages }) => messages), [["small"]]);
});

Deno.test("encodeFrame: refuses to make more than the limit", () => {
  assertThrows(() => encodeFrame(["1"], [new Uint8Array(frameBytesMax)]), RangeError, "at most");
});
