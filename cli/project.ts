/**
 * routes.yaml as the commands see it: loaded with the standard providers, its issues printed. Loading pulls in all of
 * core, so that commands which only ask a running engine do it late or not at all.
 */

import { type Config, type ConfigIssue, formatIssue, loadConfig } from "../core/mod.ts";
import { standard } from "../plugins/mod.ts";
import { paint, printError } from "./print.ts";

/** What came of loading routes.yaml. */
export type Project =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigIssue[] }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Loads routes.yaml with the standard providers. */
export async function loadProject(config: string): Promise<Project> {
  return await loadConfig(config, { providers: standard().providers });
}

/** Prints what is wrong with routes.yaml to stderr, one issue after the other. */
export function printIssues(issues: readonly ConfigIssue[], as: "error" | "warning" = "error"): void {
  const mark = as === "error" ? paint.red("error") : paint.yellow("warning");
  for (const issue of issues) printError(`${mark} ${formatIssue(issue)}`);
}
