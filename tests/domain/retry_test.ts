/**
 * Tests of `core/domain/retry.ts`: delays, schedules and what Retry-After may say.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  defaultRetry,
  exponentialSchedule,
  parseRetryAfter,
  retryAfterMsMax,
  retryDelay,
  type RetryPolicy,
} from "../../core/domain/retry.ts";

const policy: RetryPolicy = { attempts: 5, scheduleMs: [1_000, 5_000], jitter: 0.1 };

Deno.test("retryDelay: follows the schedule, whose last entry repeats", () => {
  const delays = [1, 2, 3, 99].map((failures) => retryDelay(policy, { failures, random: 0 }));
  assertEquals(delays, [1_000, 5_000, 5_000, 5_000]);
});

Deno.test("retryDelay: an empty schedule means at once", () => {
  assertEquals(retryDelay({ ...policy, scheduleMs: [] }, { failures: 1, random: 0.9 }), 0);
});

Deno.test("retryDelay: the default spreads ten attempts over about 23 hours", () => {
  const delays = Array.from({ length: defaultRetry.attempts - 1 }, (_, n) => {
    return retryDelay(defaultRetry, { failures: n + 1, random: 0 });
  });
  assertEquals(delays, [...defaultRetry.scheduleMs]);
  assertEquals(Math.round(delays.reduce((sum, delay) => sum + delay) / 3_600_000), 23);
});

const policies = fc.record({
  attempts: fc.integer({ min: 1, max: 30 }),
  scheduleMs: fc.array(fc.nat(86_400_000), { minLength: 1, maxLength: 12 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const failures = fc.integer({ min: 1, max: 40 });

Deno.test("retryDelay: jitter only adds, and no more than its share", () => {
  fc.assert(fc.property(policies, failures, chances, (policy, failures, random) => {
    const plain = retryDelay(policy, { failures, random: 0 });
    const jittered = retryDelay(policy, { failures, random });
    assert(jittered >= plain && jittered <= Math.round(plain * (1 + policy.jitter)));
  }));
});

Deno.test("retryDelay: grows with chance, and with failures where the schedule grows", () => {
  fc.assert(fc.property(policies, failures, chances, chances, (policy, failures, a, b) => {
    const [low, high] = [Math.min(a, b), Math.max(a, b)];
    assert(retryDelay(policy, { failures, random: low }) <= retryDelay(policy, { failures, random: high }));
    const growing = { ...policy, scheduleMs: policy.scheduleMs.toSorted((x, y) => x - y) };
    const [now, next] = [failures, failures + 1].map((failures) => retryDelay(growing, { failures, random: a }));
    assert(now! <= next!);
  }));
});

Deno.test("retryDelay: a Retry-After only lengthens, up to the cap", () => {
  const asked = fc.oneof(fc.nat(), fc.constant(Infinity), fc.constant(Number.MAX_SAFE_INTEGER), fc.integer());
  fc.assert(fc.property(policies, failures, chances, asked, (policy, failures, random, retryAfterMs) => {
    const own = retryDelay(policy, { failures, random });
    const delay = retryDelay(policy, { failures, random, retryAfterMs });
    assertEquals(delay, Math.max(own, Math.min(retryAfterMs, retryAfterMsMax)));
  }));
});

Deno.test("exponentialSchedule: grows to its maximum, which then repeats", () => {
  const table: [Parameters<typeof exponentialSchedule>[0], number[]][] = [
    [{ baseMs: 1_000, factor: 2, maxMs: 5_000, attempts: 8 }, [1_000, 2_000, 4_000, 5_000]],
    [{ baseMs: 1_000, factor: 2, maxMs: 3_600_000, attempts: 4 }, [1_000, 2_000, 4_000]],
    [{ baseMs: 1_000, factor: 1, maxMs: 5_000, attempts: 4 }, [1_000, 1_000, 1_000]],
    [{ baseMs: 9_000, factor: 2, maxMs: 5_000, attempts: 4 }, [5_000]],
    [{ baseMs: 1_000, factor: 2, maxMs: 5_000, attempts: 1 }, [1_000]],
    [{ baseMs: 100, factor: 1.5, maxMs: 400, attempts: 9 }, [100, 150, 225, 338, 400]],
  ];
  for (const [backoff, schedule] of table) assertEquals(exponentialSchedule(backoff), schedule);
});

Deno.test("exponentialSchedule: gives every retry the delay that the formula gives it", () => {
  const backoffs = fc.record({
    baseMs: fc.integer({ min: 1, max: 60_000 }),
    factor: fc.constantFrom(1, 1.5, 2, 3),
    maxMs: fc.integer({ min: 1, max: 86_400_000 }),
    attempts: fc.integer({ min: 2, max: 40 }),
  });
  fc.assert(fc.property(backoffs, (backoff) => {
    const policy = { attempts: backoff.attempts, scheduleMs: exponentialSchedule(backoff), jitter: 0 };
    for (let failures = 1; failures < backoff.attempts; failures++) {
      const exact = Math.min(backoff.baseMs * backoff.factor ** (failures - 1), backoff.maxMs);
      assert(Math.abs(retryDelay(policy, { failures, random: 0 }) - exact) <= 1);
    }
  }));
});

Deno.test("parseRetryAfter: seconds, the three date forms, and nothing else", () => {
  const now = Date.UTC(2026, 10, 6, 8, 49, 37);
  const table: [string | null, number | undefined][] = [
    ["0", 0],
    ["120", 120_000],
    [" 120 ", 120_000],
    ["99999999999", 99_999_999_999_000],
    ["9".repeat(400), Number.MAX_SAFE_INTEGER],
    ["Fri, 06 Nov 2026 08:50:37 GMT", 60_000],
    ["Friday, 06-Nov-26 08:50:37 GMT", 60_000],
    ["Fri Nov  6 08:50:37 2026", 60_000],
    ["Fri, 06 Nov 2026 08:48:37 GMT", 0],
    [null, undefined],
    ["", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["1e3", undefined],
    ["soon", undefined],
    ["May, 5", undefined],
    ["2026-11-06T08:50:37Z", undefined],
    ["Fri, 06 Nov 2026 08:50:37", undefined],
    ["Fri, 06 Nov 2026 99:99:99 GMT", undefined],
    ["Fri, 06 Xyz 2026 08:50:37 GMT", undefined],
  ];
  for (const [header, ms] of table) assertEquals(parseRetryAfter(header, now), ms, String(header));
});

Deno.test("parseRetryAfter: any date that a server writes is read to the second", () => {
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
  fc.assert(fc.property(seconds, seconds, (now, then) => {
    const header = new Date(then * 1_000).toUTCString();
    assertEquals(parseRetryAfter(header, now * 1_000), Math.max(0, then - now) * 1_000);
  }));
});

Deno.test("parseRetryAfter: whatever it reads is a safe integer and no less than zero", () => {
  const headers = fc.oneof(fc.string(), fc.stringMatching(/^\d{1,30}$/), fc.date().map(String));
  fc.assert(fc.property(headers, fc.nat(), (header, now) => {
    const ms = parseRetryAfter(header, now);
    assert(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0));
  }));
});
