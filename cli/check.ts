/**
 * `weir check` and `weir schema`: what can be said of routes.yaml without running it.
 */

import { routesJsonSchema, type Source } from "../core/mod.ts";
import { count } from "./wording.ts";
import { paint, print, printJson } from "./print.ts";
import { loadProject, printIssues } from "./project.ts";

/** Validates routes.yaml and prints every issue. Returns the exit code. */
export async function check(options: { config: string; json?: boolean }): Promise<number> {
  const project = await loadProject(options.config);
  if (options.json) {
    printJson(project.ok ? { ok: true, warnings: project.warnings } : { ok: false, issues: project.issues });
    return project.ok ? 0 : 1;
  }
  if (!project.ok) {
    printIssues(project.issues);
    return 1;
  }
  printIssues(project.warnings, "warning");
  const { sources, routes } = project.config;
  print(`${paint.green("fine")} ${options.config}: ${count(sources.size, "source")}, ${count(routes.length, "route")}`);
  for (const source of sources.values()) {
    print(`  source ${source.name}: ${describeSource(source)}`);
  }
  for (const route of routes) {
    const to = route.destinations.map((to) => to.kind === "script" ? to.file : to.kind === "target" ? to.url : to.kind);
    const types = route.on.length === 1 && route.on[0] === "*" ? "" : ` ${route.on.join(" or ")}`;
    print(`  route ${route.name}: ${route.from.join(", ")}${types} → ${to.join(", ")}`);
  }
  return 0;
}

function describeSource(source: Source): string {
  switch (source.kind) {
    case "http":
      return `${source.provider.name} at POST ${source.path}`;
    case "cron":
      return `cron ${source.schedule} ${source.timezone}`;
    case "publish":
      return "publish";
  }
}

/** Prints the JSON Schema of routes.yaml. */
export function schema(): number {
  printJson(routesJsonSchema());
  return 0;
}
