/**
 * Plants every bug in turn and simulates until it is found: `deno task sim:bugs [--seeds 300] [--only NAME]`. Exits 1
 * when one is not found.
 */

import { choose, orRefuse, soakOptions, text, whole } from "../support/soak_options.ts";
import { makeMemoryFolder } from "./memory_folder.ts";
import { plantedBugs } from "./planted_bugs.ts";
import { simulate } from "./simulation.ts";

const { seeds, only } = soakOptions({ seeds: whole(300), only: text("") });
const chosen = orRefuse(() => choose(plantedBugs.map(({ name }) => name), only));
await using folder = await makeMemoryFolder();
let missed = 0;
for (const bug of plantedBugs.filter(({ name }) => chosen.includes(name))) {
  const begun = performance.now();
  let seed = 0;
  let names = "";
  for (; seed < seeds && names === ""; seed++) {
    const { findings } = await simulate(seed, { folder: folder.path, bug });
    names = [...new Set(findings.map(({ name }) => name))].join(", ");
  }
  const took = `${((performance.now() - begun) / 1_000).toFixed(1)} s`;
  if (names === "") missed++;
  console.log(`${bug.name}: ${names === "" ? `NOT FOUND in ${seeds} seeds` : `seed ${seed - 1}: ${names}`} (${took})`);
}
if (missed > 0) Deno.exitCode = 1;
