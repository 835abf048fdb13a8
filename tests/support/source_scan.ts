/**
 * Reads TypeScript far enough to know what a file imports and which names its code uses: comments, texts and regular
 * expressions are taken out first, so that neither an example in a comment nor a template that `weir init` writes counts.
 */

/** One file of the tree, by its path from the project's root. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** What is left of a file: every string became `"<its index in texts>"`; lines are where they were. */
export interface ScannedCode {
  readonly code: string;
  readonly texts: readonly string[];
}

/** One import, re-export or `import()` whose specifier is a literal. */
export interface FoundImport {
  readonly specifier: string;
  readonly line: number;
  readonly dynamic: boolean;
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

const lineComment = /\/\/[^\n]*/y;
const blockComment = /\/\*[\s\S]*?\*\//y;
const quoted = /(["'])((?:(?!\1)[^\\\n]|\\[\s\S])*)\1/y;
const regularExpression = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;

/** After these a slash begins a regular expression; after any other name, number, bracket or string it divides. */
const beforeExpression = /(?:^|[=(,:;!&|?{+\-*%>[~^]|\b(?:return|typeof|case|in|of|delete|void|throw|await|yield))$/;

/** Takes comments, template texts and regular expressions out of a file and its strings aside. */
export function scan(text: string): ScannedCode {
  const texts: string[] = [];
  // One entry per template literal that is open around the current place: how many braces are open in its `${ }`.
  const templates: number[] = [];
  let code = "";
  let at = 0;

  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    at = pattern.lastIndex;
    return found;
  };
  const blank = (taken: string) => code += taken.replace(/[^\n]+/g, " ");
  const skipTemplateText = () => {
    const start = at;
    while (at < text.length && text[at] !== "`" && !text.startsWith("${", at)) at += text[at] === "\\" ? 2 : 1;
    blank(text.slice(start, at));
    if (text[at] === "`") {
      code += "`";
      at += 1;
    } else {
      templates.push(0);
      at += 2;
    }
  };

  while (at < text.length) {
    const character = text[at]!;
    const comment = character === "/" ? take(lineComment) ?? take(blockComment) : undefined;
    if (comment !== undefined) {
      blank(comment[0]);
      continue;
    }
    if (character === "/" && beforeExpression.test(code.trimEnd()) && take(regularExpression)) continue;
    const string = character === '"' || character === "'" ? take(quoted) : undefined;
    if (string !== undefined) {
      code += `"${texts.push(string[2]!) - 1}"`;
      continue;
    }
    at += 1;
    if (character === "`") {
      code += "`";
      skipTemplateText();
      continue;
    }
    if (templates.length > 0 && character === "{") templates[templates.length - 1]! += 1;
    if (templates.length > 0 && character === "}" && templates[templates.length - 1]!-- === 0) {
      templates.pop();
      skipTemplateText();
      continue;
    }
    code += character;
  }
  return { code, texts };
}

/** Finds every import whose specifier is a literal, type imports included. */
export function findImports(text: string): FoundImport[] {
  const { code, texts } = scan(text);
  const found: FoundImport[] = [];
  for (const match of code.matchAll(/\b(from|import|require)(\s*\(?\s*)"(\d+)"/g)) {
    const [, word, between, index] = match;
    const call = between!.includes("(");
    // `from("x")` is a call of somebody's own, not an import.
    if (word === "from" && call) continue;
    found.push({
      specifier: texts[Number(index)]!,
      line: lineAt(code, match.index),
      dynamic: call,
      typeOnly: word === "from" && isTypeClause(code.slice(0, match.index)),
    });
  }
  return found;
}

/** The lines with an `import()` that no reader of the source can resolve. */
export function findComputedImports(text: string): number[] {
  const { code } = scan(text);
  return [...code.matchAll(/(?<![.\w$])import\s*\((?!\s*"\d+"\s*[,)])/g)].map(({ index }) => lineAt(code, index));
}

/** The line, from 1, in which an offset lies. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** Whether the statement that ends before `from` is `import type …`, or names types alone. */
function isTypeClause(before: string): boolean {
  const clause = before.slice(before.search(/\b(?:import|export)\b(?![\s\S]*\b(?:import|export)\b)/));
  if (/^(?:import|export)\s+type\s+\S/.test(clause)) return true;
  const [, names] = clause.match(/^(?:import|export)\s*\{([^}]*)\}\s*$/) ?? [];
  return names !== undefined && names.split(",").every((name) => name.trim() === "" || /^\s*type\s/.test(name));
}
