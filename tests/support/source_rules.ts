/**
 * The house rules that can be read off the source, as pure functions from files to offenders. `layers_test.ts` holds
 * the tree against them, and each of them against sources that break it.
 */

import { findComputedImports, findImports, type FoundImport, lineAt, scan, type SourceFile } from "./source_scan.ts";

/** The `imports` of deno.json. */
export type ImportMap = Readonly<Record<string, string>>;

/** Most lines of a file; a longer one is split by meaning. */
export const linesMax = 400;

/** Which folders (with a trailing slash) and files a file may import from. The first row that fits it counts. */
const directions: readonly {
  from: RegExp;
  to: readonly string[];
  types?: readonly string[];
  lazy?: readonly string[];
}[] = [
  { from: /^core\/domain\//, to: ["core/domain/"] },
  { from: /^core\/config\//, to: ["core/config/", "core/domain/"] },
  { from: /^core\/store\//, to: ["core/store/", "core/domain/"] },
  { from: /^core\/engine\//, to: ["core/engine/", "core/store/", "core/domain/"] },
  { from: /^core\/http\//, to: ["core/http/", "core/engine/", "core/store/", "core/domain/"] },
  { from: /^core\/plugin\.ts$/, to: ["core/domain/"] },
  { from: /^core\/weir\.ts$/, to: ["core/http/", "core/engine/", "core/store/", "core/config/", "core/domain/"] },
  {
    from: /^core\/mod\.ts$/,
    to: ["core/weir.ts", "core/config/", "core/domain/"],
    types: ["core/store/", "core/engine/", "core/http/"],
  },
  { from: /^plugins\//, to: ["plugins/", "core/plugin.ts"] },
  {
    from: /^cli\/main\.ts$/,
    to: ["cli/", "core/mod.ts", "plugins/mod.ts"],
    lazy: ["plugins/handlers/script_host.ts", "core/store/backup_process.ts"],
  },
  { from: /^cli\//, to: ["cli/", "core/mod.ts", "plugins/mod.ts"] },
];

/** Where each package may be imported. A package that is not here is for tests alone. */
const packageHomes: Readonly<Record<string, readonly string[]>> = {
  "kysely": ["core/store/"],
  "@libsql/client": ["core/store/"],
  "node:sqlite": ["core/store/"],
  "hono": ["core/http/"],
  "@hono/zod-openapi": ["core/http/"],
  "@std/http": ["core/http/"],
  "yaml": ["core/config/"],
  "ajv": ["core/config/"],
  "ajv-formats": ["core/config/"],
  "@marcbachmann/cel-js": ["core/config/"],
  "re2js": ["core/config/"],
  "ipaddr.js": ["core/config/", "core/http/"],
  "zod": ["core/config/schema.ts", "core/http/admin_schema.ts"],
  "@std/crypto": ["plugins/signature.ts"],
  "@std/encoding": ["core/", "plugins/", "cli/"],
  "commander": ["cli/main.ts"],
  "croner": ["core/config/"],
};

/** Only these load files that nobody has named in the source: a user's handler. */
const handlerLoaders = ["plugins/handlers/script_host.ts", "plugins/handlers/script_worker.ts"];

/** What would let `core/domain` see the machine: time, chance, the network, the runtime. */
const impurities: readonly RegExp[] = [
  /\bDate\s*\.\s*now\b/g,
  /\bDate\s*\(\s*\)/g,
  /\bnew\s+Date\b(?!\s*\()/g,
  /\bMath\s*\.\s*random\b/g,
  /\b(?:performance|setTimeout|setInterval|setImmediate|queueMicrotask|console|globalThis)\b/g,
  /\b(?:crypto|Deno|process|Temporal\s*\.\s*Now)\s*\./g,
  /(?<!\.\s*)\bfetch\s*\(/g,
];

/** Where an import leads: a file of the project, a package or builtin, or nowhere that the project knows. */
export type Destination =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "package"; readonly name: string }
  | { readonly kind: "unknown" };

/** Resolves a specifier the way deno.json says. */
export function resolveSpecifier(specifier: string, from: { path: string; imports: ImportMap }): Destination {
  if (/^\.{1,2}\//.test(specifier)) {
    return { kind: "file", path: new URL(specifier, `file:///${from.path}`).pathname.slice(1) };
  }
  if (specifier.startsWith("node:")) return { kind: "package", name: specifier };
  const mapped = from.imports[specifier];
  if (mapped?.startsWith("./")) return { kind: "file", path: mapped.slice(2) };
  const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  return (mapped ?? from.imports[name])?.startsWith("npm:") ? { kind: "package", name } : { kind: "unknown" };
}

/** Imports that run against the direction in which imports may run, and files that have no place in the tree. */
export function checkDirections(files: readonly SourceFile[], imports: ImportMap): string[] {
  return files.flatMap((file) => {
    const row = directions.find(({ from }) => from.test(file.path));
    if (row === undefined) return [`${file.path}:1 has no place in the tree`];
    return importsOf(file, imports).flatMap(({ found, destination }) => {
      if (destination.kind !== "file") return [];
      const allowed = [
        ...row.to,
        ...(found.typeOnly ? row.types ?? [] : []),
        ...(found.dynamic ? row.lazy ?? [] : []),
      ];
      if (isWithin(destination.path, allowed)) return [];
      return [`${file.path}:${found.line} imports ${destination.path}; it may import from ${allowed.join(", ")}`];
    });
  });
}

/** Packages imported away from home, and specifiers that deno.json does not map. */
export function checkPackages(files: readonly SourceFile[], imports: ImportMap): string[] {
  return files.flatMap((file) =>
    importsOf(file, imports).flatMap(({ found, destination }) => {
      const place = `${file.path}:${found.line}`;
      if (destination.kind === "unknown") return [`${place} imports ${found.specifier}, which deno.json does not map`];
      if (destination.kind !== "package") return [];
      const { name } = destination;
      const homes = packageHomes[name] ?? (name.startsWith("node:") ? ["core/", "plugins/", "cli/"] : []);
      if (isWithin(file.path, homes) && !file.path.startsWith("core/domain/")) return [];
      return [`${place} imports ${name}, whose home is ${homes.join(", ") || "tests/"}`];
    })
  );
}

/** Files that reach themselves through their imports, each ring once. */
export function checkCycles(files: readonly SourceFile[], imports: ImportMap): string[] {
  const edges = new Map(files.map((file) => [
    file.path,
    importsOf(file, imports).flatMap(({ found, destination }) =>
      destination.kind === "file" ? [{ to: destination.path, line: found.line }] : []
    ),
  ]));
  const finished = new Set<string>();
  const offenders: string[] = [];
  const visit = (path: string, trail: { path: string; line: number }[]) => {
    const start = trail.findIndex((step) => step.path === path);
    if (start !== -1) {
      offenders.push(`${trail.slice(start).map((step) => `${step.path}:${step.line}`).join(" -> ")} -> ${path}`);
      return;
    }
    if (finished.has(path)) return;
    for (const { to, line } of edges.get(path) ?? []) visit(to, [...trail, { path, line }]);
    finished.add(path);
  };
  for (const { path } of files) visit(path, []);
  return offenders;
}

/** `import()` with a computed specifier, which would walk around every rule above. */
export function checkComputedImports(files: readonly SourceFile[]): string[] {
  return files.filter(({ path }) => !handlerLoaders.includes(path)).flatMap(({ path, text }) =>
    findComputedImports(text).map((line) => `${path}:${line} has an import() whose specifier is not a literal`)
  );
}

/** Places where `core/domain` asks the machine for something instead of being handed it. */
export function checkPurity(files: readonly SourceFile[]): string[] {
  return files.filter(({ path }) => path.startsWith("core/domain/")).flatMap(({ path, text }) => {
    const { code } = scan(text);
    return impurities.flatMap((pattern) =>
      [...code.matchAll(pattern)].map((match) => `${path}:${lineAt(code, match.index)} uses ${match[0]}`)
    );
  });
}

/** Files beyond {@link linesMax} lines. */
export function checkLengths(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, "").split("\n").length;
    return lines > linesMax ? [`${path}:${linesMax + 1} has ${lines} lines, at most ${linesMax}`] : [];
  });
}

/** Names that are not snake_case, or that say nothing. */
export function checkNames(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path }) => {
    const parts = path.replace(/(?:_test)?\.tsx?$/, "").split("/");
    return parts.flatMap((part) => {
      if (!/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/.test(part)) return [`${path}:1 is not snake_case`];
      if (/^(?:utils?|helpers?|common|types?|misc)$/.test(part)) return [`${path}:1 has a name that says nothing`];
      return [];
    });
  });
}

/** Names at the top level that were not agreed on; dot files are free, and so is what git ignores. */
export function checkTopLevel(names: readonly string[], ignored: readonly string[]): string[] {
  const agreed = ["core", "plugins", "cli", "tests", "deno.json", "deno.lock", "README.md"];
  return names.filter((name) => !name.startsWith(".") && !agreed.includes(name) && !ignored.includes(name))
    .map((name) => `${name}:1 is not one of ${agreed.join(", ")}`);
}

function importsOf(file: SourceFile, imports: ImportMap): { found: FoundImport; destination: Destination }[] {
  return findImports(file.text).map((found) => ({
    found,
    destination: resolveSpecifier(found.specifier, { path: file.path, imports }),
  }));
}

/** An entry that ends in a slash is a folder. */
function isWithin(path: string, places: readonly string[]): boolean {
  return places.some((place) => place.endsWith("/") ? path.startsWith(place) : path === place);
}
