/**
 * Tests of `core/domain/error.ts`: one line, whatever was thrown.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describeError } from "../../core/domain/error.ts";

Deno.test("describeError: name, message and causes on one line", () => {
  const table: [unknown, string][] = [
    [new Error("no"), "no"],
    [new TypeError("no"), "TypeError: no"],
    [new Error(""), "Error"],
    [new RangeError(""), "RangeError"],
    [new Error("outer", { cause: new TypeError("inner") }), "outer (cause: TypeError: inner)"],
    [new Error("outer", { cause: "text" }), "outer (cause: thrown: text)"],
    [new Error("outer", { cause: null }), "outer"],
    [new Error("two\n  lines\r\n"), "two lines"],
    [new Error("a\0b"), "a b"],
    [new AggregateError([new Error("first"), new Error("second")], "all"), "AggregateError: all (cause: first)"],
    [new AggregateError([]), "AggregateError"],
    [new DOMException("gone", "AbortError"), "AbortError: gone"],
    ["text", "thrown: text"],
    [undefined, "thrown: undefined"],
    [null, "thrown: null"],
    [Symbol("mark"), "thrown: Symbol(mark)"],
  ];
  for (const [thrown, line] of table) assertEquals(describeError(thrown), line);
});

Deno.test("describeError: a cause that leads back to itself ends", () => {
  const error = new Error("round");
  error.cause = error;
  assertEquals(describeError(error).match(/round/g)?.length, 6);
});

Deno.test("describeError: a value that refuses to become text is still described", () => {
  const line = "thrown: a value that cannot be shown as text";
  assertEquals(describeError(Object.create(null)), line);
  assertEquals(describeError({ toString: () => ({}) }), line);
  const hostile = Object.defineProperty(new Error(), "message", {
    get: () => {
      throw new Error("no message for you");
    },
  });
  assertEquals(describeError(hostile), line);
});

Deno.test("describeError: is one line for any value", () => {
  fc.assert(fc.property(fc.anything({ withNullPrototype: true }), fc.string({ unit: "binary" }), (value, message) => {
    for (const thrown of [value, new Error(message, { cause: value })]) {
      const line = describeError(thrown);
      assert(!/[\r\n\0]/.test(line));
    }
  }));
});
