import { assertEquals } from "@std/assert";
import { createRandom } from "../support/seeded_random.ts";
import { draw } from "./engine_reader.ts";

const rows = Array.from({ length: 100 }, (_, n) => n);

Deno.test("draw: the same seed draws the same, and every row is drawn by some seed", () => {
  const drawn = (seed: number) => draw(rows, 10, createRandom(seed));
  assertEquals(drawn(1), drawn(1));
  assertEquals(new Set(drawn(1)).size, 10);
  const ever = new Set(rows.flatMap((seed) => drawn(seed)));
  assertEquals(ever.size, rows.length);
});

Deno.test("draw: fewer rows than are asked for are drawn all", () => {
  assertEquals(draw(rows, 1_000, createRandom(1)).sort((a, b) => a - b), rows);
});
