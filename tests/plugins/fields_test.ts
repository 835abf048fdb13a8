import { assertEquals } from "@std/assert";
import { describePlainly, fieldOf, textOf, timeOf } from "../../plugins/fields.ts";

Deno.test("fieldOf: own properties on the path, else undefined", () => {
  assertEquals(fieldOf({ a: { b: 1 } }, "a", "b"), 1);
  for (const value of [null, undefined, 5, "text", [], {}, { a: null }, { a: "text" }]) {
    assertEquals(fieldOf(value, "a", "length"), undefined);
  }
  assertEquals(fieldOf({}, "constructor"), undefined);
  assertEquals(fieldOf(JSON.parse('{"__proto__":{"id":1}}'), "id"), undefined);
});

Deno.test("textOf: text that is not empty, or a number", () => {
  assertEquals(textOf({ id: "a" }, "id"), "a");
  assertEquals(textOf({ id: 42 }, "id"), "42");
  for (const id of ["", null, true, {}, ["a"], NaN, Infinity]) assertEquals(textOf({ id }, "id"), undefined);
});

Deno.test("timeOf: unix seconds or text with a time zone", () => {
  assertEquals(timeOf(1_700_000_000), 1_700_000_000_000);
  assertEquals(timeOf(1_700_000_000.25), 1_700_000_000_250);
  assertEquals(timeOf("1700000000"), 1_700_000_000_000);
  assertEquals(timeOf("2026-01-15T12:00:00Z"), Date.UTC(2026, 0, 15, 12));
  assertEquals(timeOf("2026-01-15T12:00:00+02:00"), Date.UTC(2026, 0, 15, 10));
  assertEquals(timeOf("Thu, 15 Jan 2026 12:00:00 +0000"), Date.UTC(2026, 0, 15, 12));
  for (const value of ["2026-01-15T12:00:00", "", "soon Z", -1, NaN, Infinity, 1e300, null, {}, "9".repeat(70)]) {
    assertEquals(timeOf(value), undefined, String(value));
  }
});

Deno.test("describePlainly: what is known, then the body's type, then unknown", () => {
  assertEquals(describePlainly({ type: "a" }), [{ id: undefined, type: "a", body: { type: "a" } }]);
  assertEquals(describePlainly({ type: "a" }, { id: "1", type: "b" })[0], { id: "1", type: "b", body: { type: "a" } });
  assertEquals(describePlainly([1])[0]?.type, "unknown");
});
