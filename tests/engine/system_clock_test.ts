/** The machine's timers, of which those of one delay share one of the platform's. Deno checks that none is left behind. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../core/engine/system_clock.ts";

const { monotonic, timer } = systemClock;

/** Resolves when the timers that were set before it have fallen due. */
const later = (delayMs: number) => new Promise<void>((resolve) => timer(delayMs, resolve));

Deno.test("systemClock: timers of one delay wake in their order, none too early", async () => {
  const woken: string[] = [];
  const startedAt = monotonic();
  timer(5, () => woken.push("a"));
  timer(9, () => woken.push("later"));
  timer(5, () => woken.push("b"));
  await later(5);
  assertEquals(woken.slice(0, 2), ["a", "b"]);
  assert(monotonic() - startedAt >= 5);
  await later(9);
  assertEquals(woken, ["a", "b", "later"]);
});

Deno.test("systemClock: one that is set while another waits has its whole delay", async () => {
  const first = later(20);
  await later(10);
  const startedAt = monotonic();
  const second = later(20);
  await first;
  await second;
  assert(monotonic() - startedAt >= 20);
});

Deno.test("systemClock: a cancelled timer does not wake, not even when its moment has come", async () => {
  const woken: string[] = [];
  const cancelNext = { now: () => {} };
  timer(5, () => woken.push("never"))();
  timer(5, () => {
    woken.push("a");
    cancelNext.now();
    cancelNext.now();
  });
  cancelNext.now = timer(5, () => woken.push("cancelled by the one before"));
  await later(6);
  await later(5);
  assertEquals(woken, ["a"]);
});

Deno.test("systemClock: a timer set by the last one that wakes is woken too", async () => {
  const woken = Promise.withResolvers<void>();
  timer(1, () => timer(1, () => timer(0, woken.resolve)));
  await woken.promise;
});

Deno.test("systemClock: a wake that throws is reported, and the others are woken", async () => {
  const reported: unknown[] = [];
  const hear = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error);
  };
  addEventListener("error", hear);
  try {
    const error = new Error("thrown by a wake");
    timer(5, () => {
      throw error;
    });
    await later(5);
    assertEquals(reported, [error]);
  } finally {
    removeEventListener("error", hear);
  }
});
