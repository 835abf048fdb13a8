/**
 * The import map of an engine that is to die: the project's own, and in a few places a module that dies where the
 * original lives. The product is not changed for it and knows nothing of it.
 */

const root = new URL("../../../", import.meta.url);

/** Who gets which module instead of which; a folder means all modules in it. */
const replaced: readonly { readonly in: string; readonly original: string; readonly dying: string }[] = [
  { in: "core/store/", original: "core/store/sqlite.ts", dying: "dying_sqlite.ts" },
  { in: "core/store/", original: "core/store/libsql.ts", dying: "dying_libsql.ts" },
  { in: "core/weir.ts", original: "core/engine/intake.ts", dying: "dying_intake.ts" },
  { in: "core/weir.ts", original: "core/engine/generation.ts", dying: "dying_generation.ts" },
];

/** Makes the text of the import map. */
export function createImportMap(): string {
  const { imports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))) as {
    imports: Readonly<Record<string, string>>;
  };
  const absolute = Object.entries(imports).flatMap(([name, to]) => {
    if (to.startsWith(".")) return [[name, urlOf(to)]];
    // In a deno.json the parts of a package go without saying; here they do not.
    return [[name, to], [`${name}/`, `${to.replace("npm:", "npm:/")}/`]];
  });
  const scopes = Map.groupBy(replaced, (each) => urlOf(each.in));
  return JSON.stringify({
    imports: Object.fromEntries(absolute),
    scopes: Object.fromEntries(
      [...scopes].map(([scope, modules]) => [
        scope,
        Object.fromEntries(
          modules.map(({ original, dying }) => [urlOf(original), new URL(dying, import.meta.url).href]),
        ),
      ]),
    ),
  });
}

function urlOf(path: string): string {
  return new URL(path, root).href;
}
