/**
 * What every runner has to keep, whatever it runs: it never throws, ends at its timeout, yields to a stop, and tells its
 * attempts apart. The author of a handler kind calls {@link conformRunner} in a test file; it registers one test per promise.
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { Attempt, AttemptReport, Clock, Event, Runner, RunnerHost } from "../../core/plugin.ts";

/** What the work behind a runner is to do with every attempt: finish, fail, refuse for good, or never end. */
export type Behaviour = "succeed" | "fail" | "reject" | "hang";

/** A runner that is ready to be exercised. */
export interface PreparedRunner {
  readonly runner: Runner;
  /** Resolves when work that hangs has begun; without it, that case is exercised from the first moment alone. */
  readonly begun?: Promise<void>;
  /** Lets go of what stands behind the runner, after the runner itself was closed. */
  dispose(): Promise<void> | void;
}

/** How a runner is to be exercised. */
export interface RunnerCase {
  /** Makes a runner over work that behaves as asked. */
  prepare(behaviour: Behaviour, options: { timeoutMs: number; host: RunnerHost }): Promise<PreparedRunner>;
}

/** The machine's clock, so that the suite stands by itself. */
const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(delayMs, wake) {
    const timer = setTimeout(wake, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Long enough never to be what ends an attempt of this suite. */
const patientMs = 60_000;

const never = new AbortController().signal;

/** An attempt like the engine's, with whatever a test wants to be different. */
export function sampleAttempt(parts: Partial<Attempt> = {}, event: Partial<Event> = {}): Attempt {
  return {
    deliveryId: "dlv_01JD3Q7Z4M9K6T0W8V5R2XHBNC",
    idempotencyKey: "dlv_01JD3Q7Z4M9K6T0W8V5R2XHBNC",
    attempt: 1,
    route: "sample",
    suspect: false,
    ...parts,
    event: {
      id: "evt_01JD3Q7Z4M9K6T0W8V5R2XHBNC",
      source: "sample",
      type: "order.paid",
      receivedAt: 1_700_000_000_000,
      headers: { "content-type": "application/json" },
      query: "",
      raw: new TextEncoder().encode('{"id":1}'),
      ...event,
    },
  };
}

/**
 * Registers the suite.
 *
 * @param name what the runner is called in the names of the tests
 * @param runnerCase makes the runners
 */
export function conformRunner(name: string, runnerCase: RunnerCase): void {
  const test = (
    title: string,
    behaviour: Behaviour,
    body: (prepared: PreparedRunner) => Promise<void>,
    timeoutMs = patientMs,
  ) =>
    Deno.test(`${name}: ${title}`, async () => {
      const prepared = await runnerCase.prepare(behaviour, { timeoutMs, host: { clock } });
      try {
        await body(prepared);
      } finally {
        await prepared.runner.close();
        await prepared.dispose();
      }
    });

  test("work that finishes is a success", "succeed", async ({ runner }) => {
    assertEquals((await runner.run(sampleAttempt(), never)).outcome.kind, "succeeded");
  });

  test("work that fails is a failure with a reason, and no death", "fail", async ({ runner }) => {
    assertMatch(failureOf(await runner.run(sampleAttempt(), never)), /\S/);
  });

  test("work that refuses for good is rejected with a reason", "reject", async ({ runner }) => {
    const { outcome } = await runner.run(sampleAttempt(), never);
    assertMatch(outcome.kind === "rejected" ? outcome.reason : "", /\S/, outcome.kind);
  });

  test("work that never ends fails at its timeout, says so, and is no death", "hang", async ({ runner }) => {
    assertMatch(failureOf(await runner.run(sampleAttempt(), never)), /timed out after /);
  }, 500);

  test("a stop before the start is an interruption", "succeed", async ({ runner }) => {
    assertEquals((await runner.run(sampleAttempt(), AbortSignal.abort())).outcome.kind, "interrupted");
  });

  test("a stop in the first moment is an interruption", "hang", async ({ runner }) => {
    const stop = new AbortController();
    const running = runner.run(sampleAttempt(), stop.signal);
    stop.abort();
    assertEquals((await running).outcome.kind, "interrupted");
  });

  test("a stop while work goes on is an interruption", "hang", async ({ runner, begun }) => {
    const stop = new AbortController();
    const running = runner.run(sampleAttempt(), stop.signal);
    await begun;
    stop.abort();
    assertEquals((await running).outcome.kind, "interrupted");
  });

  test("a stop after the end changes nothing, and the runner runs on", "succeed", async ({ runner }) => {
    const stop = new AbortController();
    const report = await runner.run(sampleAttempt(), stop.signal);
    stop.abort();
    assertEquals(report.outcome.kind, "succeeded");
    assertEquals((await runner.run(sampleAttempt({ attempt: 2 }), never)).outcome.kind, "succeeded");
  });

  test("one failure does not spoil the next attempt", "fail", async ({ runner }) => {
    const kinds: string[] = [];
    for (const attempt of [1, 2, 3]) {
      kinds.push((await runner.run(sampleAttempt({ attempt, suspect: attempt > 1 }), never)).outcome.kind);
    }
    assertEquals(kinds, ["failed", "failed", "failed"]);
  });

  test("attempts that run at once are told apart", "hang", async ({ runner }) => {
    const stops = Array.from({ length: 4 }, () => new AbortController());
    const ended: number[] = [];
    const running = stops.map((stop, index) =>
      runner.run(sampleAttempt({ deliveryId: `dlv_${index}`, idempotencyKey: `dlv_${index}` }), stop.signal)
        .then(({ outcome }) => ended.push(outcome.kind === "interrupted" ? index : -1))
    );
    for (const index of [2, 0, 3, 1]) {
      stops[index]!.abort();
      await running[index];
    }
    assertEquals(ended, [2, 0, 3, 1]);
  });

  test("any event that the log can hold can be run", "succeed", async ({ runner }) => {
    const events: Partial<Event>[] = [
      { raw: new Uint8Array() },
      { raw: new Uint8Array([0, 255, 254, 0x0a]), headers: {} },
      { raw: new Uint8Array(), headers: {}, item: '{"id":"12345678901234567890"}', idempotencyKey: "k", time: 0 },
      { type: "größe geändert\r\nx: y \0 \ud800 100%", source: "a_b-c" },
      { raw: new TextEncoder().encode(JSON.stringify({ text: "x".repeat(1_000_000) })) },
    ];
    for (const event of events) {
      assertEquals((await runner.run(sampleAttempt({}, event), never)).outcome.kind, "succeeded");
    }
  });

  test("a report is plain data that the log can hold", "succeed", async ({ runner }) => {
    const report = await runner.run(sampleAttempt(), never);
    assertEquals(structuredClone(report), report);
    assertEquals(isPlain(report), true);
  });
}

/** The reason of an attempt that failed without taking its process down. */
function failureOf({ outcome }: AttemptReport): string {
  assertEquals([outcome.kind, outcome.kind === "failed" && outcome.died === true], ["failed", false]);
  return outcome.kind === "failed" ? outcome.reason : "";
}

/** Text where text belongs, without the NUL at which a column would end. */
function isPlain({ outcome, output, codeHash }: AttemptReport): boolean {
  const texts = [output, codeHash, outcome.kind === "succeeded" ? outcome.result : outcome.reason];
  return texts.every((text) => text === undefined || (typeof text === "string" && !text.includes("\0")));
}
