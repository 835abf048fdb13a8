import { assert, assertEquals } from "@std/assert";
import { measureBesideStuckHead, runOrderRig } from "./order_rig.ts";

Deno.test("weir: per key, events start in the order of their acceptance and never two at once", async () => {
  const { anomalies, events, succeeded, failed } = await runOrderRig({ keys: 100, eventsPerKey: 20 }, {
    failing: 1 / 3,
  });
  assertEquals(anomalies, []);
  assertEquals([events, succeeded], [2_000, 2_000]);
  assert(failed > 500, "a third of the attempts were to fail");
});

Deno.test("weir: a key whose head never succeeds leaves the others their pace", async () => {
  const size = { keys: 50, eventsPerKey: 40 };
  const ratios: number[] = [];
  // A machine that is busy with something else can spoil any one comparison, in either direction.
  while (ratios.length < 4 && !ratios.some((ratio) => ratio > 0.5)) {
    const alone = await measureBesideStuckHead(size, false);
    const beside = await measureBesideStuckHead(size, true);
    ratios.push(beside / alone);
    console.log(`healthy keys: ${Math.round(alone)}/s alone, ${Math.round(beside)}/s beside a stuck one`);
  }
  assert(ratios.some((ratio) => ratio > 0.5), `kept only ${ratios.join(", ")} of their pace`);
});
