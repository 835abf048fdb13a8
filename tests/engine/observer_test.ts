/**
 * Who looks on does no harm.
 */

import { assertEquals } from "@std/assert";
import { createObservers } from "../../core/engine/observer.ts";

Deno.test("observers: one that throws is heard of, and takes nothing from the others or from whoever is watched", () => {
  const { error } = console;
  const lines: unknown[] = [];
  console.error = (line) => lines.push(line);
  try {
    const heard: string[] = [];
    const { observe, add } = createObservers(() => heard.push("first"));
    const remove = add(() => {
      throw new Error("broken");
    });
    add(() => heard.push("last"));
    const observation = { kind: "engine", at: 1, level: "info", message: "" } as const;
    observe(observation);
    assertEquals([heard, lines], [["first", "last"], ["weir: an observer threw: broken"]]);
    remove();
    observe(observation);
    assertEquals([heard.length, lines.length], [4, 1]);
  } finally {
    console.error = error;
  }
});
