/**
 * Tests of `core/domain/throttle.ts`: who may start how much.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { rateOpensAt, shareOut, spacingMs } from "../../core/domain/throttle.ts";

Deno.test("shareOut: higher priorities first, equals round by round", () => {
  const want = (key: string, limit: number, priority = 0) => ({ key, limit, priority });
  const table: [wants: ReturnType<typeof want>[], free: number, shares: Record<string, number>][] = [
    [[want("a", 5), want("b", 5)], 100, { a: 5, b: 5 }],
    [[want("hot", 1_000), want("quiet", 2)], 10, { hot: 8, quiet: 2 }],
    [[want("a", 9), want("b", 9), want("c", 9)], 10, { a: 4, b: 3, c: 3 }],
    [[want("low", 9), want("high", 9, 1)], 10, { high: 9, low: 1 }],
    [[want("low", 9), want("high", 20, 1)], 10, { high: 10 }],
    [[want("a", 0), want("b", -3)], 10, {}],
    [[want("a", 1)], 0, {}],
    [[], 10, {}],
  ];
  for (const [wants, free, shares] of table) assertEquals(Object.fromEntries(shareOut(wants, free)), shares);
});

Deno.test("shareOut: never more than is free or wanted, never less than could be used", () => {
  const wants = fc.array(
    fc.record({ limit: fc.integer({ min: -1, max: 20 }), priority: fc.integer({ min: -1, max: 1 }) }),
  );
  fc.assert(fc.property(wants, fc.nat(50), (limits, free) => {
    const keyed = limits.map((want, key) => ({ key, ...want }));
    const shares = shareOut(keyed, free);
    const total = [...shares.values()].reduce((sum, share) => sum + share, 0);
    const wanted = limits.reduce((sum, { limit }) => sum + Math.max(0, limit), 0);
    assertEquals(total, Math.min(free, wanted));
    for (const [key, share] of shares) assert(share > 0 && share <= limits[key]!.limit);
  }));
});

Deno.test("spacingMs: the pause between two starts at exactly the rate", () => {
  assertEquals([spacingMs({ count: 50, perMs: 1_000 }), spacingMs({ count: 3, perMs: 1_000 })], [20, 1_000 / 3]);
});

Deno.test("rateOpensAt: a full bucket opens at once, an empty one after a pause", () => {
  const rate = { count: 10, perMs: 1_000 };
  const table: [rateAt: number, opensAt: number][] = [
    [0, 9_100],
    [9_000, 9_100],
    [9_900, 10_000],
    [9_950, 10_050],
    [10_000, 10_100],
    [12_000, 12_100],
  ];
  for (const [rateAt, opensAt] of table) assertEquals(rateOpensAt(rateAt, rate, 10_000), opensAt);
});

Deno.test("rateOpensAt: whoever waits for it starts a bucket at once, and then keeps the rate", () => {
  const rates = fc.record({ count: fc.integer({ min: 1, max: 50 }), perMs: fc.constantFrom(1_000, 60_000, 3_600_000) });
  fc.assert(fc.property(rates, fc.nat(1_000_000), (rate, begin) => {
    let [now, rateAt] = [begin + rate.perMs, 0];
    const starts: number[] = [];
    while (starts.length < 3 * rate.count) {
      rateAt = rateOpensAt(rateAt, rate, now);
      now = Math.max(now, rateAt);
      starts.push(now);
    }
    const atOnce = starts.filter((start) => start === starts[0]).length;
    // A start may fall short of the bucket by the rounding of a fraction.
    assert(atOnce <= rate.count && atOnce >= rate.count - 1, `${atOnce} at once`);
    assert(Math.abs(starts.at(-1)! - starts[0]! - 2 * rate.perMs) < 1e-3 * rate.perMs);
  }));
});
