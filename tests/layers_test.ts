/**
 * Reads every source file and holds it against the house: import directions, package homes, a pure `core/domain`, names
 * and lengths. Every rule is also shown a source that breaks it, because a rule that cannot fail proves nothing.
 */

import { assertEquals } from "@std/assert";
import {
  checkComputedImports,
  checkCycles,
  checkDirections,
  checkLengths,
  checkNames,
  checkPackages,
  checkPurity,
  checkTopLevel,
  type ImportMap,
  linesMax,
} from "./support/source_rules.ts";
import { findComputedImports, findImports, scan, type SourceFile } from "./support/source_scan.ts";

const root = new URL("../", import.meta.url);
const imports: ImportMap = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))).imports;

function readSources(folder: string): SourceFile[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return readSources(`${folder}${name}/`);
    if (!/\.tsx?$/.test(name)) return [];
    return [{ path: `${folder}${name}`, text: Deno.readTextFileSync(new URL(folder + name, root)) }];
  });
}

const product = ["core/", "plugins/", "cli/"].flatMap(readSources);
const everything = [...product, ...readSources("tests/")];

/** Fails with one offender a line. */
function assertNone(offenders: readonly string[]): void {
  if (offenders.length > 0) throw new Error(`${offenders.length} offenders\n${offenders.join("\n")}`);
}

Deno.test("layers: the tree was found", () => assertEquals(product.length > 20, true));

Deno.test("layers: imports run one way", () => assertNone(checkDirections(product, imports)));

Deno.test("layers: no file reaches itself", () => assertNone(checkCycles(product, imports)));

Deno.test("layers: every package is imported at home", () => assertNone(checkPackages(product, imports)));

Deno.test("layers: every import() names its file", () => assertNone(checkComputedImports(product)));

Deno.test("layers: core/domain asks the machine for nothing", () => assertNone(checkPurity(product)));

Deno.test("layers: no file is longer than it may be", () => assertNone(checkLengths(everything)));

Deno.test("layers: file names are snake_case and say something", () => assertNone(checkNames(everything)));

Deno.test("layers: the top level holds only what was agreed on", () => {
  const ignored = Deno.readTextFileSync(new URL(".gitignore", root)).split("\n").map((line) =>
    line.replaceAll("/", "")
  );
  assertNone(checkTopLevel([...Deno.readDirSync(root)].map(({ name }) => name), ignored));
});

const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: lines.join("\n") });

Deno.test("checkDirections: every way that is closed is found, with its place", () => {
  const closed: [path: string, code: string][] = [
    ["core/domain/a.ts", 'import { b } from "../store/b.ts";'],
    ["core/domain/a.ts", 'export * from "../config/b.ts";'],
    ["core/config/a.ts", 'import type { B } from "../engine/b.ts";'],
    ["core/store/a.ts", 'import "../engine/b.ts";'],
    ["core/engine/a.ts", 'await import("../http/b.ts");'],
    ["core/http/a.ts", 'import { b } from "../config/b.ts";'],
    ["core/http/a.ts", 'import { b } from "../mod.ts";'],
    ["core/plugin.ts", 'import { b } from "./engine/b.ts";'],
    ["core/weir.ts", 'import { b } from "../plugins/mod.ts";'],
    ["core/weir.ts", 'import { b } from "weir/plugins";'],
    ["core/mod.ts", 'export { type A, b } from "./store/store.ts";'],
    ["core/mod.ts", 'import type from "./engine/b.ts";'],
    ["plugins/a.ts", 'import { b } from "../core/domain/event.ts";'],
    ["plugins/a.ts", 'type B = import("../core/mod.ts").B;'],
    ["cli/a.ts", 'import { b } from "../core/weir.ts";'],
    ["cli/a.ts", 'await import("../plugins/handlers/script_host.ts");'],
    ["cli/main.ts", 'import { b } from "../plugins/handlers/script_host.ts";'],
    ["cli/main.ts", 'await import("../plugins/handlers/script.ts");'],
    ["core/engine/a.ts", 'import {\n  b,\n} from "../../cli/main.ts";'],
    ["core/other/a.ts", ""],
    ["core/other.ts", ""],
  ];
  for (const [path, code] of closed) {
    assertEquals(checkDirections([file(path, "", code)], imports).length, 1, `${path}: ${code}`);
  }
  assertEquals(checkDirections([file("core/store/a.ts", "", "", 'import {\n  b\n} from "../http/b.ts";')], imports), [
    "core/store/a.ts:5 imports core/http/b.ts; it may import from core/store/, core/domain/",
  ]);
});

Deno.test("checkDirections: every way that is open stays open", () => {
  const open: [path: string, code: string][] = [
    ["core/domain/a.ts", 'import { b } from "./b.ts";'],
    ["core/http/dashboard/a.tsx", 'import { b } from "../../engine/b.ts";'],
    ["core/mod.ts", 'export type { B } from "./store/store.ts"; export { type C, type D } from "./engine/b.ts";'],
    ["core/mod.ts", 'export { createWeir } from "./weir.ts";'],
    ["plugins/handlers/a.ts", 'import { b } from "../../core/plugin.ts"; import { c } from "weir/plugin";'],
    ["cli/main.ts", 'await import("../plugins/handlers/script_host.ts");'],
    ["cli/a.ts", 'import { b } from "weir"; import { c } from "../plugins/mod.ts";'],
  ];
  for (const [path, code] of open) assertNone(checkDirections([file(path, code)], imports));
});

Deno.test("checkCycles: a ring is found once, however long, and through types and import()", () => {
  const files = [
    file("core/domain/a.ts", "", 'import type { B } from "./b.ts";'),
    file("core/domain/b.ts", 'import("./c.ts");'),
    file("core/domain/c.ts", 'export * from "./a.ts"; import "./d.ts";'),
    file("core/domain/d.ts"),
  ];
  assertEquals(checkCycles(files, imports), [
    "core/domain/a.ts:2 -> core/domain/b.ts:1 -> core/domain/c.ts:1 -> core/domain/a.ts",
  ]);
  assertEquals(checkCycles([file("core/domain/a.ts", 'import "./a.ts";')], imports).length, 1);
  assertEquals(checkCycles(files.slice(1), imports), []);
});

Deno.test("checkPackages: a package away from home is found", () => {
  const away: [path: string, code: string, home: string][] = [
    ["core/http/a.ts", 'import { sql } from "kysely";', "core/store/"],
    ["core/engine/a.ts", 'import { DatabaseSync } from "node:sqlite";', "core/store/"],
    ["cli/a.ts", 'import { Command } from "commander";', "cli/main.ts"],
    ["core/config/load.ts", 'import { z } from "zod";', "core/config/schema.ts, core/http/admin_schema.ts"],
    ["plugins/handlers/a.ts", 'import { equal } from "@std/crypto/timing-safe-equal";', "plugins/signature.ts"],
    ["core/store/a.ts", 'import { jsx } from "hono/jsx";', "core/http/"],
    ["cli/a.ts", 'import fc from "fast-check";', "tests/"],
  ];
  for (const [path, code, home] of away) {
    const [offender, ...more] = checkPackages([file(path, code)], imports);
    assertEquals([offender?.endsWith(`whose home is ${home}`), more.length], [true, 0], `${path}: ${offender}`);
  }
  assertEquals(checkPackages([file("core/domain/a.ts", 'import { join } from "node:path";')], imports).length, 1);
  assertEquals(checkPackages([file("core/domain/a.ts", 'import { x } from "@std/encoding/hex";')], imports).length, 1);
  assertEquals(checkPackages([file("cli/a.ts", 'import { join } from "node:path";')], imports), []);
  for (const specifier of ["https://example.com/a.ts", "jsr:@std/assert", "npm:left-pad", "left-pad"]) {
    assertEquals(checkPackages([file("cli/a.ts", `import "${specifier}";`)], imports), [
      `cli/a.ts:1 imports ${specifier}, which deno.json does not map`,
    ]);
  }
});

Deno.test("checkComputedImports: only the handler loaders may compute what they load", () => {
  const computed = ["await import(name);", "await import(`./${name}.ts`);", 'await import("./" + name);'];
  for (const code of computed) assertEquals(checkComputedImports([file("core/engine/a.ts", code)]).length, 1, code);
  assertEquals(checkComputedImports([file("plugins/handlers/script_worker.ts", computed[0]!)]), []);
  assertEquals(checkComputedImports([file("cli/a.ts", 'import("./a.ts"); loader.import(name); import.meta.url;')]), []);
});

Deno.test("checkPurity: everything that asks the machine is found, in code alone", () => {
  const impure = [
    "Date.now()",
    "new Date()",
    "new Date;",
    "Math.random()",
    "performance.now()",
    "setTimeout(f, 1)",
    "setInterval(f, 1)",
    "crypto.randomUUID()",
    "Deno.env",
    "process.env",
    'fetch("x")',
    "`${Date.now()}`",
    "globalThis.Deno",
  ];
  for (const code of impure) {
    assertEquals(checkPurity([file("core/domain/a.ts", "", `x = ${code}`)]).length > 0, true, code);
    assertEquals(checkPurity([file("core/engine/a.ts", `x = ${code}`)]), []);
  }
  const pure = [
    "new Date(at)",
    "Date.parse(text)",
    "// Date.now()",
    '"Math.random()"',
    "`Deno.exit()`",
    "cache.fetch(x)",
  ];
  for (const code of pure) assertEquals(checkPurity([file("core/domain/a.ts", `x = ${code}`)]), [], code);
});

Deno.test("checkLengths: one line too many is found", () => {
  assertEquals(checkLengths([{ path: "core/a.ts", text: "x\n".repeat(linesMax) }]), []);
  assertEquals(checkLengths([{ path: "core/a.ts", text: "x\n".repeat(linesMax + 1) }]), [
    "core/a.ts:401 has 401 lines, at most 400",
  ]);
});

Deno.test("checkNames: names that are not snake_case or say nothing are found", () => {
  for (const path of ["core/fooBar.ts", "core/foo-bar.ts", "core/Foo/a.ts", "core/_a.ts", "core/a__b.ts"]) {
    assertEquals(checkNames([file(path)]), [`${path}:1 is not snake_case`]);
  }
  for (const path of ["core/utils.ts", "core/helpers/a.ts", "core/common.ts", "cli/types.ts", "tests/utils_test.ts"]) {
    assertEquals(checkNames([file(path)]), [`${path}:1 has a name that says nothing`]);
  }
  assertEquals(checkNames([file("core/commit_group.ts"), file("tests/a2_test.ts"), file("core/http/view.tsx")]), []);
});

Deno.test("checkTopLevel: a stray name is found, dot files and what git ignores are not", () => {
  const names = ["core", "README.md", ".ci", "demo", "notes.txt"];
  assertEquals(checkTopLevel(names, ["demo"]).map((offender) => offender.split(":")[0]), ["notes.txt"]);
});

Deno.test("findImports: nothing in comments, texts, templates or regular expressions is an import", () => {
  const code = [
    '// import "a";',
    '/* import "b"; */',
    'const c = "import \\"c\\"; // no comment";',
    "const d = `import 'd'; ${'e'} /* ${`${nested({ f: 1 })}`} `;",
    "const g = text.match(/['\"`]/) ?? a / b;",
    'const h = query.from("h").select("x");',
    'return /[/"]/.test(text) ? <p title="don\'t">it\'s</p> : null;',
    "import 'i'; // import 'j';",
    "export { k } from /* here */ 'k';",
  ].join("\n");
  assertEquals(findImports(code).map(({ specifier, line }) => [specifier, line]), [["i", 8], ["k", 9]]);
  assertEquals(findComputedImports(code), []);
});

Deno.test("scan: lines stay where they are", () => {
  for (const { text } of everything) assertEquals(scan(text).code.split("\n").length, text.split("\n").length);
});
