/**
 * Tests of `core/domain/config.ts`: how the queues of a route are told apart.
 */

import { assertEquals } from "@std/assert";
import { type Destination, destinationOf, queueName, type Route, targetName } from "../../core/domain/config.ts";
import { defaultRetry } from "../../core/domain/retry.ts";

Deno.test("queueName: the route, and the target where there is one", () => {
  assertEquals(queueName("payments", ""), "payments");
  assertEquals(queueName("mirror", "ci"), "mirror/ci");
});

Deno.test("targetName: empty for handlers, the name for a target", () => {
  const base = { timeoutMs: 1_000, concurrency: 1 };
  const destinations: [Destination, string][] = [
    [{ ...base, kind: "inline" }, ""],
    [{ ...base, kind: "script", file: "/plugins/a.ts", permissions: { net: [], env: [], read: [] } }, ""],
    [{ ...base, kind: "target", name: "ci", url: "https://ci.example.com/", secrets: [], headers: {} }, "ci"],
  ];
  for (const [destination, name] of destinations) assertEquals(targetName(destination), name);
});

Deno.test("destinationOf: found by route and target, undefined when either is gone", () => {
  const inline: Destination = { kind: "inline", timeoutMs: 1_000, concurrency: 1 };
  const ci: Destination = {
    ...inline,
    kind: "target",
    name: "ci",
    url: "https://ci.example.com/",
    secrets: [],
    headers: {},
  };
  const routeOf = (name: string, destinations: readonly Destination[]): Route => ({
    name,
    from: ["stripe"],
    on: ["*"],
    onExhausted: "dead",
    retry: defaultRetry,
    destinations,
  });
  const config = { routes: [routeOf("payments", [inline]), routeOf("mirror", [ci])] };
  const table: [route: string, target: string, destination: Destination | undefined][] = [
    ["payments", "", inline],
    ["mirror", "ci", ci],
    ["mirror", "", undefined],
    ["payments", "ci", undefined],
    ["gone", "", undefined],
  ];
  for (const [route, target, destination] of table) assertEquals(destinationOf(config, { route, target }), destination);
});
