import { assert, assertEquals, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { amount, choose, flag, readOptions, text, whole } from "./soak_options.ts";

const spec = {
  rounds: whole(50),
  seed: whole(undefined, { least: 0 }),
  cut: amount(0.5, { most: 1 }),
  only: text(""),
  trace: flag,
};

Deno.test("readOptions: what is not asked for is as it is otherwise, and a lone -- says nothing", () => {
  assertEquals(readOptions(spec, ["--"]), { rounds: 50, seed: undefined, cut: 0.5, only: "", trace: false });
  assertEquals(readOptions(spec, ["--", "--rounds", "3", "--seed=0", "--cut", "0", "--only", "a b", "--trace"]), {
    rounds: 3,
    seed: 0,
    cut: 0,
    only: "a b",
    trace: true,
  });
});

for (
  const args of [
    ["--rownds", "3"],
    ["stray"],
    ["--rounds"],
    ["--rounds", "0"],
    ["--rounds", "many"],
    ["--rounds", "1.5"],
    ["--rounds="],
    ["--rounds", "1e99"],
    ["--rounds", "2", "--rounds", "3"],
    ["--cut", "1.1"],
    ["--cut=-1"],
    ["--trace=yes"],
  ]
) {
  Deno.test(`readOptions: refuses ${args.join(" ")}`, () => {
    assertThrows(() => readOptions(spec, args));
  });
}

Deno.test("choose: a part of a name chooses, none chooses all, and a name that nobody has is refused", () => {
  assertEquals(choose(["cancel", "reload"], "load"), ["reload"]);
  assertEquals(choose(["cancel", "reload"], ""), ["cancel", "reload"]);
  assertThrows(() => choose(["cancel", "reload"], "typo"), RangeError, "cancel, reload");
});

const soaks: readonly (readonly [string, ...string[]])[] = [
  ["../e2e/soak_kill.ts", "--points", "1", "--only", "typo"],
  ["../e2e/soak_kill.ts", "--pending", "1000", "--rounds", "3"],
  ["../e2e/soak_order.ts", "--failing", "2"],
  ["../e2e/soak_backlog.ts", "--rounds", "none"],
  ["../e2e/faults/soak_faults.ts", "--only", "typo"],
  ["../e2e/many_engines/soak_engines.ts", "--engines", "one"],
  ["../e2e/power_cut/soak_power_cut.ts", "--synchronous", "SOME"],
  ["../simulation/sim.ts", "--seeds", "lots"],
];
for (const [script, ...args] of soaks) {
  Deno.test(`${script.slice(3)} ${args.join(" ")}: ends with 2, says why and runs nothing`, async () => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", path, "--", ...args],
      stdin: "null",
    }).output();
    const [said, complained] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals([code, said], [2, ""], complained);
    assert(complained!.startsWith("not run: "), complained);
  });
}
