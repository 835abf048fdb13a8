/**
 * Loads every module of `core/domain`, so that the coverage which CI asks for also counts a file that no test names.
 */

import { assertEquals } from "@std/assert";

const folder = new URL("../../core/domain/", import.meta.url);

Deno.test("core/domain: every module loads by itself", async () => {
  for (const { name } of Deno.readDirSync(folder)) {
    assertEquals(typeof await import(new URL(name, folder).href), "object", name);
  }
});
