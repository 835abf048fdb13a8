/**
 * How the program `weir` is run from its sources, as the task `weir` of deno.json runs it, so that what is weighed and
 * timed here is what people run.
 */

import { fileURLToPath } from "node:url";
import deno from "../../deno.json" with { type: "json" };

const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** Arguments of Deno that run `weir`. Others of Deno's own come before them, the command after. */
export const weirProgram: readonly string[] = [...v8FlagsOf(deno.tasks.weir), main];

/** The flags that a task sets for V8, as one argument of Deno, or nothing. */
export function v8FlagsOf(task: string): string[] {
  return task.split(" ").filter((word) => word.startsWith("--v8-flags="));
}
