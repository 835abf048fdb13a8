/**
 * Under which idempotency key and type an event is logged: what its source's own `id` and `type` give, else what its
 * provider says. One that fails never turns an event away; why it failed goes with the event.
 */

import type { HttpSource } from "./config.ts";
import { type Evaluation, type Expression, keyOf, type Scope } from "./expression.ts";

/** Longest event type that is kept; the rest of a longer one is cut. */
export const typeLengthMax = 256;

/** What an event is logged under. */
export interface Identity {
  /** The idempotency key, if it has one. */
  readonly id?: string;
  /** The same content always has this id. */
  readonly idIsOfBody?: boolean;
  readonly type: string;
  /** Why `id` or `type` gave nothing that can be used: a person has to look before it runs. */
  readonly fault?: string;
}

/**
 * Finds both.
 *
 * @param own what the provider says
 * @param scope what the expressions see, made only if there are some
 */
export function identify(
  source: Pick<HttpSource, "id" | "type">,
  own: { readonly id?: string; readonly type: string },
  scope: () => Scope,
): Identity {
  const type = evaluateText(source.type, cleanText(own.type), (expression) => cutText(expression.evaluate(scope())));
  const id = evaluateText(source.id, own.id, (expression) => expression.evaluate(scope()));
  return {
    id: id.text,
    idIsOfBody: id.isComputed && source.id?.isOfBody,
    type: cleanType(type.text),
    fault: id.error !== undefined
      ? `${source.id === undefined ? "the sender's id" : "id"}: ${id.error}`
      : type.error === undefined
      ? undefined
      : `type: ${type.error}`,
  };
}

/** A type that can be stored and shown, never empty. */
export function cleanType(type: string | undefined): string {
  const clean = cleanText(type ?? "");
  return clean === "" ? "unknown" : clean;
}

/** The value of an optional expression as key text; missing is the provider's own, and then nothing was computed. */
function evaluateText(
  expression: Expression | undefined,
  own: string | undefined,
  evaluate: (expression: Expression) => Evaluation,
): { text?: string; isComputed: boolean; error?: string } {
  const key = keyOf(expression === undefined ? { kind: "value", value: own } : evaluate(expression));
  if (!key.ok) return { text: undefined, isComputed: false, error: key.reason };
  return { text: key.key ?? own, isComputed: expression !== undefined && key.key !== undefined };
}

/** A type is no key: text that is too long for one, or has in it what none may have, is cut and cleaned before. */
function cutText(evaluation: Evaluation): Evaluation {
  if (evaluation.kind !== "value" || typeof evaluation.value !== "string") return evaluation;
  return { kind: "value", value: cleanText(evaluation.value) };
}

function cleanText(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are exactly what must not reach a terminal or SQLite
  return text.slice(0, typeLengthMax).replaceAll(/[\u0000-\u001f\u007f]/g, "\uFFFD").toWellFormed();
}
