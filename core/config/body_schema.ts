/**
 * JSON Schema files (2020-12) that a source's bodies must fit, compiled with ajv when the configuration is loaded.
 */

import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { compileScriptPattern } from "./pattern.ts";

/** A check of one event's body, or why the file gives none. */
export type CompiledSchema =
  | { readonly ok: true; readonly check: (body: unknown) => readonly string[] }
  | { readonly ok: false; readonly reason: string };

/** Ajv tells patterns apart by their `toString()`, and the engine's own objects say which they are. */
const regExp = Object.assign((pattern: string) => compileScriptPattern(pattern), { code: "compileScriptPattern" });

/**
 * Compiles the text of a schema file; needs `loadPatterns` first.
 *
 * The check stops at the first mismatch: collecting all of them would let one body of a million wrong items make a
 * million messages.
 */
export function compileBodySchema(text: string): CompiledSchema {
  try {
    const schema: unknown = JSON.parse(text);
    if (typeof schema !== "boolean" && (typeof schema !== "object" || schema === null || Array.isArray(schema))) {
      return { ok: false, reason: "a JSON Schema is an object" };
    }
    const ajv = new Ajv2020({ strictTypes: false, strictTuples: false, logger: false, code: { regExp } });
    (addFormats as unknown as { default: typeof addFormats.default }).default(ajv);
    const validate = ajv.compile(schema);
    return { ok: true, check: (body) => validate(body) ? [] : (validate.errors ?? []).map(describeMismatch) };
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}

/** `/items/0/id must be string`, with the names that ajv leaves out of its messages. */
function describeMismatch(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  const named = params.additionalProperty ?? params.unevaluatedProperty ?? params.allowedValues ?? params.allowedValue;
  const detail = named === undefined ? "" : `: ${JSON.stringify(named)}`;
  return `${error.instancePath || "/"} ${error.message}${detail}`;
}
