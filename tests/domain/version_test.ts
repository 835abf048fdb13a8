/** Tests of `core/domain/version.ts`: how versions compare. */

import { assertEquals } from "@std/assert";
import { isOlder } from "../../core/domain/version.ts";

Deno.test("isOlder: by number, place by place", () => {
  const table: [text: string, than: string, older: boolean][] = [
    ["3.51.2", "3.51.3", true],
    ["3.51.3", "3.51.3", false],
    ["3.51.10", "3.51.9", false],
    ["2.9.6", "3.0.0", true],
    ["3.0.0", "2.9.6", false],
    ["3.51", "3.51.1", true],
    ["3.51.1", "3.51", false],
  ];
  for (const [text, than, older] of table) assertEquals(isOlder(text, than), older, `${text} ${than}`);
});
