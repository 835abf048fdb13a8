/**
 * Tests of `core/domain/duration.ts`: durations, sizes and rates as people write them.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatDuration, parseDuration, parseMoment, parseRate, parseSize } from "../../core/domain/duration.ts";

Deno.test("parseDuration: reads every unit, pairs of them and fractions", () => {
  const table: [string, number | undefined][] = [
    ["0s", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["7d", 604_800_000],
    ["1h30m", 5_400_000],
    ["1m1ms", 60_001],
    ["1.5h", 5_400_000],
    ["0.1s", 100],
  ];
  for (const [text, ms] of table) assertEquals(parseDuration(text), ms, text);
});

Deno.test("parseDuration: what is not a duration is undefined", () => {
  const texts = [
    "",
    "s",
    "5",
    "5 s",
    " 5s",
    "5s ",
    "-5s",
    "+5s",
    "1e3s",
    "5S",
    "5w",
    "5.s",
    ".5s",
    "5s,",
    "1h-30m",
    "٥s",
  ];
  for (const text of [...texts, `${"9".repeat(30)}d`, "5s\n"]) assertEquals(parseDuration(text), undefined, text);
});

Deno.test("parseDuration: any sum of pairs is the sum of its parts", () => {
  const pairs = fc.array(fc.tuple(fc.nat(10_000), fc.constantFrom("ms", "s", "m", "h", "d")), { minLength: 1 });
  fc.assert(fc.property(pairs, (pairs) => {
    const parts = pairs.map(([amount, unit]) => `${amount}${unit}`);
    assertEquals(parseDuration(parts.join("")), parts.reduce((sum, part) => sum + parseDuration(part)!, 0));
  }));
});

Deno.test("formatDuration: the largest units first, nothing that is zero", () => {
  const table: [number, string][] = [
    [0, "0ms"],
    [-5, "0ms"],
    [0.4, "0ms"],
    [250, "250ms"],
    [999.4, "999ms"],
    [999.5, "1s"],
    [1_499.4, "1.499s"],
    [1_500, "1.5s"],
    [9_999, "9.999s"],
    [10_499, "10s"],
    [45_000, "45s"],
    [59_999, "1m"],
    [5_400_000, "1h30m"],
    [90_061_000, "1d1h1m1s"],
    [86_400_000, "1d"],
  ];
  for (const [ms, text] of table) assertEquals(formatDuration(ms), text);
});

Deno.test("formatDuration: what it writes reads back, to the second from ten seconds on", () => {
  fc.assert(fc.property(fc.nat(10_000_000_000), (ms) => {
    const back = parseDuration(formatDuration(ms))!;
    assert(ms < 10_000 ? back === ms : Math.abs(back - ms) <= 500 && back % 1_000 === 0, `${ms} became ${back}`);
  }));
  fc.assert(fc.property(fc.nat(9_999), (ms) => assertEquals(parseDuration(formatDuration(ms)), ms)));
  fc.assert(fc.property(fc.nat(10_000_000), (seconds) => {
    assertEquals(parseDuration(formatDuration(seconds * 1_000)), seconds * 1_000);
  }));
});

Deno.test("parseSize: decimal and binary units", () => {
  const table: [string, number | undefined][] = [
    ["0B", 0],
    ["512B", 512],
    ["1KB", 1_000],
    ["1MB", 1_000_000],
    ["512KiB", 524_288],
    ["1MiB", 1_048_576],
    ["1.5KiB", 1_536],
    ["", undefined],
    ["1", undefined],
    ["1 MiB", undefined],
    ["1mib", undefined],
    ["1GiB", undefined],
    ["-1B", undefined],
    ["1MiB\n", undefined],
    [`${"9".repeat(20)}MiB`, undefined],
  ];
  for (const [text, bytes] of table) assertEquals(parseSize(text), bytes, text);
});

Deno.test("parseSize: every whole amount is its product with the unit", () => {
  const units = fc.constantFrom(["B", 1], ["KB", 1_000], ["MB", 1e6], ["KiB", 1_024], ["MiB", 1_048_576] as const);
  fc.assert(fc.property(fc.nat(1_000_000), units, (amount, [unit, factor]) => {
    assertEquals(parseSize(`${amount}${unit}`), amount * Number(factor));
  }));
});

Deno.test("parseRate: a whole count per unit, and zero is no rate", () => {
  assertEquals(parseRate("100/s"), { count: 100, perMs: 1_000 });
  assertEquals(parseRate("30/m"), { count: 30, perMs: 60_000 });
  assertEquals(parseRate("10000/h"), { count: 10_000, perMs: 3_600_000 });
  assertEquals(parseRate("1/d"), { count: 1, perMs: 86_400_000 });
  for (const text of ["", "0/s", "/s", "5", "5/", "5/ms", "1.5/s", "-1/s", "5 / s", "5/s\n", `${"9".repeat(20)}/s`]) {
    assertEquals(parseRate(text), undefined, text);
  }
});

Deno.test("parseRate: reads back what its parts spell", () => {
  fc.assert(fc.property(fc.integer({ min: 1 }), fc.constantFrom("s", "m", "h", "d"), (count, unit) => {
    assertEquals(parseRate(`${count}/${unit}`), { count, perMs: parseDuration(`1${unit}`)! });
  }));
});

Deno.test("parseMoment: how long ago, a date, a time with its zone, or epoch milliseconds", () => {
  const now = Date.UTC(2026, 10, 6, 12);
  const table: [string, number | undefined][] = [
    ["2h", now - 7_200_000],
    ["7d", now - 604_800_000],
    ["0s", now],
    ["1700000000000", 1_700_000_000_000],
    ["2026-11-06", Date.UTC(2026, 10, 6)],
    ["2026-11-06T08:30Z", Date.UTC(2026, 10, 6, 8, 30)],
    ["2026-11-06T08:30:15.5+01:00", Date.UTC(2026, 10, 6, 7, 30, 15, 500)],
    ["", undefined],
    ["yesterday", undefined],
    ["5", undefined],
    ["1700000000000000", undefined],
    ["-2h", undefined],
    // Without a zone it would mean another moment on every machine.
    ["2026-11-06T08:30", undefined],
    ["2026-13-06", undefined],
    ["2026-11-06T25:00Z", undefined],
    ["2026-11-06\n", undefined],
  ];
  for (const [text, at] of table) assertEquals(parseMoment(text, now), at, text);
});
