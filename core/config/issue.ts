/**
 * What is wrong with a configuration, and where. Every check adds to one list, so that a person sees all mistakes at
 * once; no message ever contains a secret.
 */

import type { RoutesDocument, Spot } from "./document.ts";
import { formatPath, type Path } from "./path.ts";

/** One thing that is wrong, or worth a warning. */
export interface ConfigIssue {
  /** As it was handed in; absent when the configuration is an object. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1, in UTF-16 units. */
  readonly column?: number;
  /** Where in the tree: `sources.github.secret`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Collects issues while a configuration is being checked. */
export interface IssueList {
  /** Adds an error. Only the first one of a path is kept: what follows from it is noise. */
  add(path: Path, message: string, spot?: Spot): void;
  /** Adds a warning. */
  warn(path: Path, message: string, spot?: Spot): void;
  /** Whether a path has an error. */
  has(path: Path): boolean;
  /** A value as the person wrote it, for a message: short, with `${NAME}` unread, and never a secret. */
  show(path: Path): string;
  readonly errors: readonly ConfigIssue[];
  readonly warnings: readonly ConfigIssue[];
}

/** Longest rendering of a value in a message, in UTF-16 units. */
const shownLengthMax = 60;

/** Keys below which values are never shown. */
const hiddenKeys = ["secret", "auth_token", "headers"];

/**
 * Makes an empty list.
 *
 * @param about.redactions texts that must not be seen, and what stands for each
 */
export function createIssueList(
  about: { document: RoutesDocument; file?: string; redactions: ReadonlyMap<string, string> },
): IssueList {
  const { document, file } = about;
  const redactions = [...about.redactions].sort(([a], [b]) => b.length - a.length);
  const errors: ConfigIssue[] = [];
  const warnings: ConfigIssue[] = [];
  const paths = new Set<string>();

  function issueAt(path: Path, message: string, spot?: Spot): ConfigIssue {
    const safe = redactions.reduce((text, [secret, name]) => text.replaceAll(secret, () => name), message);
    return { file, ...document.place(path, spot), path: formatPath(path), message: safe };
  }

  return {
    errors,
    warnings,
    add(path, message, spot) {
      const name = formatPath(path);
      if (!paths.has(name)) errors.push(issueAt(path, message, spot));
      paths.add(name);
    },
    warn(path, message, spot) {
      warnings.push(issueAt(path, message, spot));
    },
    has: (path) => paths.has(formatPath(path)),
    show(path) {
      const value = document.value(path) ?? null;
      const hidden = value !== null && path.some((key) => hiddenKeys.includes(String(key)));
      return hidden ? `of the wrong form (${typeof value}, not shown)` : showValue(document.value(path));
    },
  };
}

/** Sorts by place in the file; issues without a place keep their order. */
export function sortIssues(issues: readonly ConfigIssue[]): ConfigIssue[] {
  return issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** Writes an issue as one line: `routes.yaml:12:5: sources.github.secret: …`. */
export function formatIssue(issue: ConfigIssue): string {
  const place = [issue.file, issue.line, issue.column].filter((part) => part !== undefined).join(":");
  return [place, issue.path, issue.message].filter((part) => part !== "").join(": ");
}

function showValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "empty";
  // Numbers such as .inf are none in JSON.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  const masked = text.replace(/\/\/[^/@\s]*@/g, "//…@");
  return masked.length > shownLengthMax ? `${masked.slice(0, shownLengthMax)}…` : masked;
}
