/**
 * Tests of `core/domain/config.ts`: how the queues of a route are told apart.
 */

import { assertEquals } from "@std/assert";
import { type Destination, queueName, targetName } from "../../core/domain/config.ts";

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
