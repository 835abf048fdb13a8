/**
 * What the builders of sources and routes share: where they are, whom they may ask, and where they put what is wrong.
 */

import { isAbsolute, resolve } from "node:path";
import type { Provider } from "../domain/provider.ts";
import type { Expression } from "../domain/expression.ts";
import type { Lookup } from "./environment.ts";
import { compileExpression, type ExpressionUse } from "./expression.ts";
import type { IssueList } from "./issue.ts";
import type { Path } from "./path.ts";

/** One run of the loader. */
export interface Build {
  readonly issues: IssueList;
  readonly providers: readonly Provider[];
  readonly inlineHandlers: readonly string[];
  readonly lookup: Lookup;
  /** The folder that relative paths begin at. */
  readonly directory: string;
  /** The file as it was written, for asking whether a key is there at all. */
  readonly tree: unknown;
  /** Files that were read; builders add theirs. */
  readonly files: string[];
}

/** Makes a path of routes.yaml absolute. */
export function absolutePath(build: Build, path: string): string {
  return isAbsolute(path) ? resolve(path) : resolve(build.directory, path);
}

/** Compiles an expression if there is one; what is wrong with it becomes an issue at the very character. */
export function buildExpression(
  build: Build,
  written: { path: Path; text: string | undefined; use: ExpressionUse },
): Expression | undefined {
  const { path, text } = written;
  if (text === undefined) return undefined;
  const compiled = compileExpression(text, written.use);
  if (compiled.ok) return compiled.expression;
  build.issues.add(path, compiled.reason, { text, offset: compiled.offset });
}

/** Says what is wrong with secrets that no provider could use: none, empty, blank, short or padded. Never shows one. */
export function checkSecrets(
  build: Build,
  written: { path: Path; secrets: readonly string[]; bytesMin: number; isList: boolean },
): void {
  const { path, secrets, bytesMin, isList } = written;
  if (secrets.length === 0) build.issues.add(path, "the list is empty; expected at least one secret");
  secrets.forEach((secret, i) => {
    const at = isList ? [...path, i] : path;
    const bytes = new TextEncoder().encode(secret.trim()).length;
    if (bytes === 0) {
      build.issues.add(at, `the secret is empty; expected at least ${bytesMin} bytes (weir secret makes one)`);
    } else if (secret !== secret.trim()) {
      build.issues.add(at, "the secret begins or ends with white space; take it away");
    } else if (bytes < bytesMin) {
      build.issues.add(at, `the secret is too short: ${bytes} of at least ${bytesMin} bytes (weir secret makes one)`);
    }
  });
}
