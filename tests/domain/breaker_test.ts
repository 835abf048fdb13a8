/**
 * Tests of `core/domain/breaker.ts`.
 */

import { assertEquals } from "@std/assert";
import { breakerPhase, defaultBreaker } from "../../core/domain/breaker.ts";

Deno.test("breakerPhase: closed below its failures, open until its time, then half-open", () => {
  const policy = { ...defaultBreaker, failures: 3 };
  const table: [failures: number, openUntil: number | undefined, phase: string][] = [
    [0, undefined, "closed"],
    [2, 2_000, "closed"],
    [3, 1_001, "open"],
    [3, 1_000, "half-open"],
    [9, undefined, "half-open"],
    [3, 661_000, "open"],
    [3, 661_001, "half-open"], // further ahead than it can have been set: the clock was set back
  ];
  for (const [failures, openUntil, phase] of table) {
    assertEquals(breakerPhase({ failures, openUntil }, policy, 1_000), phase);
  }
});
