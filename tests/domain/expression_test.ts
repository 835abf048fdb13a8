/**
 * Tests of `core/domain/expression.ts`: which values may be a key, and that two of them never become one.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { keyLengthMax, keyOf, kindOf, versionOf } from "../../core/domain/expression.ts";

const value = (value: unknown) => keyOf({ kind: "value", value });

Deno.test("keyOf: scalars become their text", () => {
  const table: [unknown, string][] = [
    ["cus_1", "cus_1"],
    [42, "42"],
    [-0, "0"],
    [0.5, "0.5"],
    [42n, "42"],
    [123456789012345678901234567890n, "123456789012345678901234567890"],
    [true, "true"],
    [" a ", " a "],
    ["🪶", "🪶"],
    ["a".repeat(keyLengthMax), "a".repeat(keyLengthMax)],
  ];
  for (const [given, key] of table) assertEquals(value(given), { ok: true, key });
});

Deno.test("keyOf: missing, null, undefined and empty text are no key", () => {
  assertEquals(keyOf({ kind: "missing", reason: "no such key: id" }), { ok: true });
  for (const given of [null, undefined, ""]) assertEquals(value(given), { ok: true });
});

Deno.test("keyOf: what cannot be a key is an error with its reason", () => {
  const table: [unknown, string][] = [
    [[1], "a key must be text, a number or a boolean, got a list"],
    [{ a: 1 }, "a key must be text, a number or a boolean, got object"],
    [() => 1, "a key must be text, a number or a boolean, got function"],
    [NaN, "a key must be a finite number, got NaN"],
    [-Infinity, "a key must be a finite number, got -Infinity"],
    ["a\0b", "a key must not contain NUL"],
    ["\ud800", "a key must be valid Unicode"],
    ["a".repeat(keyLengthMax + 1), "a key has at most 512 characters, got 513"],
  ];
  for (const [given, reason] of table) assertEquals(value(given), { ok: false, reason });
  assertEquals(keyOf({ kind: "error", reason: "no such overload" }), { ok: false, reason: "no such overload" });
});

Deno.test("kindOf: null and lists have names of their own", () => {
  assertEquals([null, [], {}, 1].map(kindOf), ["null", "a list", "object", "number"]);
});

Deno.test("keyOf: is injective on the texts, the integers and the numbers that it accepts", () => {
  const kinds = [fc.string({ unit: "binary", maxLength: 8 }), fc.bigInt(), fc.double()];
  for (const kind of kinds) {
    fc.assert(fc.property(kind, kind, (a, b) => {
      const [first, second] = [value(a), value(b)];
      if (!first.ok || !second.ok || first.key === undefined || second.key === undefined) return;
      assertEquals(first.key === second.key, a === b);
    }));
  }
});

Deno.test("keyOf: every key it accepts survives UTF-8 and a column that ends at NUL", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const made = value(text);
    if (!made.ok || made.key === undefined) return;
    assertEquals(new TextDecoder().decode(new TextEncoder().encode(made.key)), text);
    assert(!made.key.includes("\0"));
  }));
});

Deno.test("versionOf: numbers and dates can be compared, nothing is no version, the rest is an error", () => {
  const versionOfValue = (value: unknown) => versionOf({ kind: "value", value });
  assertEquals(versionOfValue(7.5), { ok: true, version: 7.5 });
  assertEquals(versionOfValue(7n), { ok: true, version: 7 });
  assertEquals(versionOfValue("2025-01-31T12:00:00Z"), { ok: true, version: Date.UTC(2025, 0, 31, 12) });
  for (const none of [null, undefined]) assertEquals(versionOfValue(none), { ok: true });
  assertEquals(versionOf({ kind: "missing", reason: "x" }), { ok: true });
  assertEquals(versionOf({ kind: "error", reason: "x" }), { ok: false, reason: "x" });
  for (const bad of ["7", "2025", NaN, Infinity, true, [], {}]) assertEquals(versionOfValue(bad).ok, false);
});

Deno.test("versionOf: a big integer that arrived as text is a number, a time without a zone is UTC", () => {
  const table: [text: string, version: number | undefined][] = [
    ["1700000000000000001", 1_700_000_000_000_000_001],
    ["2025-01-31T12:00", Date.UTC(2025, 0, 31, 12)],
    ["2025-01-31T12:00:00.250", Date.UTC(2025, 0, 31, 12, 0, 0, 250)],
    ["2025-01-31T12:00:00.250999Z", Date.UTC(2025, 0, 31, 12, 0, 0, 250)],
    ["2025-01-31T12:00:00+01:00", Date.UTC(2025, 0, 31, 11)],
    ["2025-01-31T12:00:00-0130", Date.UTC(2025, 0, 31, 13, 30)],
    ["2025-01-31T99:00:00Z", undefined],
    ["2025-01-31T12:00:00 or so", undefined],
    ["9".repeat(400), undefined],
  ];
  for (const [text, version] of table) {
    const made = versionOf({ kind: "value", value: text });
    assertEquals(made.ok ? made.version : undefined, version, text);
  }
});
