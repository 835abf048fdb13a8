/** What expressions give: values as JSON has them, missing fields told from errors, integers that count. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { compileExpression, type ExpressionUse } from "../../core/config/expression.ts";
import type { Evaluation, Scope } from "../../core/domain/expression.ts";

const scope: Scope = {
  event: { id: "evt_1", source: "s", type: "order.paid", receivedAt: 1_700_000_000_000 },
  body: {
    n: 41,
    half: 1.5,
    text: "abc",
    nothing: null,
    yes: true,
    items: [{ id: 1 }, { id: 2 }],
    numbers: [1, 2, 3],
    exact: "12345678901234567890",
    in: "reserved",
  },
  headers: { "x-id": "h1" },
  query: { page: "2" },
};

function evaluate(text: string, use: ExpressionUse = "key", over: Scope = scope): Evaluation {
  const compiled = compileExpression(text, use);
  if (!compiled.ok) throw new Error(`${text} ${compiled.reason}`);
  assertEquals(compiled.expression.text, text);
  return compiled.expression.evaluate(over);
}

Deno.test("compileExpression: an expression gives a plain value", () => {
  const rows: [text: string, value: unknown, use?: ExpressionUse][] = [
    ["body.n > 40", true, "condition"],
    ["body.n == 41", true, "condition"],
    ["41 == body.n", true, "condition"],
    ["body.n % 2 == 1", true, "condition"],
    ["body.n in [40, 41]", true, "condition"],
    ["body.numbers.exists(x, x + 1 == 3)", true, "condition"],
    ["body.n + 1", 42],
    ["1 + body.n", 42],
    ["body.n - 1", 40],
    ["2 * body.n", 82],
    ["body.n / 2", 20.5],
    ["7 / 2", 3],
    ["body.half * 2", 3],
    ["body.n % body.half", 0.5],
    ["body.numbers[0] + body.numbers[1]", 3],
    ["body.numbers[body.numbers[0]]", 2],
    ["size(body.items)", 2],
    ["int(body.n) + 1", 42],
    ["9007199254740993", "9007199254740993"],
    ["5u", 5],
    ["string(body.n)", "41"],
    ["'k-' + string(body.n)", "k-41"],
    ["body.exact", "12345678901234567890"],
    ["body.nothing", null],
    ["body['in']", "reserved"],
    ["body.?text", "abc"],
    ["body.?gone.orValue(3)", 3],
    ["event.type", "order.paid"],
    ["event.type.startsWith('order.')", true, "condition"],
    ["event.receivedAt", 1_700_000_000_000],
    ["has(event.time) ? event.time : event.receivedAt", 1_700_000_000_000],
    [`headers["x-id"] + query.page`, "h12"],
    ["body.items", [{ id: 1 }, { id: 2 }], "list"],
    ["body.items.filter(i, i.id > 1)", [{ id: 2 }], "list"],
    ["body.items.map(i, {'id': i.id + 1, 'n': 7})", [{ id: 2, n: 7 }, { id: 3, n: 7 }], "list"],
    ["dyn(timestamp('2020-01-01T00:00:00Z'))", "2020-01-01T00:00:00.000Z"],
  ];
  for (const [text, value, use] of rows) assertEquals(evaluate(text, use), { kind: "value", value }, text);
});

Deno.test("compileExpression: a field that is not there is missing, and says which", () => {
  const rows: [text: string, reason: string][] = [
    ["body.gone", "body.gone is missing"],
    ["body.gone.below == 1", "body.gone is missing"],
    ["body.nothing.below", "body.nothing.below is missing"],
    ["body.text.below", "body.text.below is missing"],
    ["body.items[9].id", "body.items[9] is missing"],
    [`headers["x-gone"]`, `headers["x-gone"] is missing`],
    ["event.time", "event.time is missing"],
    ["body.?gone", "the optional value is not there"],
  ];
  for (const [text, reason] of rows) assertEquals(evaluate(text), { kind: "missing", reason }, text);
  assertEquals(evaluate("body.id", "key", { ...scope, body: null }).kind, "missing");
});

Deno.test("compileExpression: any other failure is an error", () => {
  for (
    const text of [
      "body.text + body.n",
      "body.n && body.yes ? 1 : 2",
      "body.n.startsWith('4')",
      "body.n / 0",
      "1 / 0",
      "dyn(duration('1s'))",
      "dyn(b'abc')",
      "dyn([duration('1s')])",
      "dyn({'a': duration('1s')})",
    ]
  ) assertEquals(evaluate(text).kind, "error", text);
});

Deno.test("compileExpression: a mistake is found when it is compiled, at its character", () => {
  const rows: [text: string, use: ExpressionUse, offset: number][] = [
    ["body.a ==", "condition", 9],
    ["1 + bdy.a", "key", 4],
    ["body.a + nope(1)", "key", 9],
    ["size(body.items)", "condition", 0],
    ["event.nope", "key", 6],
    ["'a' + 1", "key", 0],
    [`body.a == 1 && headers["X-Id"] == 'b'`, "condition", 15],
    ["has(headers.Id)", "condition", 4],
    ["body.a", "key", -1],
  ];
  for (const [text, use, offset] of rows) {
    const compiled = compileExpression(text, use);
    assertEquals(compiled.ok ? -1 : Math.max(0, compiled.offset), offset, `${text}: ${JSON.stringify(compiled)}`);
  }
});

Deno.test("compileExpression: arithmetic on a body's integers is JavaScript's", () => {
  const integer = fc.integer({ min: -1_000_000, max: 1_000_000 });
  const programs = ["+", "-", "*"].map((sign) => {
    const compiled = compileExpression(`body.a ${sign} 7`, "key");
    if (!compiled.ok) throw new Error(compiled.reason);
    return compiled.expression;
  });
  fc.assert(fc.property(integer, (a) => {
    const values = programs.map((program) => program.evaluate({ ...scope, body: { a } }));
    assertEquals(values, [a + 7, a - 7, a * 7].map((value) => ({ kind: "value", value })));
  }));
});

Deno.test("compileExpression: evaluate never throws, whatever the body", () => {
  const programs = ["body.a.b > 1", "body.a + 1", "body.a[0].b", "body.a.map(x, x.b)", "string(body.a)", "'x' in body"]
    .map((text) => compileExpression(`dyn(${text})`, "key"));
  fc.assert(fc.property(fc.record({ a: fc.jsonValue() }), (body) => {
    for (const program of programs) {
      assert(
        program.ok && ["value", "missing", "error"].includes(program.expression.evaluate({ ...scope, body }).kind),
      );
    }
  }));
});

Deno.test("compileExpression: never throws, whatever the text", () => {
  const token = fc.constantFrom(
    "body",
    "event",
    ".",
    "a",
    "(",
    ")",
    "[",
    "]",
    "'",
    '"',
    "==",
    "&&",
    "1",
    "{",
    "}",
    "?",
    ":",
    ",",
    "has",
    "map",
    " ",
    "\\",
    "r",
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.array(token).map((tokens) => tokens.join(""))), (text) => {
      compileExpression(text, "key");
    }),
    { numRuns: 2_000 },
  );
});
