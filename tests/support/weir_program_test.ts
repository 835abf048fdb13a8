import { assertEquals } from "@std/assert";
import deno from "../../deno.json" with { type: "json" };
import { v8FlagsOf } from "./weir_program.ts";

Deno.test("the binary and the task run with the same V8: young generations of 8 MiB a thread, not 16", () => {
  assertEquals(v8FlagsOf(deno.tasks.weir), ["--v8-flags=--max-semi-space-size=8"]);
  assertEquals(v8FlagsOf(deno.tasks.compile), v8FlagsOf(deno.tasks.weir));
});
