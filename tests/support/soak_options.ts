/**
 * Options of the long rigs. A rig that misunderstands what it is asked proves nothing and looks as if it did: so whatever
 * it does not know it refuses, and a choice that leaves nothing to run too.
 */

import { parseArgs } from "node:util";

/** One option: how its text is read, and what it is without any. */
export interface SoakOption<Value> {
  readonly read: (text: string) => Value;
  readonly otherwise: Value;
}

/** What was asked for. */
export type SoakValues<Spec> = {
  readonly [Name in keyof Spec]: Spec[Name] extends SoakOption<infer Value> ? Value : never;
};

/** A whole number, from one on unless something else is said. */
export function whole<Otherwise extends number | undefined>(
  otherwise: Otherwise,
  { least = 1 }: { least?: number } = {},
): SoakOption<number | Otherwise> {
  return { otherwise, read: (text) => readNumber(text, { least, whole: true }) };
}

/** Any number that is not negative. */
export function amount(otherwise: number, { most = Infinity }: { most?: number } = {}): SoakOption<number> {
  return { otherwise, read: (text) => readNumber(text, { least: 0, most }) };
}

/** Any text. */
export function text<Otherwise extends string | undefined>(otherwise: Otherwise): SoakOption<string | Otherwise> {
  return { otherwise, read: (given) => given };
}

/** Whether it is there. */
export const flag: SoakOption<boolean> = { otherwise: false, read: () => true };

/**
 * Reads options.
 *
 * @throws TypeError when one is not known, is named twice or has no value
 * @throws RangeError when a value is not what it must be
 */
export function readOptions<Spec extends Record<string, SoakOption<unknown>>>(
  spec: Spec,
  args: readonly string[],
): SoakValues<Spec> {
  const { tokens } = parseArgs({
    args: args.filter((each) => each !== "--"),
    options: Object.fromEntries(
      Object.entries(spec).map(([name, option]) => [name, { type: option === flag ? "boolean" : "string" }] as const),
    ),
    tokens: true,
  });
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(spec)) values[name] = option.otherwise;
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    if (seen.has(token.name)) throw new TypeError(`--${token.name} is given twice`);
    seen.add(token.name);
    try {
      values[token.name] = spec[token.name]!.read(token.value ?? "");
    } catch (error) {
      throw new RangeError(`--${token.name}: ${(error as Error).message}`, { cause: error });
    }
  }
  return values as SoakValues<Spec>;
}

/** The options of this process; one that cannot be understood ends it with 2. */
export function soakOptions<Spec extends Record<string, SoakOption<unknown>>>(spec: Spec): SoakValues<Spec> {
  return orRefuse(() => readOptions(spec, Deno.args));
}

/**
 * The names that contain `part`; all of them for no part.
 *
 * @throws RangeError when there is none
 */
export function choose<Name extends string>(names: readonly Name[], part: string): Name[] {
  const chosen = names.filter((name) => name.includes(part));
  if (chosen.length === 0) {
    throw new RangeError(`nothing is called ${Deno.inspect(part)}, expected a part of one of: ${names.join(", ")}`);
  }
  return chosen;
}

/** The value, or the end of this process with 2 and the reason: nothing was run. */
export function orRefuse<Value>(make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    return refuse((error as Error).message);
  }
}

/** Ends this process with 2: nothing was run. */
export function refuse(reason: string): never {
  console.error(`not run: ${reason}`);
  Deno.exit(2);
}

/** A seed of nobody's choosing. */
export function drawSeed(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0]!;
}

function readNumber(given: string, limits: { least: number; most?: number; whole?: boolean }): number {
  const { least, most = Infinity } = limits;
  const number = given.trim() === "" ? NaN : Number(given);
  const fits = number >= least && number <= most && Number.isFinite(number);
  if (fits && (!limits.whole || Number.isSafeInteger(number))) return number;
  const kind = limits.whole ? "a whole number" : "a number";
  const upTo = most === Infinity ? "" : ` and up to ${most}`;
  throw new RangeError(`${Deno.inspect(given)} is not ${kind} from ${least} on${upTo}`);
}
