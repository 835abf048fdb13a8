/**
 * Schedules over ten years of virtual time: which local times tick, and what becomes of them where clocks change. The
 * reference is the zone's own calendar, walked minute by minute.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { compileSchedule, explainTimezone } from "../../core/config/cron.ts";

const minuteMs = 60_000;
const [from, to] = [Date.UTC(2020, 0, 1), Date.UTC(2030, 0, 1)];
const zones = ["Europe/Berlin", "America/New_York"];

function compile(text: string, timezone: string): (after: number) => number | undefined {
  const compiled = compileSchedule(text, timezone);
  if (!compiled.ok) throw new Error(compiled.reason);
  return compiled.next;
}

function walk(next: (after: number) => number | undefined, range: { from: number; to: number }): number[] {
  const ticks: number[] = [];
  for (let at = next(range.from); at !== undefined && at < range.to; at = next(at)) ticks.push(at);
  return ticks;
}

/** Local wall time as `2025-03-30 02:30`. */
function createLocal(timeZone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  return (at) => format.format(at);
}

const utc = (...ticks: (number | undefined)[]): string[] => ticks.map((at) => new Date(at!).toISOString().slice(0, 16));

Deno.test("compileSchedule: a fixed time of day ticks once on every local day of ten years, whatever the clocks do", () => {
  for (const zone of zones) {
    const local = createLocal(zone);
    for (const time of ["01:30", "02:00", "02:30", "03:00", "23:59"]) {
      const [hour, minute] = time.split(":").map(Number);
      const ticks = walk(compile(`${minute} ${hour} * * *`, zone), { from, to });
      const days = new Set(ticks.map((at) => local(at).slice(0, 10)));
      assertEquals([ticks.length, days.size], [days.size, ticks.length], `${zone} ${time}: twice in a day`);
      assert(Math.abs(ticks.length - 3_653) <= 1, `${zone} ${time}: ${ticks.length} ticks in 3653 days`);
      const elsewhere = ticks.filter((at) => local(at).slice(11) !== time);
      assertEquals(elsewhere.length, time.startsWith("02") ? 10 : 0, `${zone} ${time}: one gap a year`);
      assert(elsewhere.every((at) => local(at).slice(11) === "03:00"), "a skipped time runs right after the gap");
    }
  }
});

Deno.test("compileSchedule: spring and autumn, to the minute", () => {
  const rows: [schedule: string, zone: string, after: string, ...ticks: string[]][] = [
    ["30 2 * * *", zones[0]!, "2025-03-29T12:00", "2025-03-30T01:00", "2025-03-31T00:30"],
    ["30 2 * * *", zones[0]!, "2025-10-25T12:00", "2025-10-26T00:30", "2025-10-27T01:30"],
    ["30 2 * * *", zones[1]!, "2025-03-08T12:00", "2025-03-09T07:00", "2025-03-10T06:30"],
    ["30 1 * * *", zones[1]!, "2025-11-01T12:00", "2025-11-02T05:30", "2025-11-03T06:30"],
    ["*/30 2 * * *", zones[0]!, "2025-03-29T12:00", "2025-03-31T00:00", "2025-03-31T00:30"],
    ["*/30 2 * * *", zones[0]!, "2025-10-25T12:00", "2025-10-26T00:00", "2025-10-26T00:30", "2025-10-26T01:00"],
    ["0 * * * *", zones[0]!, "2025-03-30T00:30", "2025-03-30T01:00", "2025-03-30T02:00"],
    ["0 * * * *", zones[1]!, "2025-11-02T04:30", "2025-11-02T05:00", "2025-11-02T06:00", "2025-11-02T07:00"],
  ];
  for (const [schedule, zone, after, ...ticks] of rows) {
    const next = compile(schedule, zone);
    let at = Date.parse(`${after}Z`);
    const seen = ticks.map(() => at = next(at)!);
    assertEquals(utc(...seen), ticks, `${schedule} ${zone} after ${after}`);
  }
});

Deno.test("compileSchedule: every other schedule follows the clock on the wall, minute by minute", () => {
  for (const zone of zones) {
    const local = createLocal(zone);
    for (
      const [fields, matches] of [["*/15 * * * *", /:(00|15|30|45)$/], ["5,35 1-3 * * *", /0[123]:(05|35)$/]] as const
    ) {
      const next = compile(fields, zone);
      for (const day of ["2025-03-09", "2025-03-30", "2025-07-01", "2025-10-26", "2025-11-02"]) {
        const range = { from: Date.parse(`${day}T00:00Z`), to: Date.parse(`${day}T00:00Z`) + 36 * 3_600_000 };
        const expected: number[] = [];
        for (let at = range.from + minuteMs; at < range.to; at += minuteMs) {
          if (matches.test(local(at))) expected.push(at);
        }
        assertEquals(utc(...walk(next, range)), utc(...expected), `${fields} ${zone} ${day}`);
      }
    }
  }
});

Deno.test("compileSchedule: what comes next depends on the instant alone, and never runs backwards", () => {
  const schedules = ["30 2 * * *", "*/20 * * * *", "0 1,2 * * *", "0 0 1 * *", "15 */5 * * 1-5", "*/10 * 2 * * *"];
  const inAYear = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2025, 11, 31) });
  fc.assert(
    fc.property(
      fc.constantFrom(...schedules),
      fc.constantFrom(...zones, "Australia/Lord_Howe", "America/Santiago"),
      inAYear,
      fc.integer({ min: 1, max: 3 * 86_400_000 }),
      (schedule, zone, at, laterMs) => {
        const next = compile(schedule, zone);
        const tick = next(at)!;
        assert(tick > at);
        assertEquals(compile(schedule, zone)(at), tick);
        const later = next(at + laterMs)!;
        // In between, the same tick; from it on, a later one. A halving search relies on it.
        if (at + laterMs < tick) assertEquals(later, tick);
        else assert(later > tick);
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("explainTimezone: takes IANA names and nothing else", () => {
  for (const zone of ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"]) {
    assertEquals(explainTimezone(zone), undefined, zone);
  }
  for (const text of ["", "+01:00", "Europe", "Mars/Olympus", "Europe/Berlin "]) assert(explainTimezone(text), text);
});
