import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { escapeControls, escapeLines, unescapeControls } from "../../cli/print.ts";

Deno.test("escapeControls: nothing that moves a cursor or hides text comes through", () => {
  const cases: [string, string][] = [
    ["plain text, ümläut, 漢字, 🎣", "plain text, ümläut, 漢字, 🎣"],
    ["a\nb\tc\r", "a\\nb\\tc\\r"],
    ["\x1b[2J", "\\u001b[2J"],
    ["\x9b31m", "\\u009b31m"],
    ["\x7f\0", "\\u007f\\u0000"],
    ["user\u202egnp.exe", "user\\u202egnp.exe"],
    ["\u2028", "\\u2028"],
  ];
  for (const [text, escaped] of cases) assertEquals(escapeControls(text), escaped);
});

Deno.test("escapeControls: the result is one line and escaping it again changes nothing", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const escaped = escapeControls(text);
    assertEquals(escaped.split(/[\n\r\u2028\u2029]/).length, 1);
    assertEquals(escapeControls(escaped), escaped);
  }));
});

Deno.test("unescapeControls: gives back what was shown, and leaves alone what nothing is shown as", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    if (!text.includes("\\")) assertEquals(unescapeControls(escapeControls(text)), text);
  }));
  for (const text of ["\\u0041", "\\u000a", "\\q", "\\U001B"]) assertEquals(unescapeControls(text), text);
});

Deno.test("escapeLines: line ends and tabs stay, all else is escaped", () => {
  assertEquals(escapeLines("a\r\n\tb\x1b[0m\rc"), "a\n\tb\\u001b[0m\\rc");
});
