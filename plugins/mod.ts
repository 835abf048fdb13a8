/**
 * The standard set: every provider and handler kind that comes with Weir, as a list of values. Importing it registers
 * nothing; spread it into `createWeir` and add your own beside it.
 */

import type { Provider, RunnerFactories } from "../core/plugin.ts";
import { createTargetRunner } from "./handlers/http.ts";
import { createScriptRunner } from "./handlers/script.ts";
import { providers } from "./providers/mod.ts";

/** What `createWeir` takes of it. */
export interface StandardPlugins {
  readonly providers: readonly Provider[];
  readonly runners: RunnerFactories;
}

/** The standard providers and handler kinds. */
export function standard(): StandardPlugins {
  return { providers, runners: { script: createScriptRunner, target: createTargetRunner } };
}
