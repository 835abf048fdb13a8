/** `matches()` in conditions: linear in the text whatever the pattern, and a pattern that cannot be used is refused where it stands. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { formatIssue, loadConfig } from "weir";
import { type CompiledExpression, compileExpression } from "../../core/config/expression.ts";
import { loadPatterns, patternLengthMax, textLengthMax } from "../../core/config/pattern.ts";
import type { Evaluation } from "../../core/domain/expression.ts";
import { createProject } from "../support/project.ts";

await loadPatterns();

function evaluate(text: string, body: unknown): Evaluation {
  const compiled = compileExpression(text, "condition");
  if (!compiled.ok) throw new Error(`${text} ${compiled.reason}`);
  const event = { id: "evt_1", source: "s", type: "order.paid", receivedAt: 0 };
  return compiled.expression.evaluate({ event, body, headers: { "x-id": "h1" }, query: {} });
}

Deno.test("matches: a pattern is looked for anywhere in the text", () => {
  const body = { text: "order 7 paid", list: ["a1", "b2"], n: 7, pattern: "^order" };
  const rows: [text: string, value: boolean][] = [
    ["body.text.matches('[0-9]')", true],
    ["body.text.matches('^[0-9]')", false],
    [String.raw`body.text.matches(r'\bpaid$')`, true],
    ["body.text.matches('(?i)ORDER')", true],
    ["body.text.matches(body.pattern)", true],
    ["body.text.matches('^' + 'paid')", false],
    ["headers['x-id'].matches('h[0-9]')", true],
    ["event.type.matches('^order[.](paid|made)$')", true],
    ["body.list.exists(x, x.matches('^b'))", true],
    ["body.list.all(x, x.matches('^b'))", false],
    ["body.n > 9 || !(body.text.matches('z') ? true : false)", true],
    ["[body.text].exists(x, {'m': x.matches('paid')}.m)", true],
  ];
  for (const [text, value] of rows) assertEquals(evaluate(text, body), { kind: "value", value }, text);
});

Deno.test("matches: patterns on which a backtracking engine hangs for years are answered", () => {
  const rows: [pattern: string, text: string][] = [
    ["(a+)+$", "a".repeat(50_000) + "b"],
    ["(a|aa)+$", "a".repeat(50_000) + "b"],
    ["^(a|a?)+$", "a".repeat(50_000) + "b"],
    ["(.*a){20}$", "a".repeat(50_000) + "b"],
    ["(.*)*,(.*)*,(.*)*;", ",".repeat(50_000)],
    [String.raw`(\w+\s?)+$`, "word ".repeat(10_000) + "!"],
    [String.raw`^(([a-z])+.)+[A-Z]([a-z])+$`, "a".repeat(50_000)],
    [String.raw`^[\w.-]+([.-]\w+)*@[\w.-]+$`, "a.".repeat(25_000)],
    [String.raw`\s+$`, " ".repeat(50_000) + "x"],
  ];
  for (const [pattern, text] of rows) {
    const body = { text, pattern };
    assertEquals(evaluate("body.text.matches(body.pattern)", body), { kind: "value", value: false }, pattern);
    assertEquals(evaluate(`body.text.matches(r"${pattern}")`, body), { kind: "value", value: false }, pattern);
  }
});

Deno.test("matches: what cannot be answered is an error and not a no", () => {
  const long = "a".repeat(textLengthMax);
  assertEquals(evaluate("body.text.matches('a$')", { text: long }), { kind: "value", value: true });
  const rows: [text: string, body: unknown, reason: string][] = [
    ["body.text.matches('a$')", { text: long + "a" }, `a text of at most ${textLengthMax} characters, got 65537`],
    ["body.text.matches(body.p)", { text: "a", p: "(" }, 'the pattern "(" cannot be used: missing closing )'],
    ["body.text.matches(body.p)", { text: "a", p: "(a)(?=b)" }, "invalid or unsupported Perl syntax: `(?=`"],
    [
      "body.text.matches(body.p)",
      { text: "a", p: "a".repeat(patternLengthMax + 1) },
      "at most 1000 characters, got 1001",
    ],
    ["body.text.matches('a')", { text: 7 }, "found no matching overload for 'double.matches (string)'"],
  ];
  for (const [text, body, reason] of rows) {
    const evaluation = evaluate(text, body);
    assertEquals(evaluation.kind, "error", text);
    assertStringIncludes(evaluation.kind === "error" ? evaluation.reason : "", reason);
    assertStringIncludes(evaluation.kind === "error" ? evaluation.reason : "", `${text}: `);
  }
});

Deno.test("compileExpression: a pattern that cannot be used is found when it is compiled, at its character", () => {
  const rows: [text: string, offset: number, reason: string][] = [
    ["body.a.matches('(a')", 15, "missing closing )"],
    [String.raw`body.b == 1 && body.a.matches(r'(a)\1')`, 30, "invalid escape sequence"],
    ["body.list.exists(x, x.matches('a(?!b)'))", 30, "(?!"],
    ["body.a.matches('a{2000}')", 15, "invalid repeat count"],
    [`body.a.matches('${"a".repeat(1_001)}')`, 15, "at most 1000 characters, got 1001"],
    ["headers['x'].matches(7)", 0, "no matching overload for 'string.matches (int)'"],
  ];
  for (const [text, offset, reason] of rows) {
    const compiled: CompiledExpression = compileExpression(text, "condition");
    if (compiled.ok) throw new Error(`${text} compiled`);
    assertEquals(compiled.offset, offset, text);
    assertStringIncludes(compiled.reason, reason);
  }
});

Deno.test("loadConfig: a pattern that cannot be used is refused with line and column, also from the environment", async () => {
  await using project = await createProject({
    "routes.yaml": `version: 1
sources:
  app: { publish: true }
  other: { publish: true }
routes:
  a:
    from: app
    when: body.x.matches('(a')
    send: [{ url: "https://example.com" }]
  b:
    from: other
    when: \${RULE}
    send: [{ url: "https://example.com" }]
`,
  });
  const loaded = await loadConfig(project.path("routes.yaml"), {
    providers: [],
    environment: { RULE: "body.x.matches('(a)(?<=b)\\1')" },
  });
  const lines = loaded.ok ? [] : loaded.issues.map(formatIssue);
  assertEquals(lines.length, 2, lines.join("\n"));
  assertStringIncludes(lines[0]!, "routes.yaml:8:26");
  assertEquals(
    lines[0]!.slice(lines[0]!.indexOf("routes.a")),
    'routes.a.when: the pattern "(a" cannot be used: missing closing ): `(a` (the syntax is RE2\'s)',
  );
  assertStringIncludes(lines[1]!, "routes.yaml:12:");
});
