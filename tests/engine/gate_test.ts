/** Tests of `core/engine/gate.ts`: any number or one alone, in the order of asking. */

import { assertEquals } from "@std/assert";
import { createGate, type Pass } from "../../core/engine/gate.ts";

/** A gate that writes down who came in, and whether late. */
function createWatched() {
  const gate = createGate();
  const stop = new AbortController();
  const passes = new Map<string, Pass | undefined>();
  return {
    stop,
    entered: () => [...passes].map(([name, pass]) => pass === undefined ? `${name} gave up` : name).join(", "),
    waited: (name: string) => passes.get(name)?.waited,
    async enter(name: string, alone = false) {
      void gate.enter({ alone, stop: stop.signal }).then((pass) => passes.set(name, pass));
      await settled();
    },
    async leave(...names: string[]) {
      for (const name of names) passes.get(name)!.leave();
      await settled();
    },
  };
}

/** Everything that promises had to say has been said. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("createGate: one alone waits until the others have left, and who comes after it waits behind it", async () => {
  const gate = createWatched();
  await gate.enter("a");
  await gate.enter("b");
  await gate.enter("alone", true);
  await gate.enter("c");
  await gate.enter("d");
  assertEquals(gate.entered(), "a, b");
  await gate.leave("a");
  assertEquals(gate.entered(), "a, b");
  await gate.leave("b");
  assertEquals(gate.entered(), "a, b, alone");
  await gate.leave("alone");
  assertEquals(gate.entered(), "a, b, alone, c, d");
  assertEquals([gate.waited("a"), gate.waited("alone"), gate.waited("d")], [false, true, true]);
});

Deno.test("createGate: of two that want to be alone the second comes after the first, and then the rest", async () => {
  const gate = createWatched();
  await gate.enter("first", true);
  await gate.enter("second", true);
  await gate.enter("c");
  assertEquals(gate.entered(), "first");
  await gate.leave("first");
  assertEquals(gate.entered(), "first, second");
  await gate.leave("second");
  assertEquals(gate.entered(), "first, second, c");
  await gate.leave("c");
  await gate.enter("third", true);
  assertEquals(gate.waited("third"), false);
});

Deno.test("createGate: at a stop nobody who waits comes in, nor anybody later", async () => {
  const gate = createWatched();
  await gate.enter("a");
  await gate.enter("alone", true);
  await gate.enter("b");
  gate.stop.abort();
  await gate.enter("c");
  assertEquals(gate.entered(), "a, alone gave up, b gave up, c gave up");
  await gate.leave("a");
});

Deno.test("createGate: one that gives up alone lets those behind it in", async () => {
  const gate = createGate();
  const [stop, other] = [new AbortController(), new AbortController()];
  const first = await gate.enter({ alone: false, stop: other.signal });
  const alone = gate.enter({ alone: true, stop: stop.signal });
  const behind = gate.enter({ alone: false, stop: other.signal });
  stop.abort();
  assertEquals(await alone, undefined);
  assertEquals((await behind)?.waited, true);
  first?.leave();
});
