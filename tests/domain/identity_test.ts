/**
 * Tests of `core/domain/identity.ts`: under which idempotency key and type an event is logged.
 */

import { assertEquals } from "@std/assert";
import type { Evaluation, Expression, Scope } from "../../core/domain/expression.ts";
import { cleanType, identify, type Identity, typeLengthMax } from "../../core/domain/identity.ts";

const scope: Scope = {
  event: { id: "evt_1", source: "shop", type: "", receivedAt: 0 },
  body: { kind: "order.paid" },
  headers: {},
  query: {},
};

function giving(evaluation: Evaluation, isOfBody = false): Expression {
  return { text: "as it is given", isOfBody, evaluate: () => evaluation };
}

const value = (value: unknown): Expression => giving({ kind: "value", value });
const missing = giving({ kind: "missing", reason: "no such field" });
const broken = giving({ kind: "error", reason: "no such overload" });

function identityOf(source: { id?: Expression; type?: Expression }, own: { id?: string; type?: string } = {}) {
  return identify(source, { type: "", ...own }, () => scope);
}

const unnamed: Identity = { id: undefined, idIsOfBody: false, type: "unknown", fault: undefined };

Deno.test("identify: without expressions the provider's own counts, and no scope is made", () => {
  const fail = () => {
    throw new Error("nobody asked for it");
  };
  assertEquals(identify({}, { id: "d1", type: "push" }, fail), { ...unnamed, id: "d1", type: "push" });
  assertEquals(identityOf({}), unnamed);
});

Deno.test("identify: an expression sees the scope, and comes before what the provider says", () => {
  const kind: Expression = {
    text: "body.kind",
    isOfBody: false,
    evaluate: ({ body }) => ({ kind: "value", value: (body as { kind: string }).kind }),
  };
  assertEquals(identityOf({ id: value(42), type: kind }, { id: "d1", type: "push" }), {
    ...unnamed,
    id: "42",
    type: "order.paid",
  });
});

Deno.test("identify: what an expression does not find, or finds empty, is the provider's own", () => {
  for (const nothing of [missing, value(null), value("")]) {
    assertEquals(identityOf({ id: nothing, type: nothing }, { id: "d1", type: "push" }), {
      ...unnamed,
      id: "d1",
      type: "push",
    });
  }
});

Deno.test("identify: an id is of the body only if an expression of the body gave it", () => {
  const ofBody = giving({ kind: "value", value: "k1" }, true);
  const notFound = giving({ kind: "missing", reason: "no such field" }, true);
  assertEquals(identityOf({ id: ofBody }).idIsOfBody, true);
  assertEquals(identityOf({ id: value("k1") }).idIsOfBody, false);
  assertEquals(identityOf({ id: notFound }, { id: "d1" }).idIsOfBody, false);
});

Deno.test("identify: one that fails says why, the id before the type, and the other is used all the same", () => {
  assertEquals(identityOf({ id: broken, type: value("push") }, { id: "d1" }), {
    ...unnamed,
    type: "push",
    fault: "id: no such overload",
  });
  assertEquals(identityOf({ id: value("k1"), type: broken }, { type: "push" }), {
    ...unnamed,
    id: "k1",
    type: "unknown",
    fault: "type: no such overload",
  });
  assertEquals(
    identityOf({ id: value([]), type: broken }).fault,
    "id: a key must be text, a number or a boolean, got a list",
  );
  assertEquals(identityOf({ type: value([1]) }).fault, "type: a key must be text, a number or a boolean, got a list");
});

Deno.test("identify: an id of the sender that cannot be a key is called the sender's", () => {
  assertEquals(identityOf({}, { id: "a\0b" }), { ...unnamed, fault: "the sender's id: a key must not contain NUL" });
});

Deno.test("identify: a type that is too long or holds control characters is cut and cleaned, an id is refused", () => {
  const long = "a".repeat(typeLengthMax + 300);
  const cut = "a".repeat(typeLengthMax);
  assertEquals(identityOf({ type: value(long) }), { ...unnamed, type: cut });
  assertEquals(identityOf({}, { type: long }), { ...unnamed, type: cut });
  assertEquals(identityOf({ type: value("a\u001b[31m\0") }), { ...unnamed, type: "a\uFFFD[31m\uFFFD" });
  assertEquals(identityOf({ id: value(long) }).fault, `id: a key has at most 512 characters, got ${long.length}`);
});

Deno.test("cleanType: never empty, and a pair that the cut would halve stays valid Unicode", () => {
  assertEquals([cleanType(undefined), cleanType(""), cleanType("push")], ["unknown", "unknown", "push"]);
  assertEquals(cleanType("a".repeat(typeLengthMax - 1) + "😀"), "a".repeat(typeLengthMax - 1) + "\uFFFD");
});
