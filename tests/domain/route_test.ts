/**
 * Tests of `core/domain/route.ts`: every decision with its reason, and globs against a reference that tries everything.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Route } from "../../core/domain/config.ts";
import type { Evaluation, Expression, Scope } from "../../core/domain/expression.ts";
import { defaultRetry } from "../../core/domain/retry.ts";
import { globMatches, match } from "../../core/domain/route.ts";

const scope: Scope = {
  event: { id: "evt_1", source: "stripe", type: "charge.refunded", receivedAt: 0 },
  body: { id: "ch_1" },
  headers: {},
  query: {},
};

const expression = (evaluation: Evaluation): Expression => ({ text: "body.id", evaluate: () => evaluation });

const makeRoute = (parts: Partial<Route>): Route => ({
  name: "payments",
  from: ["stripe"],
  on: ["*"],
  onExhausted: "dead",
  retry: defaultRetry,
  destinations: [],
  ...parts,
});

Deno.test("match: a concurrency key makes that many sub-lanes, evenly dealt and always the same for an event", () => {
  const key = expression({ kind: "value", value: "acme" });
  const laneOf = (id: string, parts: Partial<Route> = { concurrencyKey: { key, limit: 3 } }) =>
    match([makeRoute(parts)], { ...scope, event: { ...scope.event, id } })[0]!;
  const lanes = Array.from({ length: 300 }, (_, n) => laneOf(`evt_${n}`)).map((one) =>
    one.kind === "matched" && one.lane
  );
  assertEquals([...new Set(lanes)].sort(), ["acme#0", "acme#1", "acme#2"]);
  for (const lane of new Set(lanes)) assertEquals(lanes.filter((one) => one === lane).length > 60, true);
  assertEquals(laneOf("evt_7"), laneOf("evt_7"));
  const none = laneOf("evt_7", { concurrencyKey: { key: expression({ kind: "value", value: null }), limit: 3 } });
  assertEquals([none.kind, "lane" in none && none.lane], ["matched", undefined]);
  const broken = laneOf("e", { concurrencyKey: { key: expression({ kind: "error", reason: "no" }), limit: 3 } });
  assertEquals([broken.kind, "reason" in broken && broken.reason], ["parked", "concurrency.key: no"]);
});

Deno.test("match: skip_older gives the delivery its version", () => {
  const decide = (evaluation: Evaluation) => match([makeRoute({ skipOlder: expression(evaluation) })], scope)[0]!;
  const seven = decide({ kind: "value", value: 7 });
  assertEquals([seven.kind, "version" in seven && seven.version?.value], ["matched", 7]);
  const broken = decide({ kind: "value", value: "soon" });
  assertEquals([broken.kind, "reason" in broken && broken.reason.startsWith("skip_older: a version must be")], [
    "parked",
    true,
  ]);
});

Deno.test("match: what parks for one expression keeps the place that the others give it", () => {
  const orderBy = expression({ kind: "value", value: "k" });
  const seven = expression({ kind: "value", value: 7 });
  const broken = expression({ kind: "error", reason: "no" });
  const placeOf = (parts: Partial<Route>) => {
    const decision = match([makeRoute(parts)], scope)[0]!;
    return decision.kind === "parked" && [decision.reason, decision.lane, decision.version?.value];
  };
  assertEquals(placeOf({ when: broken, orderBy, skipOlder: seven }), ["when: no", "k", 7]);
  assertEquals(placeOf({ skipOlder: broken, orderBy }), ["skip_older: no", "k", undefined]);
  assertEquals(placeOf({ orderBy: broken, skipOlder: seven }), ["order_by: no", undefined, undefined]);
  assertEquals(placeOf({ when: broken, orderBy: broken }), ["when: no", undefined, undefined]);
  const sub = placeOf({ when: broken, concurrencyKey: { key: orderBy, limit: 1 } });
  assertEquals(sub, ["when: no", "k#0", undefined]);
});

Deno.test("match: one decision per route, with its reason", () => {
  const table: [Partial<Route>, kind: string, reason?: string][] = [
    [{}, "matched"],
    [{ from: ["github", "stripe"], on: ["charge.*"] }, "matched"],
    [{ from: ["github", "slack"] }, "unmatched", "from: is github, slack, the event came from stripe"],
    [{ on: ["payment.*", "x"] }, "unmatched", "on: is payment.*, x, the event's type is charge.refunded"],
    [{ on: [] }, "unmatched", "on: is , the event's type is charge.refunded"],
    [{ when: expression({ kind: "value", value: true }) }, "matched"],
    [{ when: expression({ kind: "value", value: false }) }, "unmatched", "when: body.id is false"],
    [{ when: expression({ kind: "missing", reason: "no such key: a" }) }, "unmatched", "when: no such key: a"],
    [{ when: expression({ kind: "error", reason: "no such overload" }) }, "parked", "when: no such overload"],
    [{ when: expression({ kind: "value", value: "yes" }) }, "parked", "when: must be true or false, got string"],
    [{ when: expression({ kind: "value", value: null }) }, "parked", "when: must be true or false, got null"],
    [{ orderBy: expression({ kind: "error", reason: "division by zero" }) }, "parked", "order_by: division by zero"],
    [
      { orderBy: expression({ kind: "value", value: [1] }) },
      "parked",
      "order_by: a key must be text, a number or a boolean, got a list",
    ],
  ];
  for (const [parts, kind, reason] of table) {
    const [decision] = match([makeRoute(parts)], scope);
    assertEquals([decision!.kind, "reason" in decision! ? decision.reason : undefined], [kind, reason]);
  }
});

Deno.test("match: order_by names the lane, and no key is no lane", () => {
  const laneOf = (evaluation: Evaluation) => {
    const decision = match([makeRoute({ orderBy: expression(evaluation) })], scope)[0]!;
    return decision.kind === "matched" ? decision.lane : "not matched";
  };
  assertEquals(laneOf({ kind: "value", value: 42n }), "42");
  assertEquals(laneOf({ kind: "value", value: null }), undefined);
  assertEquals(laneOf({ kind: "missing", reason: "no such key" }), undefined);
});

Deno.test("match: answers for every route, in their order, and asks no expression of a route that is out already", () => {
  const asked: string[] = [];
  const spy: Expression = {
    text: "true",
    evaluate: () => {
      asked.push("when");
      return { kind: "value", value: true };
    },
  };
  const routes = [makeRoute({ name: "a", from: ["github"], when: spy }), makeRoute({ name: "b" })];
  assertEquals(match(routes, scope).map(({ route, kind }) => `${route.name} ${kind}`), ["a unmatched", "b matched"]);
  assertEquals(asked, []);
  assertEquals(match([], scope), []);
});

Deno.test("globMatches: only the star is special", () => {
  const table: [glob: string, type: string, matches: boolean][] = [
    ["*", "", true],
    ["*", "a.b.c", true],
    ["", "", true],
    ["", "a", false],
    ["charge.refunded", "charge.refunded", true],
    ["charge.refunded", "charge_refunded", false],
    ["charge.*", "charge.refunded", true],
    ["charge.*", "charge.", true],
    ["charge.*", "charge", false],
    ["*.created", "user.created", true],
    ["*.created", "user.created.v2", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "a-c-b", false],
    ["*ab*ab", "xabab", true],
    ["*ab*ab", "xaab", false],
    ["a**b", "ab", true],
    ["a?c", "abc", false],
    ["[ab]", "a", false],
    ["Charge.*", "charge.x", false],
  ];
  for (const [glob, type, matches] of table) assertEquals(globMatches(glob, type), matches, `${glob} on ${type}`);
});

/** Tries every length for every star. */
function matchesSlowly(glob: string, type: string): boolean {
  if (glob === "") return type === "";
  if (glob[0] !== "*") return type[0] === glob[0] && matchesSlowly(glob.slice(1), type.slice(1));
  return Array.from({ length: type.length + 1 }, (_, taken) => type.slice(taken))
    .some((rest) => matchesSlowly(glob.slice(1), rest));
}

Deno.test("globMatches: agrees with a reference that tries everything", () => {
  const globs = fc.string({ unit: fc.constantFrom("a", "b", ".", "*"), maxLength: 7 });
  const types = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 8 });
  fc.assert(
    fc.property(globs, types, (glob, type) => assertEquals(globMatches(glob, type), matchesSlowly(glob, type))),
    { numRuns: 5_000 },
  );
});

Deno.test("globMatches: a type made of a glob by filling its stars always matches", () => {
  fc.assert(fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 6 }), fc.array(fc.string()), (parts, fill) => {
    const literals = parts.map((part) => part.replaceAll("*", ""));
    const type = literals.reduce((text, part, index) => text + (fill[index] ?? "") + part);
    assertEquals(globMatches(literals.join("*"), type), true);
  }));
});

Deno.test("globMatches: a hostile glob does not backtrack", () => {
  assertEquals(globMatches(`${"*a".repeat(5_000)}*b*`, "a".repeat(100_000)), false);
});
