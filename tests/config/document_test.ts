/** What YAML values become, and that no text of a sane size is a bomb. */

import { assert, assertEquals } from "@std/assert";
import { readYaml } from "../../core/config/document.ts";

/** YAML 1.2, core schema: nothing else is anything but text. */
const scalars: [text: string, value: unknown][] = [
  ["1.10", 1.1],
  ["'1.10'", "1.10"],
  ["0123", 123],
  ["0o17", 15],
  ["0x1F", 31],
  ["0b11", "0b11"],
  ["1_000", "1_000"],
  ["+5", 5],
  ["-5", -5],
  ["-0", -0],
  ["1e3", 1_000],
  ["1.", 1],
  [".5", 0.5],
  ["1e", "1e"],
  [".inf", Infinity],
  ["-.Inf", -Infinity],
  [".nan", NaN],
  ["12345678901234567890", 12_345_678_901_234_567_000],
  ["12:30:45", "12:30:45"],
  ["1:20", "1:20"],
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["tRUE", "tRUE"],
  ["false", false],
  ["yes", "yes"],
  ["Yes", "Yes"],
  ["no", "no"],
  ["NO", "NO"],
  ["on", "on"],
  ["off", "off"],
  ["y", "y"],
  ["n", "n"],
  ["null", null],
  ["Null", null],
  ["~", null],
  ["", null],
  ["nil", "nil"],
  ["none", "none"],
  ["2020-01-01", "2020-01-01"],
  ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
  ["5m", "5m"],
  ["1MiB", "1MiB"],
  ["100/s", "100/s"],
  ["0.0.0.0:8080", "0.0.0.0:8080"],
  ["203.0.113.0/24", "203.0.113.0/24"],
  ["::1", "::1"],
  ["a b", "a b"],
  ["b # c", "b"],
  ["a#b", "a#b"],
  ["'it''s'", "it's"],
  [`"a\\tb\\u00e9"`, "a\tbé"],
  ["${NAME}", "${NAME}"],
  ["=", "="],
  ["<<", "<<"],
  ["payment.*", "payment.*"],
  ["body.a > 1", "body.a > 1"],
  ["!!str 5", "5"],
  ["!!int '5'", 5],
  ["|\n  a\n  b", "a\nb\n"],
  [">-\n  a\n  b", "a b"],
  ["[a, 1]", ["a", 1]],
];

Deno.test("readYaml: a scalar is what the core schema of YAML 1.2 says", () => {
  for (const [text, value] of scalars) {
    const read = readYaml(`value: ${text}`);
    assertEquals(read.ok ? (read.document.tree as { value: unknown }).value : read.faults, value, text);
  }
});

Deno.test("readYaml: a key is text, whatever it looks like", () => {
  const read = readYaml("1: a\nyes: b\nnull: c\n0x10: d");
  assertEquals(read.ok && read.document.tree, { "1": "a", yes: "b", null: "c", "0x10": "d" });
});

Deno.test("readYaml: aliases work until there are too many", () => {
  const few = readYaml("a: &x [1]\nb: *x\nc: *x");
  assertEquals(few.ok && few.document.tree, { a: [1], b: [1], c: [1] });
  const lines = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`);
  const bomb = readYaml(`a0: &a0 [x]\n${lines.join("\n")}`);
  assert(!bomb.ok && bomb.faults[0]!.message.startsWith("the aliases cannot be expanded"));
});

Deno.test("readYaml: an alias inside its own anchor is a fault", () => {
  const read = readYaml("a: &x { b: *x }");
  assert(!read.ok);
});

Deno.test("readYaml: nesting that would overflow the stack is a fault", () => {
  for (const text of ["[".repeat(100_000), "{a: ".repeat(20_000), "- ".repeat(50_000)]) {
    const read = readYaml(text);
    const messages = read.ok ? [] : read.faults.map(({ message }) => message);
    assert(messages.includes("nests too deeply to be read"), messages.join("\n"));
  }
});

Deno.test("readYaml: only the first faults are told", () => {
  const read = readYaml("a: @\n".repeat(1_000));
  assertEquals(!read.ok && read.faults.length, 20);
});

Deno.test("RoutesDocument.place: finds values, keys, and the nearest thing above what is missing", () => {
  const read = readYaml("a:\n  b: [1, 22]\n  c: { d: 'x y' }\n  e:\nf: &x { g: 1 }\nh: *x\n");
  if (!read.ok) throw new Error("not read");
  const { document } = read;
  const place = (...args: Parameters<typeof document.place>) => {
    const { line, column } = document.place(...args)!;
    return `${line}:${column}`;
  };
  assertEquals(place([]), "1:1");
  assertEquals(place(["a"]), "1:1");
  assertEquals(place(["a", "b"]), "2:6");
  assertEquals(place(["a", "b", 1]), "2:10");
  assertEquals(place(["a", "b", 7]), "2:3");
  assertEquals(place(["a", "c", "d"], { key: true }), "3:8");
  assertEquals(place(["a", "c", "d"], { text: "x y", offset: 2 }), "3:14");
  assertEquals(place(["a", "c", "d"], { text: "other", offset: 2 }), "3:11");
  assertEquals(place(["a", "c", "missing", "below"]), "3:3");
  assertEquals(place(["a", "e"]), "4:5");
  assertEquals(place(["h", "g"]), "5:12");
});
