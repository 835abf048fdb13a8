/**
 * Tests of `core/domain/handler_call.ts`: the event as a handler sees it, and what its return or throw comes to.
 */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Event } from "../../core/domain/event.ts";
import {
  askedOutcome,
  Rejection,
  resultLengthMax,
  resultText,
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

Deno.test("resultText: what JSON can hold is kept as JSON", () => {
  const table: [returned: unknown, text: string | undefined][] = [
    [undefined, undefined],
    [null, "null"],
    [{ charged: 1 }, '{"charged":1}'],
    ["text", '"text"'],
    [() => 1, undefined],
    [Symbol("mark"), undefined],
    [{ toJSON: () => 7 }, "7"],
  ];
  for (const [returned, text] of table) assertEquals(resultText(returned), { text });
});

Deno.test("resultText: what cannot be kept is dropped with a note", () => {
  const round: Record<string, unknown> = {};
  round.round = round;
  const hostile = {
    toJSON() {
      throw Object.create(null);
    },
  };
  for (const returned of [1n, round, hostile]) {
    const { text, note } = resultText(returned);
    assertEquals([text, note?.startsWith("the result was dropped: ")], [undefined, true]);
  }
  assertEquals(resultText("x".repeat(resultLengthMax - 1)), {
    note: "the result was dropped: 262145 characters of JSON, at most 262144 are kept",
  });
  assertEquals(resultText("x".repeat(resultLengthMax - 2)).text?.length, resultLengthMax);
});

Deno.test("askedOutcome: a rejection, a retry for later, and nothing for any other error", () => {
  assertEquals(askedOutcome(new Rejection("nobody approved")), { kind: "rejected", reason: "nobody approved" });
  assertEquals(askedOutcome(new RetryLater("10m")), {
    kind: "failed",
    reason: "the handler asked for a retry after 10m",
    retryAfterMs: 600_000,
  });
  assertEquals(askedOutcome(new RetryLater("1s", "busy")), { kind: "failed", reason: "busy", retryAfterMs: 1_000 });
  assertEquals(askedOutcome(new TypeError("no")), undefined);
});

Deno.test("RetryLater: what is not a duration is the caller's mistake", () => {
  for (const duration of ["", "soon", "10", "-1s"]) assertThrows(() => new RetryLater(duration), RangeError);
});

Deno.test("resultText, askedOutcome: never throw, whatever the handler gave", () => {
  fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
    const { text } = resultText(value);
    if (text !== undefined) JSON.parse(text);
    assertEquals(askedOutcome(value), undefined);
  }));
});
