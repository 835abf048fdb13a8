/**
 * The short form of the simulation: some hundred seeds, and the proof that it would find something. The long form is
 * `deno task sim --seeds 100000`; `deno task sim:bugs` looks for every planted bug from the first seed on.
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import { createRandom } from "../support/seeded_random.ts";
import { addCrashes, type CrashCounts, crashPointNames } from "./crash_points.ts";
import { createKernel } from "./kernel.ts";
import { makeMemoryFolder } from "./memory_folder.ts";
import { plantedBugs } from "./planted_bugs.ts";
import { simulate } from "./simulation.ts";

/** Seeds of the short form. */
const seeds = 200;

/** A change in the engine moves what a seed does; a planted bug may then need some of the next ones. */
const bugSeedsMax = 100;

Deno.test("kernel: tasks run in order of time, and in the seed's order at one instant", async () => {
  const run = async (seed: number): Promise<string> => {
    const kernel = createKernel(createRandom(seed));
    const life = { name: "test", alive: true };
    let order = "";
    for (const name of "abcdef") kernel.schedule(life, 5, () => void (order += name));
    kernel.schedule(life, 1, () => void (order += "1"));
    kernel.schedule(life, 9, () => void (order += "9"));
    while (await kernel.step());
    return order;
  };
  const orders = await Promise.all([1, 2, 1].map(run));
  assertEquals(orders[0], orders[2]);
  assertNotEquals(orders[0], orders[1]);
  for (const order of orders) assertEquals([order.length, order[0], order.at(-1)], [8, "1", "9"]);
});

Deno.test("kernel: what is cancelled, and what belongs to the dead, never runs", async () => {
  const kernel = createKernel(createRandom(1));
  const life = { name: "doomed", alive: true };
  const ran: string[] = [];
  kernel.schedule(life, 1, () => {
    ran.push("first");
    life.alive = false;
  });
  kernel.schedule(life, 2, () => ran.push("of the dead"));
  kernel.schedule({ name: "other", alive: true }, 2, () => ran.push("of another"));
  kernel.schedule({ name: "other", alive: true }, 3, () => ran.push("cancelled"))();
  while (await kernel.step());
  assertEquals(ran, ["first", "of another"]);
  assertEquals(kernel.now, 2);
});

Deno.test("simulate: the same seed does the same, line by line", async () => {
  await using folder = await makeMemoryFolder();
  for (const seed of [3, 10, 25]) {
    const lines: string[][] = [[], []];
    const hashes = [];
    for (const trace of lines) {
      hashes.push((await simulate(seed, { folder: folder.path, trace: (line) => trace.push(line) })).hash);
    }
    assertEquals(lines[0], lines[1]);
    assertEquals(hashes[0], hashes[1]);
  }
});

Deno.test(`simulate: ${seeds} seeds keep every promise, and most places of death are tried`, async () => {
  await using folder = await makeMemoryFolder();
  const crashes: CrashCounts = {};
  for (let seed = 0; seed < seeds; seed++) {
    const report = await simulate(seed, { folder: folder.path });
    assertEquals(report.findings, [], `deno task sim --seed ${seed} --trace`);
    addCrashes(crashes, report.crashes);
  }
  const tried = crashPointNames.filter((point) => crashes[point] !== undefined);
  assertEquals(tried.length > crashPointNames.length * 0.8, true, `only ${tried.join("; ")}`);
});

for (const bug of plantedBugs) {
  Deno.test(`simulate: finds the planted bug: ${bug.name}`, async () => {
    await using folder = await makeMemoryFolder();
    for (let seed = bug.seed; seed < bug.seed + bugSeedsMax; seed++) {
      if ((await simulate(seed, { folder: folder.path, bug })).findings.length > 0) return;
    }
    throw new Error(`not found in ${bugSeedsMax} seeds from ${bug.seed}`);
  });
}
