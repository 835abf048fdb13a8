/**
 * CEL: compiles the expressions of routes.yaml once, when it is loaded, and turns what they give back into plain values.
 * Types are checked at compile time as far as they are known: `event`, `headers` and `query` are, `body` is not.
 */

import {
  type ASTNode,
  Environment,
  type Optional,
  type ParseError,
  type TypeError as CelTypeError,
} from "@marcbachmann/cel-js";
import { describeError } from "../domain/error.ts";
import type { Evaluation, Expression } from "../domain/expression.ts";
import { didYouMean } from "../domain/naming.ts";
import { compilePattern, matchesPattern } from "./pattern.ts";

/** What an expression is for, which decides the types it may give. */
export type ExpressionUse = "condition" | "key" | "list" | "version";

/** A compiled expression, or why it is none and at which character. */
export type CompiledExpression =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly reason: string; readonly offset: number };

const eventFields = { id: "string", source: "string", type: "string", time: "double", receivedAt: "double" };
const variables = ["event", "body", "headers", "query"];

const expectedTypes: Record<ExpressionUse, { matches: RegExp; phrase: string }> = {
  condition: { matches: /^(bool|dyn)$/, phrase: "true or false" },
  key: { matches: /^(string|int|uint|double|bool|null|dyn|optional.*)$/, phrase: "text, a number or a boolean" },
  list: { matches: /^(list.*|dyn|optional.*)$/, phrase: "a list" },
  version: {
    matches: /^(int|uint|double|string|google\.protobuf\.Timestamp|null|dyn|optional.*)$/,
    phrase: "a number or a date",
  },
};

/** As `matches` in a message, and out of the reach of any expression. */
const linearMatches = "matches ";

const environment = createEnvironment();

/**
 * Compiles one expression.
 *
 * @param text as it stands in the file; one with `matches` needs `loadPatterns` first
 * @param use what it must give
 */
export function compileExpression(text: string, use: ExpressionUse): CompiledExpression {
  let program: ReturnType<Environment["parse"]>;
  try {
    program = environment.parse(text);
  } catch (error) {
    const { summary, range } = error as ParseError;
    return { ok: false, reason: `is not a CEL expression: ${summary}`, offset: range?.start ?? 0 };
  }
  const broken = replaceMatches(program.ast);
  if (broken !== undefined) return { ok: false, ...broken };
  const checked = program.check();
  if (!checked.valid) return { ok: false, ...explainTypeError(checked.error!) };
  const expected = expectedTypes[use];
  if (!expected.matches.test(checked.type!)) {
    return { ok: false, reason: `gives ${checked.type}; expected ${expected.phrase}`, offset: 0 };
  }
  const header = capitalHeader(program.ast);
  if (header !== undefined) {
    const reason = `header names are lower case; write headers["${header.name.toLowerCase()}"]`;
    return { ok: false, reason, offset: header.offset };
  }
  const isOfBody = [...walk(program.ast)].every((node) => node.op !== "id" || node.args === "body");
  return { ok: true, expression: { text, isOfBody, evaluate: (scope) => evaluate(() => program(scope), text) } };
}

/**
 * A number of a JSON body is a double, and CEL by itself knows no `body.amount + 1`. Operators for the mixed pairs cost
 * nothing where they are not used (0.3 us an evaluation); turning a body's numbers into integers first costs 19 us for
 * a hundred items. So `/` between a body's numbers is a double's: 41 / 2 is 20.5.
 */
function createEnvironment(): Environment {
  const made = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
    .registerVariable({ name: "event", schema: eventFields })
    .registerVariable("body", "dyn")
    .registerVariable("headers", "map<string, string>")
    .registerVariable("query", "map<string, string>")
    .registerOperator("double % double", (a: number, b: number) => a % b)
    .registerFunction({
      name: linearMatches,
      receiverType: "string",
      params: [{ name: "pattern", type: "string" }],
      returnType: "bool",
      handler: matchesPattern,
    });
  const mixed: Record<string, (a: number, b: number) => number> = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "/": (a, b) => a / b,
    "%": (a, b) => a % b,
  };
  for (const [sign, apply] of Object.entries(mixed)) {
    made.registerOperator(`double ${sign} int`, (a: number, b: bigint) => apply(a, Number(b)));
    made.registerOperator(`int ${sign} double`, (a: bigint, b: number) => apply(Number(a), b));
  }
  return made;
}

function evaluate(run: () => unknown, text: string): Evaluation {
  try {
    return evaluationOf(run());
  } catch (error) {
    const { code, summary, node } = error as Partial<ParseError>;
    if (code === "no_such_key" || code === "index_out_of_bounds") {
      return { kind: "missing", reason: `${text.slice(node?.start, node?.end)} is missing` };
    }
    return { kind: "error", reason: `${text}: ${summary ?? explain(error)}` };
  }
}

/** A pattern that cannot be used says all there is to say. */
function explain(error: unknown): string {
  return error instanceof RangeError ? error.message : describeError(error);
}

function evaluationOf(value: unknown): Evaluation {
  if (isOptional(value)) {
    return value.hasValue()
      ? evaluationOf(value.value())
      : { kind: "missing", reason: "the optional value is not there" };
  }
  const plain = plainOf(value);
  return plain.ok ? { kind: "value", value: plain.value } : { kind: "error", reason: plain.reason };
}

/** CEL's values as JSON's: integers as numbers where one can hold them, else as text, like those of a body. */
function plainOf(value: unknown): { ok: true; value: unknown } | { ok: false; reason: string } {
  if (typeof value === "bigint") {
    const number = Number(value);
    return { ok: true, value: Number.isSafeInteger(number) ? number : String(value) };
  }
  if (typeof value === "number" && !Number.isFinite(value)) return { ok: false, reason: `the value is ${value}` };
  if (typeof value !== "object" || value === null) return { ok: true, value };
  if (value instanceof Date) return { ok: true, value: value.toISOString() };
  if (Array.isArray(value)) {
    const items = value.map(plainOf);
    return items.find((item) => !item.ok) ?? { ok: true, value: items.map((item) => item.ok && item.value) };
  }
  if (value.constructor === Object || value.constructor === undefined || value instanceof Map) {
    const pairs = value instanceof Map ? [...value] : Object.entries(value);
    const items = pairs.map(([key, item]) => [String(key), plainOf(item)] as const);
    const bad = items.find(([, item]) => !item.ok)?.[1];
    return bad ?? { ok: true, value: Object.fromEntries(items.map(([key, item]) => [key, item.ok && item.value])) };
  }
  const primitive: unknown = value.valueOf();
  if (typeof primitive === "bigint") return plainOf(primitive);
  return { ok: false, reason: `the value is a ${value.constructor.name}, which JSON does not have` };
}

function isOptional(value: unknown): value is Optional {
  return typeof value === "object" && value !== null && "hasValue" in value && typeof value.hasValue === "function";
}

function explainTypeError(error: ParseError | CelTypeError): { reason: string; offset: number } {
  const offset = error.range?.start ?? 0;
  const name = error.summary.slice(error.summary.indexOf(": ") + 2);
  if (error.code === "unknown_variable") {
    const hint = didYouMean(name, variables);
    return { reason: `unknown variable ${name}; expected one of ${variables.join(", ")}${hint}`, offset };
  }
  if (error.code === "no_such_key") {
    const fields = Object.keys(eventFields);
    return { reason: `event has no ${name}; expected one of ${fields.join(", ")}${didYouMean(name, fields)}`, offset };
  }
  return { reason: error.summary, offset };
}

/**
 * The library's `matches` is JavaScript's RegExp and cannot be registered anew, so each call of it becomes one of ours.
 * Patterns that stand in the expression are tried at once.
 */
function replaceMatches(ast: ASTNode): { reason: string; offset: number } | undefined {
  for (const node of walk(ast)) {
    if (node.op !== "rcall" || node.args[0] !== "matches") continue;
    node.args[0] = linearMatches;
    const [pattern] = node.args[2];
    if (pattern?.op !== "value" || typeof pattern.args !== "string") continue;
    try {
      compilePattern(pattern.args);
    } catch (error) {
      return { reason: (error as RangeError).message, offset: pattern.start };
    }
  }
}

/** Finds `headers["X-Id"]`: names are lower case in the log, so it would be missing for ever. */
function capitalHeader(ast: ASTNode): { name: string; offset: number } | undefined {
  for (const node of walk(ast)) {
    if (node.op !== "[]" && node.op !== "." && node.op !== ".?" && node.op !== "[?]") continue;
    const [left, right] = node.args;
    const name = typeof right === "string" ? right : right.op === "value" ? right.args : undefined;
    if (left.op === "id" && left.args === "headers" && typeof name === "string" && name !== name.toLowerCase()) {
      return { name, offset: node.start };
    }
  }
}

/** The node and all below it. */
function* walk(node: ASTNode): Generator<ASTNode> {
  yield node;
  for (const child of [node.args].flat(2)) {
    if (typeof child === "object" && child !== null && "op" in child) yield* walk(child);
  }
}
