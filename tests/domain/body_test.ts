/**
 * Tests of `core/domain/body.ts`. Exact integers are held against a reference that rewrites the text before it is
 * parsed, so that it shares neither the shortcut nor the reviver with the code under test.
 */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  bodyDepthMax,
  eventBody,
  isJson,
  mediaType,
  parseBody,
  parseJson,
  parseJsonText,
} from "../../core/domain/body.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("mediaType: lower case, without parameters, empty when absent", () => {
  assertEquals(mediaType("Application/JSON; charset=utf-8"), "application/json");
  assertEquals(mediaType(" text/plain "), "text/plain");
  assertEquals(mediaType(undefined), "");
  assertEquals(mediaType(""), "");
});

Deno.test("isJson: covers application/json and every +json", () => {
  for (const type of ["application/json", "text/json", "application/vnd.github+json"]) assertEquals(isJson(type), true);
  for (const type of ["", "text/plain", "application/jsonx", "application/xml"]) assertEquals(isJson(type), false);
});

Deno.test("parseBody: reads each content type in its own way", () => {
  const table: [body: string, contentType: string | undefined, value: unknown][] = [
    ["", "application/json", null],
    ['{"a":1}', "application/json; charset=utf-8", { a: 1 }],
    ['{"a":1}', "application/vnd.api+json", { a: 1 }],
    ['{"a":1}', undefined, { a: 1 }],
    ["not json", undefined, null],
    ["a=1&b=two+words&c=%C3%A4", "application/x-www-form-urlencoded", { a: "1", b: "two words", c: "ä" }],
    ["a=1&a=2&a=3", "application/x-www-form-urlencoded", { a: ["1", "2", "3"] }],
    ["hello", "text/plain", "hello"],
    ["<x/>", "application/xml", null],
  ];
  for (const [body, contentType, value] of table) {
    assertEquals(parseBody(utf8(body), contentType), { ok: true, value });
  }
});

Deno.test("parseBody: a declared JSON body that is none is refused", () => {
  assertEquals(parseBody(utf8("{"), "application/json"), { ok: false, reason: "the body is not valid JSON" });
});

Deno.test("parseBody: a form field named __proto__ is a field like any other", () => {
  const parsed = parseBody(utf8("__proto__=1&__proto__=2&constructor=3"), "application/x-www-form-urlencoded");
  const value = (parsed as { value: Record<string, unknown> }).value;
  assertEquals(Object.keys(value), ["__proto__", "constructor"]);
  assertEquals(Object.getPrototypeOf(value), Object.prototype);
  assertEquals(Object.getOwnPropertyDescriptor(value, "__proto__")?.value, ["1", "2"]);
});

Deno.test("parseBody: a form that repeats one name half a million times costs linear time", () => {
  const parsed = parseBody(utf8("a=&".repeat(500_000)), "application/x-www-form-urlencoded");
  assertEquals((parsed as { value: { a: string[] } }).value.a.length, 500_000);
});

Deno.test("parseJson: bytes that are not UTF-8 are refused", () => {
  for (const bytes of [[0x22, 0xff, 0x22], [0x22, 0xc3, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22]]) {
    assertEquals(parseJson(new Uint8Array(bytes)), { ok: false, reason: "the body is not valid UTF-8" });
  }
});

Deno.test("parseJson: a byte order mark is skipped", () => {
  assertEquals(parseJson(new Uint8Array([0xef, 0xbb, 0xbf, ...utf8('{"a":1}')])), { ok: true, value: { a: 1 } });
});

Deno.test("parseJson: nesting is capped before anything recursive sees it", () => {
  const nested = (levels: number) => parseJson(utf8("[".repeat(levels) + "]".repeat(levels)));
  assertEquals(nested(bodyDepthMax).ok, true);
  assertEquals(nested(bodyDepthMax + 1), { ok: false, reason: "the body nests deeper than 64 levels" });
  assertEquals(nested(1_000_000).ok, false);
  assertEquals(parseJson(utf8('{"a":'.repeat(65) + "1" + "}".repeat(65))).ok, false);
});

Deno.test("parseJson: brackets inside strings are no nesting, escaped quotes end no string", () => {
  const text = JSON.stringify({ a: "[".repeat(100), b: '"' + "{".repeat(100), c: "\\" });
  assertEquals(parseJson(utf8(text)), { ok: true, value: JSON.parse(text) });
});

Deno.test("parseJson: siblings do not add up to depth", () => {
  assertEquals(parseJson(utf8(`[${"[],".repeat(500)}[]]`)).ok, true);
});

Deno.test("parseJson: depth agrees with a recursive count for every JSON value", () => {
  const depthOf = (value: unknown): number =>
    typeof value === "object" && value !== null
      ? 1 + Math.max(0, ...Object.values(value as Record<string, unknown>).map(depthOf))
      : 0;
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(70), (value, wrap) => {
    const text = "[".repeat(wrap) + JSON.stringify(value) + "]".repeat(wrap);
    assertEquals(parseJson(utf8(text)).ok, wrap + depthOf(value) <= bodyDepthMax);
  }));
});

Deno.test("parseJsonText: integers that a double cannot hold stay the text they were written in", () => {
  const table: [text: string, value: unknown][] = [
    ["9007199254740991", 9007199254740991],
    ["9007199254740992", "9007199254740992"],
    ["9007199254740993", "9007199254740993"],
    ["-9007199254740991", -9007199254740991],
    ["-9007199254740993", "-9007199254740993"],
    ["999999999999999", 999999999999999],
    ["1000000000000000", 1000000000000000],
    ["123456789012345678901234567890", "123456789012345678901234567890"],
    [`1${"0".repeat(400)}`, `1${"0".repeat(400)}`],
    ["1e30", 1e30],
    ["12345678901234567e3", 12345678901234567e3],
    ["1234567890123456.7", 1234567890123456.7],
    ["0.12345678901234567", 0.12345678901234567],
    ['"12345678901234567890"', "12345678901234567890"],
    ['["say \\"12345678901234567890\\"",12345678901234567890]', [
      'say "12345678901234567890"',
      "12345678901234567890",
    ]],
    ['{"12345678901234567890":1}', { "12345678901234567890": 1 }],
    ['{"a":{"b":[12345678901234567890,1]}}', { a: { b: ["12345678901234567890", 1] } }],
    ['{"a":12345678901234567890,"a":1}', { a: 1 }],
    ['{"a":1,"a":12345678901234567890}', { a: "12345678901234567890" }],
    ['{"a":12345678901234567890,"a":{"b":12345678901234567891}}', { a: { b: "12345678901234567891" } }],
  ];
  for (const [text, value] of table) assertEquals(parseJsonText(text), value, text);
});

Deno.test("parseJsonText: a __proto__ key is data, with and without big integers", () => {
  for (const id of ["1", "12345678901234567890"]) {
    const value = parseJsonText(`{"__proto__":{"admin":true},"id":${id}}`) as Record<string, unknown>;
    assertEquals(Object.getPrototypeOf(value), Object.prototype);
    assertEquals(Object.keys(value), ["__proto__", "id"]);
    assertEquals(value.admin, undefined);
  }
});

Deno.test("parseJsonText: text that is not JSON throws, with and without big integers", () => {
  for (const text of ["", "{", "01", "[1,]", "12345678901234567890x", "NaN"]) {
    assertThrows(() => parseJsonText(text), SyntaxError);
  }
});

/** Puts quotes around every unsafe integer in the text, then leaves the parsing to the plain parser. */
function parseSlowly(text: string): unknown {
  const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;
  return JSON.parse(text.replace(tokens, (token) => {
    if (!/^-?\d+$/.test(token)) return token;
    const exact = BigInt(token);
    const limit = BigInt(Number.MAX_SAFE_INTEGER);
    return exact > limit || exact < -limit ? JSON.stringify(token) : token;
  }));
}

const digits = (max: number) =>
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.array(fc.nat(9), { maxLength: max })).map((all) => all.flat().join(""));

const numberText = fc.tuple(
  fc.constantFrom("", "-"),
  fc.oneof(fc.constant("0"), digits(25), fc.constantFrom("9007199254740991", "9007199254740992")),
  fc.constantFrom("", ".5", ".12345678901234567"),
  fc.constantFrom("", "", "e3", "E-2"),
).map((parts) => parts.join(""));

const stringText = fc.oneof(fc.string(), digits(25), fc.constant("__proto__"), fc.constant('"\\1234567890123456789'))
  .map((text) => JSON.stringify(text));

const { value: jsonText } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    numberText,
    stringText,
    fc.constantFrom("true", "false", "null"),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => `[ ${items.join(" ,")}]`),
    fc.array(fc.tuple(stringText, tie("value")), { maxLength: 4 })
      .map((fields) => `{${fields.map(([key, value]) => `${key} :${value}`).join(",")}}`),
  ),
}));

Deno.test("parseJsonText: says what the slow reference says, shortcut or not", () => {
  fc.assert(
    fc.property(jsonText, (text) => {
      const [fast, slow] = [parseJsonText(text), parseSlowly(text)];
      assertEquals(fast, slow);
      assertEquals(JSON.stringify(fast), JSON.stringify(slow));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("parseJsonText: two different integers never become one value", () => {
  fc.assert(fc.property(fc.bigInt(), fc.bigInt(), (a, b) => {
    assertEquals(parseJsonText(`${a}`) === parseJsonText(`${b}`), a === b);
  }));
  fc.assert(fc.property(fc.bigInt({ min: 1n << 53n, max: 1n << 70n }), (a) => {
    assertEquals(parseJsonText(`${a}`) === parseJsonText(`${a + 1n}`), false);
  }));
});

Deno.test("parseBody: any bytes under any type give a value or a reason, never an exception", () => {
  const types = [undefined, "application/json", "application/x-www-form-urlencoded", "text/plain", "image/png"];
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...types), (bytes, type) => {
    const parsed = parseBody(bytes, type);
    assertEquals(parsed.ok || parsed.reason !== "", true);
  }));
});

Deno.test("eventBody: the item where there is one, else the whole request's, undefined when that does not parse", () => {
  const headers = { "content-type": "application/json" };
  const raw = utf8('{"all":12345678901234567890}');
  assertEquals(eventBody({ raw, headers }), { all: "12345678901234567890" });
  assertEquals(eventBody({ raw, headers, item: '{"one":12345678901234567890}' }), { one: "12345678901234567890" });
  assertEquals(eventBody({ raw: utf8("{"), headers }), undefined);
});
