/**
 * Tests of `core/domain/throttle.ts`: who may start how much.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { shareOut, spacingMs } from "../../core/domain/throttle.ts";

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
