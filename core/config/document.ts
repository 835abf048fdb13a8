/**
 * The text of routes.yaml as a tree in which every value knows its line and column. An object handed in by a program
 * has the same face, without places.
 */

import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from "yaml";
import { type Path, valueAt } from "./path.ts";

/** Line and column, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Which part of a value is meant. Without one: the value itself, or its key when the value is a block or missing. */
export interface Spot {
  /** The key rather than the value. */
  readonly key?: boolean;
  /** A character inside the text of a string; `text` says which text, so that a replaced `${NAME}` cannot mislead. */
  readonly offset?: number;
  readonly text?: string;
}

/** A configuration before anything is checked. */
export interface RoutesDocument {
  readonly tree: unknown;
  /** What YAML complains of although it understood: each is an error, found beside all others. */
  readonly warnings: readonly YamlFault[];
  /** The value at a path; undefined when there is none. */
  value(path: Path): unknown;
  /** Where a path stands, or else the nearest thing above it; undefined when there is no text. */
  place(path: Path, spot?: Spot): Place | undefined;
}

/** A mistake in the YAML itself. */
export interface YamlFault extends Partial<Place> {
  readonly message: string;
}

/** A tree, or all that is wrong with the text. */
export type ReadDocument =
  | { readonly ok: true; readonly document: RoutesDocument }
  | { readonly ok: false; readonly faults: readonly YamlFault[] };

/** Longest routes.yaml, in bytes. */
export const fileBytesMax = 1_048_576;

/** Most aliases that may be expanded: a few kilobytes of them can stand for billions of values. */
const aliasesMax = 50;

/** Most YAML mistakes reported at once: past the first few, they follow from each other. */
const faultsMax = 20;

/** The tags of YAML's core schema; every other one is an error. */
const coreTags = ["str", "int", "float", "bool", "null", "map", "seq"].map((name) => `tag:yaml.org,2002:${name}`);

/** Reads YAML 1.2: core schema, unique string keys, no custom tags, and every warning is an error. */
export function readYaml(text: string): ReadDocument {
  const lines = new LineCounter();
  const parsed = parseDocument(text, {
    version: "1.2",
    schema: "core",
    strict: true,
    // Its own check compares every key with every other: a file of 20,000 keys takes seconds.
    uniqueKeys: false,
    stringKeys: true,
    merge: false,
    prettyErrors: false,
    lineCounter: lines,
  });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const explain = (error: { pos: [number, number]; message: string }): YamlFault => ({
    ...placeAt(error.pos[0]),
    message: explainYaml(error.message),
  });
  const found = faultsOf(parsed).map(({ node, message }) => ({ ...placeAt(node.range?.[0] ?? 0), message }));
  const isTag = ({ message }: YamlFault): boolean => message.startsWith("the tag ");
  const faults = parsed.errors.length > 0
    ? [...parsed.errors, ...parsed.warnings].map(explain)
    : found.filter((fault) => !isTag(fault));
  if (faults.length > 0) return { ok: false, faults: faults.slice(0, faultsMax) };
  // A tag leaves its value behind, so the rest can be checked all the same. YAML itself names the unknown ones.
  const unresolved = parsed.warnings.map(explain);
  const warnings = [
    ...unresolved,
    ...found.filter((fault) => isTag(fault) && !unresolved.some(({ line }) => line === fault.line)),
  ].slice(0, faultsMax);
  try {
    return { ok: true, document: documentOf(parsed, { text, placeAt, warnings }) };
  } catch (error) {
    // Only expanding aliases can fail here: too many of them.
    return { ok: false, faults: [{ line: 1, column: 1, message: `the aliases cannot be expanded: ${String(error)}` }] };
  }
}

/** Takes a program's object for a document. Only data survives: functions and undefined are dropped, as in JSON. */
export function readObject(value: unknown): ReadDocument {
  try {
    const tree: unknown = JSON.parse(JSON.stringify(value) ?? "null");
    return { ok: true, document: { tree, warnings: [], value: (path) => valueAt(tree, path), place: () => undefined } };
  } catch (error) {
    return { ok: false, faults: [{ message: `the configuration is not plain data: ${String(error)}` }] };
  }
}

function documentOf(
  parsed: Document,
  source: { text: string; placeAt: (offset: number) => Place; warnings: readonly YamlFault[] },
): RoutesDocument {
  const tree: unknown = parsed.toJS({ maxAliasCount: aliasesMax });
  return {
    warnings: source.warnings,
    tree,
    value: (path) => valueAt(tree, path),
    place(path, spot = {}) {
      let node: Node | null | undefined = parsed.contents;
      let key: Node | undefined;
      let reached = 0;
      for (const step of path) {
        const target: Node | undefined = isAlias(node) ? node.resolve(parsed) : node ?? undefined;
        const found = childOf(target, step);
        if (found === undefined) break;
        [node, key, reached] = [found.value, found.key, reached + 1];
      }
      const missing = reached < path.length;
      const value = isNode(node) ? node : undefined;
      const block = isCollection(value) && value.flow !== true;
      if (key !== undefined && (spot.key === true || missing || block || value?.range == null)) {
        return source.placeAt(key.range?.[0] ?? 0);
      }
      const start = value?.range?.[0] ?? 0;
      return source.placeAt(start + (missing ? 0 : offsetInside(value, source.text, spot)));
    },
  };
}

/** What the parser lets pass and routes.yaml must not hold. */
function faultsOf(parsed: Document): { node: Node; message: string }[] {
  const faults: { node: Node; message: string }[] = [];
  visit(parsed, {
    Alias(_key, node, ancestors) {
      const target = node.resolve(parsed);
      if (target === undefined) faults.push({ node, message: `the alias *${node.source} has no anchor before it` });
      else if (ancestors.includes(target)) {
        faults.push({ node, message: `the alias *${node.source} stands inside its own anchor` });
      }
    },
    Value(_key, node) {
      if (node.tag !== undefined && !coreTags.includes(node.tag)) {
        faults.push({ node, message: `the tag ${node.tag} is not supported; write a plain value` });
      }
      if (!isMap(node)) return;
      for (const { key } of node.items) {
        if (isScalar(key) && pairsOf(node).get(String(key.value))?.key === key) continue;
        const message = isScalar(key) ? "this key stands here for the second time" : "a key must be plain text";
        faults.push({ node: isNode(key) ? key : node, message });
      }
    },
  });
  return faults;
}

const indexes = new WeakMap<YAMLMap, Map<string, Pair>>();

/** The pairs of a mapping by their keys; of a repeated key, the first. */
function pairsOf(map: YAMLMap): Map<string, Pair> {
  const known = indexes.get(map);
  if (known !== undefined) return known;
  const index = new Map<string, Pair>();
  for (const pair of map.items) {
    const name = isScalar(pair.key) ? String(pair.key.value) : "";
    if (!index.has(name)) index.set(name, pair);
  }
  indexes.set(map, index);
  return index;
}

function childOf(node: Node | undefined, step: string | number): { value: Node | null; key?: Node } | undefined {
  if (!isCollection(node)) return undefined;
  if (!isMap(node)) {
    const item = node.get(step, true);
    return isNode(item) ? { value: item } : undefined;
  }
  const pair = pairsOf(node).get(String(step));
  if (pair === undefined) return undefined;
  return { value: isNode(pair.value) ? pair.value : null, key: isNode(pair.key) ? pair.key : undefined };
}

/** How far into a scalar's source a character of its text stands; 0 where escapes or folding make that unknowable. */
function offsetInside(value: Node | undefined, text: string, spot: Spot): number {
  if (spot.offset === undefined || spot.text === undefined || !value?.range) return 0;
  const raw = text.slice(value.range[0], value.range[1]);
  if (raw === spot.text) return spot.offset;
  return raw.slice(1, -1) === spot.text ? spot.offset + 1 : 0;
}

function explainYaml(message: string): string {
  if (message.includes("call stack")) return "nests too deeply to be read";
  if (message.startsWith("Source contains multiple documents")) return "there must be one YAML document, not several";
  if (message.startsWith("With stringKeys")) return "a key must be plain text";
  if (message.startsWith("Unresolved tag: !")) {
    return `${message}; a value that begins with ! is a tag: put it in quotes`;
  }
  return message;
}
