/**
 * Variables: the process's environment over the `.env` file beside routes.yaml, and `${NAME}` inside strings of the
 * file. Replacement comes after parsing, so a value can never change the structure of the file.
 */

import { parseEnv } from "node:util";
import type { Path } from "./path.ts";

/** Reads one variable. */
export type Lookup = (name: string) => string | undefined;

/** What replacing did. */
export interface Substituted {
  readonly tree: unknown;
  /** What stood for each name. */
  readonly variables: ReadonlyMap<string, string>;
  /** Texts that no message may show, and what stands for each. */
  readonly redactions: ReadonlyMap<string, string>;
  readonly faults: readonly { readonly path: Path; readonly message: string }[];
}

/** Shorter texts are not redacted: they would blot out ordinary words, and no accepted secret is as short. */
const redactedLengthMin = 6;

const secretKeys = ["secret", "auth_token"];

/**
 * Puts a `.env` file under the environment.
 *
 * @param dotEnv the text of the file, if there is one
 * @param environment instead of the process's own
 */
export function createLookup(dotEnv: string | undefined, environment?: Readonly<Record<string, string>>): Lookup {
  const file = dotEnv === undefined ? {} : parseEnv(dotEnv);
  return (name) => {
    const own = environment === undefined ? Deno.env.get(name) : valueOf(environment, name);
    return own ?? valueOf(file, name);
  };
}

/** Replaces `${NAME}` in every string of a tree; `$${` stands for `${`. A fault leaves its string as it was. */
export function substitute(tree: unknown, lookup: Lookup): Substituted {
  const variables = new Map<string, string>();
  const redactions = new Map<string, string>();
  const faults: { path: Path; message: string }[] = [];

  function replaceIn(text: string, path: Path): string {
    let faulty = false;
    const fault = (message: string) => {
      faulty = true;
      faults.push({ path, message });
    };
    const replaced = text.replace(/\$\$\{|\$\{([^}]*)\}?/g, (whole: string, name?: string) => {
      if (name === undefined) return "${";
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || !whole.endsWith("}")) {
        fault(`${whole} is not a variable; write \${NAME}, or $\${ for the characters themselves`);
        return whole;
      }
      const value = lookup(name);
      if (value === undefined) {
        fault(`the environment variable ${name} is not set; set it, or put it into .env`);
        return whole;
      }
      variables.set(name, value);
      if (value.length >= redactedLengthMin) redactions.set(value, whole);
      return value;
    });
    if (faulty) return text;
    const isSecret = secretKeys.includes(String(path.findLast((key) => typeof key === "string")));
    if (isSecret && replaced.length >= redactedLengthMin && !redactions.has(replaced)) {
      redactions.set(replaced, "[secret]");
    }
    return replaced;
  }

  function walk(value: unknown, path: Path): unknown {
    if (typeof value === "string") return replaceIn(value, path);
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]));
  }

  return { tree: walk(tree, []), variables, redactions, faults };
}

function valueOf(variables: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}
