/**
 * Reads what a source says about its provider: secrets, options and tolerance. Everything that is wrong is collected, so
 * that a person sees all mistakes at once; an option that nobody asked for is one of them.
 */

import type { Provider, Scheme, SchemeIssue, SchemeSettings } from "../core/plugin.ts";
import { createKey, type Key } from "./signature.ts";

/** What a provider makes of one secret, or why it cannot be used. Must not repeat the secret. */
export type SecretReading<T> = { readonly ok: true; readonly value: T } | {
  readonly ok: false;
  readonly message: string;
};

/** The settings of one source, being read. Ask for everything, then {@link SettingsReader.bind}. */
export interface SettingsReader {
  /** All usable secrets, in their order. */
  secrets<T>(read: (secret: string) => SecretReading<T>): readonly T[];
  /** The tolerance for timestamps. */
  toleranceMs(fallbackMs: number): number;
  /** An option that is text; undefined when it is not there. */
  text(name: string): string | undefined;
  /** An option that is the name of a header, in lower case. */
  header(name: string): string | undefined;
  /** An option that is one of several words. */
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined;
  /** States something else that is wrong. */
  refuse(path: readonly (string | number)[], message: string): void;
  /** Makes the scheme if nothing was wrong. */
  bind(make: () => Scheme): ReturnType<Provider["bind"]>;
}

/** A secret whose UTF-8 bytes are the key. */
export function readTextKey(secret: string): SecretReading<Key> {
  return { ok: true, value: createKey(secret) };
}

/**
 * Starts reading the settings of one source.
 *
 * @param provider its name, for messages
 * @param settings as they stand in routes.yaml
 */
export function readSettings(provider: string, settings: SchemeSettings): SettingsReader {
  const issues: SchemeIssue[] = [];
  const known = new Set<string>();
  let takesTolerance = false;
  let takesSecrets = false;

  function refuse(path: readonly (string | number)[], message: string): void {
    issues.push({ path, message });
  }

  function text(name: string): string | undefined {
    known.add(name);
    const value = Object.hasOwn(settings.options, name) ? settings.options[name] : undefined;
    if (value === undefined || typeof value === "string") return value;
    refuse(["options", name], `${name} must be text, got ${kindOf(value)}; put it into quotes`);
    return undefined;
  }

  return {
    secrets(read) {
      takesSecrets = true;
      if (settings.secrets.length === 0) refuse(["secret"], `${provider} needs a secret; set secret: \${NAME}`);
      return settings.secrets.flatMap((secret, index) => {
        const reading = readSecret(secret, read);
        if (reading.ok) return [reading.value];
        refuse(["secret", index], reading.message);
        return [];
      });
    },
    toleranceMs(fallbackMs) {
      takesTolerance = true;
      return settings.toleranceMs ?? fallbackMs;
    },
    text,
    header(name) {
      const value = text(name);
      if (value === undefined || /^[\w!#$%&'*+.^`|~-]+$/.test(value)) return value?.toLowerCase();
      refuse(["options", name], `${name}: ${JSON.stringify(value)} is not the name of a header, such as X-Signature`);
      return undefined;
    },
    choice(name, choices) {
      const value = text(name);
      const choice = choices.find((choice) => choice === value);
      if (value === undefined || choice !== undefined) return choice;
      const expected = `expected ${choices.join(", ")}`;
      refuse(
        ["options", name],
        `${name}: ${JSON.stringify(value)} is not known; ${expected}${suggest(value, choices)}`,
      );
      return undefined;
    },
    refuse,
    bind(make) {
      if (!takesSecrets && settings.secrets.length > 0) {
        refuse(["secret"], `${provider} proves nothing and takes no secret; remove it or choose another provider`);
      }
      if (!takesTolerance && settings.toleranceMs !== undefined) {
        refuse(["tolerance"], `${provider} signs no timestamp here, so there is nothing to tolerate; remove tolerance`);
      }
      for (const name of Object.keys(settings.options)) {
        if (known.has(name)) continue;
        const expected = known.size === 0 ? `${provider} has no options` : `expected ${[...known].join(", ")}`;
        refuse(["options", name], `unknown option ${JSON.stringify(name)}; ${expected}${suggest(name, [...known])}`);
      }
      return issues.length > 0 ? { ok: false, issues } : { ok: true, scheme: make() };
    },
  };
}

function readSecret<T>(secret: string, read: (secret: string) => SecretReading<T>): SecretReading<T> {
  if (secret === "") return { ok: false, message: "the secret is empty; is its environment variable set?" };
  if (secret !== secret.trim()) {
    return { ok: false, message: "the secret begins or ends with white space; remove it where the secret is set" };
  }
  return read(secret);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

/** The end of a message: the nearest known word, if one is near enough to be a slip of the fingers. */
export function suggest(word: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)[0];
  return near === undefined ? "" : `; did you mean ${near.candidate}?`;
}

/** How many letters have to be put in, taken out or changed; text beyond 64 letters is nobody's slip. */
function editDistance(from: string, to: string): number {
  if (from.length > 64) return Infinity;
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
