/**
 * Tests of `core/domain/throttle.ts`: who may start how much.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { rateOpensAt, shareOut, spacingMs } from "../../core/domain/throttle.ts";

Deno.test("shareOut: higher priorities first, equals to the same level", () => {
  const want = (key: string, limit: number, { running = 0, priority = 0 } = {}) => ({ key, limit, running, priority });
  const high = { priority: 1 };
  const table: [wants: ReturnType<typeof want>[], free: number, shares: Record<string, number>][] = [
    [[want("a", 5), want("b", 5)], 100, { a: 5, b: 5 }],
    [[want("hot", 1_000), want("quiet", 2)], 10, { hot: 8, quiet: 2 }],
    [[want("a", 9), want("b", 9), want("c", 9)], 10, { a: 4, b: 3, c: 3 }],
    [[want("low", 9), want("high", 9, high)], 10, { high: 9, low: 1 }],
    [[want("low", 9), want("high", 20, high)], 10, { high: 10 }],
    [[want("a", 0), want("b", -3)], 10, {}],
    [[want("a", 1)], 0, {}],
    [[], 10, {}],
    [[want("full", 1, { running: 9 }), want("late", 5)], 1, { late: 1 }],
    [[want("a", 9, { running: 4 }), want("b", 9, { running: 1 }), want("c", 9)], 5, { b: 2, c: 3 }],
    [[want("a", 9, { running: 4 }), want("b", 1, { running: 1 }), want("c", 9)], 7, { a: 1, b: 1, c: 5 }],
    [[want("low", 9), want("high", 9, { ...high, running: 500 })], 4, { high: 4 }],
  ];
  for (const [wants, free, shares] of table) assertEquals(Object.fromEntries(shareOut(wants, free)), shares);
});

const wants = fc.array(fc.record({
  limit: fc.integer({ min: -1, max: 20 }),
  running: fc.nat(20),
  priority: fc.integer({ min: -1, max: 1 }),
})).map((all) => all.map((want, key) => ({ key, ...want })));

Deno.test("shareOut: never more than is free or wanted, never less than could be used", () => {
  fc.assert(fc.property(wants, fc.nat(50), (wants, free) => {
    const shares = shareOut(wants, free);
    const total = [...shares.values()].reduce((sum, share) => sum + share, 0);
    const wanted = wants.reduce((sum, { limit }) => sum + Math.max(0, limit), 0);
    assertEquals(total, Math.min(free, wanted));
    for (const [key, share] of shares) assert(share > 0 && share <= wants[key]!.limit);
  }));
});

Deno.test("shareOut: nobody gets anything while an equal that wants more has less", () => {
  fc.assert(fc.property(wants, fc.nat(50), (wants, free) => {
    const shares = shareOut(wants, free);
    const has = (key: number) => wants[key]!.running + (shares.get(key) ?? 0);
    for (const given of shares.keys()) {
      for (const { key, limit, priority } of wants) {
        if (priority !== wants[given]!.priority || (shares.get(key) ?? 0) >= limit) continue;
        assert(has(given) <= has(key) + 1, `${given} has ${has(given)}, ${key} has ${has(key)} and wants more`);
      }
    }
  }));
});

Deno.test("shareOut: whatever ends, one at a time, nobody who has work is kept from a fair share", () => {
  const [concurrency, places] = [300, 512];
  const endings = fc.array(fc.nat(2), { minLength: 600, maxLength: 600 });
  fc.assert(
    fc.property(endings, (ends) => {
      const running = [300, 212, 0];
      for (const ended of ends) {
        if (running[ended] === 0) continue;
        running[ended]!--;
        const free = places - running.reduce((sum, count) => sum + count, 0);
        const wants = running.map((count, key) => ({ key, limit: concurrency - count, running: count, priority: 0 }));
        for (const [key, share] of shareOut(wants, free)) running[key]! += share;
      }
      const least = Math.min(...running);
      assert(least >= Math.min(150, ends.length / 4), running.join());
    }),
    { numRuns: 20 },
  );
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
    [70_000, 70_100], // another engine's clock may be ahead
    [70_001, 10_100], // but not so far: the clock was set back
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
