import { assertEquals } from "@std/assert";
import { type Outcome, reasonLengthMax, shortReason, withShortReason } from "../../core/domain/outcome.ts";

Deno.test("withShortReason: what is too long ends in a sign that it went on, everything else stays as it is", () => {
  const long: Outcome = { kind: "failed", reason: "x".repeat(reasonLengthMax + 1), died: true };
  const kept = withShortReason(long);
  assertEquals(kept, { ...long, reason: shortReason(long.reason) });
  assertEquals(shortReason(long.reason), `${"x".repeat(reasonLengthMax - 1)}…`);
  const others: Outcome[] = [
    { kind: "succeeded", result: "1" },
    { kind: "rejected", reason: "x".repeat(reasonLengthMax) },
    { kind: "interrupted", reason: "" },
  ];
  for (const outcome of others) assertEquals(withShortReason(outcome), outcome);
});
