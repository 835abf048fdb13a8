/** Requests out of bytes: the same whatever the cut, one after the other, and never a trailer for a header. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createRequestParser } from "../../core/http/request_parser.ts";

const encoder = new TextEncoder();

/** What one connection brings, when its bytes come in pieces of one buffer that is written over each time. */
function parse(text: string, cuts: readonly number[] = []) {
  const parser = createRequestParser({ headerBytesMax: 65_536 });
  const bytes = encoder.encode(text);
  const buffer = new Uint8Array(bytes.length);
  const edges = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (let at = 1; at < edges.length; at++) {
    const piece = bytes.subarray(edges[at - 1]!, edges[at]!);
    buffer.set(piece);
    parser.push(buffer.subarray(0, piece.length));
    buffer.fill(0x21);
  }
  const messages = parser.messages.map(({ method, target, headers, body, isComplete, keepsAlive }) => ({
    method,
    target,
    headers,
    body: new TextDecoder().decode(body.bytes()),
    isComplete,
    keepsAlive,
  }));
  return { messages, fault: parser.fault, isInHead: parser.isInHead };
}

const host = fc.constantFrom("h", "h:80", "[::1]:8080", "hooks.example.com");
const word = fc.string({ unit: fc.constantFrom(..."abcxyz0189-_"), minLength: 1, maxLength: 12 });
const headers = fc.array(fc.tuple(word.map((name) => `x-${name}`), word), { maxLength: 80 });

/** A request, and what must be made of it. */
const request = fc.record({
  host,
  target: word,
  headers,
  chunks: fc.array(word, { maxLength: 4 }),
  isChunked: fc.boolean(),
})
  .map(({ host, target, headers, chunks, isChunked }) => {
    const body = chunks.join("");
    const framing = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
    const lines = [`POST /${target} HTTP/1.1`, `Host: ${host}`, ...headers.map((pair) => pair.join(": ")), framing];
    const sent = isChunked
      ? chunks.map((chunk) => `${chunk.length.toString(16)};e=1\r\n${chunk}\r\n`).join("") + "0\r\nX-Trailer: t\r\n\r\n"
      : body;
    const joined: Record<string, string> = { host };
    for (const [name, value] of headers) joined[name] = name in joined ? `${joined[name]}, ${value}` : value;
    const [name, value] = framing.split(": ");
    joined[name!.toLowerCase()] = value!;
    return {
      text: [...lines, "", sent].join("\r\n"),
      message: { method: "POST", target: `/${target}`, headers: joined, body, isComplete: true, keepsAlive: true },
    };
  });

Deno.test("createRequestParser: requests are what they are, however their bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), fc.infiniteStream(fc.nat()), (sent, random) => {
      const text = sent.map((each) => each.text).join("");
      const expected = { messages: sent.map((each) => each.message), fault: undefined, isInHead: false };
      const cuts = Array.from({ length: 8 }, () => random.next().value! % text.length);
      assertEquals(parse(text), expected);
      assertEquals(parse(text, cuts), expected);
    }),
  );
});

Deno.test("createRequestParser: byte by byte, and what is there of a request that is not all there yet", () => {
  const text = "POST /a?b HTTP/1.1\r\nHost: h\r\nX-A:  one \r\nx-a: two\r\nContent-Length: 4\r\n\r\nbody";
  const everywhere = Array.from({ length: text.length }, (_, at) => at);
  const whole = parse(text, everywhere);
  assertEquals(whole.messages, [{
    method: "POST",
    target: "/a?b",
    headers: { host: "h", "x-a": "one, two", "content-length": "4" },
    body: "body",
    isComplete: true,
    keepsAlive: true,
  }]);
  assertEquals(parse(text.slice(0, 10)), { messages: [], fault: undefined, isInHead: true });
  const cut = parse(text.slice(0, -2)).messages[0]!;
  assertEquals([cut.body, cut.isComplete], ["bo", false]);
});

Deno.test("createRequestParser: what comes after a fault is not looked at, what came before it is", () => {
  const good = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
  const { messages, fault } = parse(`${good}nonsense\r\n\r\n${good}`);
  assertEquals([messages.map(({ target }) => target), fault?.status], [["/a"], 400]);
  const parser = createRequestParser({ headerBytesMax: 100 });
  parser.push(encoder.encode(`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(200)}\r\n\r\n`));
  parser.push(encoder.encode(good));
  assertEquals([parser.messages.length, parser.fault?.status], [0, 431]);
});

Deno.test("createRequestParser: a header by the name of the prototype is none", () => {
  const { messages } = parse("GET / HTTP/1.1\r\nHost: h\r\n__proto__: x\r\nconstructor: y\r\n\r\n");
  assertEquals(Object.entries(messages[0]!.headers), [["host", "h"], ["constructor", "y"]]);
});
