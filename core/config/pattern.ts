/**
 * Regular expressions of `matches()` and of schemas: RE2, as CEL itself has it, so that a careless pattern costs time in
 * proportion to the text and never stops the engine. RegExp took 5 s for `(a+)+$` on 27 characters; this, 0.1 s on a million.
 */

import type { RE2JS } from "re2js";

/** Longest pattern, in UTF-16 units. */
export const patternLengthMax = 1_000;

/** Longest text that a pattern is looked for in, in UTF-16 units: linear is still a while for 25 MiB. */
export const textLengthMax = 65_536;

/** Compiled patterns kept, each of which may hold 8 MiB at worst. A pattern out of a body may be another each time. */
const compiledMax = 64;

let engine: typeof RE2JS | undefined;
const compiled = new Map<string, RE2JS>();

/** Loads the engine, which must come before the first {@link compilePattern}: 5 MB that few configurations need. */
export async function loadPatterns(): Promise<void> {
  engine ??= (await import("re2js")).RE2JS;
}

/**
 * Says whether the pattern is found anywhere in the text.
 *
 * @throws RangeError for a pattern that cannot be used, and for a text that is too long
 */
export function matchesPattern(text: string, pattern: string): boolean {
  if (text.length > textLengthMax) {
    throw new RangeError(`matches() takes a text of at most ${textLengthMax} characters, got ${text.length}`);
  }
  return compilePattern(pattern).test(text);
}

/**
 * Compiles a pattern, or finds it compiled.
 *
 * @throws RangeError for a pattern that cannot be used
 */
export function compilePattern(pattern: string): RE2JS {
  let known = compiled.get(pattern);
  if (known === undefined) {
    if (compiled.size >= compiledMax) compiled.delete(compiled.keys().next().value!);
    known = compile(pattern);
  } else compiled.delete(pattern);
  compiled.set(pattern, known); // at the end of the map: the first is always the one unused for longest
  return known;
}

/**
 * Compiles a pattern of a JSON Schema. Those are JavaScript's: what is only spelt otherwise there is translated, and what
 * takes backtracking is refused.
 *
 * @throws RangeError for a pattern that cannot be used
 */
export function compileScriptPattern(pattern: string): RE2JS {
  return compilePattern(engine!.translateRegExp(pattern));
}

function compile(pattern: string): RE2JS {
  if (pattern.length > patternLengthMax) {
    throw new RangeError(`a pattern has at most ${patternLengthMax} characters, got ${pattern.length}`);
  }
  try {
    return engine!.compile(pattern);
  } catch (error) {
    const why = (error as Error).message.replace("error parsing regexp: ", "");
    throw new RangeError(`the pattern ${JSON.stringify(pattern)} cannot be used: ${why} (the syntax is RE2's)`);
  }
}
