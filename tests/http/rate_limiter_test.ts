/** The token bucket: exact figures on a clock moved by hand, and the bound that must hold for every history. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createTokenBucket } from "../../core/http/rate_limiter.ts";
import { createFakeClock } from "../support/fake_clock.ts";

Deno.test("createTokenBucket: a full bucket, then one token at a time", () => {
  const clock = createFakeClock();
  const bucket = createTokenBucket({ count: 2, perMs: 1_000 }, clock);
  assertEquals([bucket.take(), bucket.take(), bucket.take()], [true, true, false]);
  assertEquals(bucket.waitMs(), 500);
  clock.advance(499);
  assertEquals(bucket.take(), false);
  clock.advance(1);
  assertEquals([bucket.waitMs(), bucket.take(), bucket.take()], [0, true, false]);
  clock.advance(3_600_000);
  assertEquals([bucket.take(), bucket.take(), bucket.take()], [true, true, false]);
});

Deno.test("createTokenBucket: a rate of nothing is a mistake", () => {
  assertThrows(() => createTokenBucket({ count: 0, perMs: 1_000 }, createFakeClock()), RangeError, "0 per 1000 ms");
});

Deno.test("createTokenBucket: never gives more than the bucket and its refill", () => {
  const history = fc.array(fc.oneof(fc.constant("take" as const), fc.nat(5_000)), { maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5_000 }), history, (count, perMs, steps) => {
      const clock = createFakeClock();
      const bucket = createTokenBucket({ count, perMs }, clock);
      const start = clock.monotonic();
      let taken = 0;
      for (const step of steps) {
        if (step === "take") taken += bucket.take() ? 1 : 0;
        else clock.advance(step);
      }
      assert(taken <= count + (clock.monotonic() - start) * count / perMs + 1e-6);
    }),
  );
});

Deno.test("createTokenBucket: after the wait it names, a token is there", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100_000 }), (count, perMs) => {
    const clock = createFakeClock();
    const bucket = createTokenBucket({ count, perMs }, clock);
    while (bucket.take());
    clock.advance(bucket.waitMs() + 1);
    assert(bucket.take());
  }));
});
