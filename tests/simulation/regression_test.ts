/**
 * Seeds that once broke a promise. A change in the engine moves what a seed does, so that each is less than a test of what
 * it found; that one is where the mistake was mended. They cost nothing, and have shown that they go where it hurts.
 */

import { assertEquals } from "@std/assert";
import { makeMemoryFolder } from "./memory_folder.ts";
import { simulate } from "./simulation.ts";

const seeds: readonly number[] = [2926, 5962, 8605, 12889, 16396, 16874, 36455, 80392, 99354];

for (const seed of seeds) {
  Deno.test(`simulate: seed ${seed}, which broke a promise once, keeps every promise`, async () => {
    await using folder = await makeMemoryFolder();
    const { findings } = await simulate(seed, { folder: folder.path });
    assertEquals(findings, [], `deno task sim --seed ${seed} --trace`);
  });
}
