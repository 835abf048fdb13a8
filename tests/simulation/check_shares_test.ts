/** What was dealt out, against who had a right to it. */

import { assertEquals } from "@std/assert";
import { checkShares, type Share } from "./check_shares.ts";

const share = (queue: string, rest: Partial<Share>): Share => ({
  queue,
  priority: 0,
  due: 5,
  given: 0,
  running: 0,
  ...rest,
});

Deno.test("checkShares: accepts what is even up to one, and what was not wanted", () => {
  assertEquals(checkShares([share("a", { given: 2 }), share("b", { given: 1 })]), []);
  assertEquals(checkShares([share("a", { given: 5 }), share("b", { due: 1, given: 1 })]), []);
  assertEquals(checkShares([share("a", { given: 0, running: 3 }), share("b", { given: 3 })]), []);
  assertEquals(checkShares([share("a", { given: 0 }), share("b", { priority: 1, given: 4 })]), []);
});

Deno.test("checkShares: finds who went without", () => {
  const names = (shares: Share[]) => checkShares(shares).map(({ name, subject }) => `${name} ${subject}`);
  assertEquals(names([share("a", { given: 3 }), share("b", { given: 1 })]), ["UNFAIR b"]);
  assertEquals(names([share("a", { given: 1, running: 3 }), share("b", { running: 2 })]), ["UNFAIR b"]);
  assertEquals(names([share("a", { given: 1 }), share("b", { priority: 1, given: 4 })]), ["PRIORITY b"]);
});
