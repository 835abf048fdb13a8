/**
 * Tests of `core/domain/handler_call.ts`: the event as a handler sees it, and what its return or throw comes to.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Event } from "../../core/domain/event.ts";
import {
  outcomeOfReturn,
  outcomeOfThrow,
  Rejection,
  resultLengthMax,
  RetryLater,
  toHandlerEvent,
} from "../../core/domain/handler_call.ts";

const eventOf = (parts: Partial<Event> = {}): Event => ({
  id: "evt_1",
  source: "stripe",
  type: "charge.refunded",
  receivedAt: 1_700_000_000_000,
  headers: { "content-type": "application/json" },
  query: "",
  raw: new TextEncoder().encode('{"id":12345678901234567890}'),
  ...parts,
});

Deno.test("toHandlerEvent: the whole body, exact integers as text, times as dates", () => {
  const event = eventOf({ idempotencyKey: "k", time: 0 });
  assertEquals(toHandlerEvent(event, "lane"), {
    id: "evt_1",
    source: "stripe",
    type: "charge.refunded",
    idempotencyKey: "k",
    orderingKey: "lane",
    time: new Date(0),
    receivedAt: new Date(1_700_000_000_000),
    headers: event.headers,
    body: { id: "12345678901234567890" },
    raw: event.raw,
  });
});

Deno.test("toHandlerEvent: an item stands for itself, and a body that does not parse is null", () => {
  assertEquals(toHandlerEvent(eventOf({ item: '{"id":12345678901234567890}' }), undefined).body, {
    id: "12345678901234567890",
  });
  assertEquals(toHandlerEvent(eventOf({ item: "null" }), undefined).body, null);
  const broken = toHandlerEvent(eventOf({ raw: new TextEncoder().encode("{") }), undefined);
  assertEquals([broken.body, broken.time, broken.orderingKey], [null, undefined, undefined]);
});

Deno.test("outcomeOfReturn: what JSON can hold is kept as JSON", () => {
  const table: [returned: unknown, result: string | undefined][] = [
    [undefined, undefined],
    [null, "null"],
    [{ charged: 1 }, '{"charged":1}'],
    ["text", '"text"'],
    [() => 1, undefined],
    [Symbol("mark"), undefined],
    [{ toJSON: () => 7 }, "7"],
  ];
  for (const [returned, result] of table) {
    const outcome = outcomeOfReturn(returned);
    assertEquals([outcome.kind, outcome.kind === "succeeded" && outcome.result], ["succeeded", result]);
  }
});

Deno.test("outcomeOfReturn: a result that cannot be kept is still a success, and says so", () => {
  const round: Record<string, unknown> = {};
  round.round = round;
  const hostile = {
    toJSON() {
      throw Object.create(null);
    },
  };
  for (const returned of [1n, round, hostile]) {
    const outcome = outcomeOfReturn(returned);
    assert(outcome.kind === "succeeded");
    assertEquals(
      String(JSON.parse((outcome as { result: string }).result)).startsWith("[a result that is not JSON: "),
      true,
    );
  }
  const long = outcomeOfReturn("x".repeat(resultLengthMax - 1)) as { result: string };
  assertEquals(JSON.parse(long.result), "[a result of 262145 characters, at most 262144 are kept]");
  const fits = outcomeOfReturn("x".repeat(resultLengthMax - 2)) as { result: string };
  assertEquals(fits.result.length, resultLengthMax);
});

Deno.test("outcomeOfThrow: a rejection, a retry for later, and anything else", () => {
  assertEquals(outcomeOfThrow(new Rejection("nobody approved")), { kind: "rejected", reason: "nobody approved" });
  assertEquals(outcomeOfThrow(new RetryLater("10m")), {
    kind: "failed",
    reason: "the handler asked for a retry after 10m",
    retryAfterMs: 600_000,
  });
  assertEquals(outcomeOfThrow(new RetryLater("1s", "busy")), { kind: "failed", reason: "busy", retryAfterMs: 1_000 });
  assertEquals(outcomeOfThrow(new TypeError("no")), { kind: "failed", reason: "TypeError: no" });
  assertEquals(outcomeOfThrow("text"), { kind: "failed", reason: "thrown: text" });
});

Deno.test("RetryLater: what is not a duration is the caller's mistake", () => {
  for (const duration of ["", "soon", "10", "-1s"]) assertThrows(() => new RetryLater(duration), RangeError);
});

Deno.test("outcomeOfReturn, outcomeOfThrow: never throw, whatever the handler gave", () => {
  fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
    const returned = outcomeOfReturn(value);
    assert(returned.kind === "succeeded");
    if (returned.kind === "succeeded" && returned.result !== undefined) JSON.parse(returned.result);
    assertEquals(outcomeOfThrow(value).kind, "failed");
  }));
});
