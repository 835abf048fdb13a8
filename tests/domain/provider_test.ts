/**
 * Tests of `core/domain/provider.ts`: the two makers of a verification.
 */

import { assert, assertEquals } from "@std/assert";
import { refused, secretBytesMin, verified } from "../../core/domain/provider.ts";

Deno.test("verified: hands on the very request that was proven", () => {
  const request = { method: "POST", url: "https://h/", headers: {}, body: new Uint8Array(), receivedAt: 0 };
  const verification = verified(request);
  assert(verification.ok && Object.is(verification.request, request));
});

Deno.test("refused: carries its reason", () => {
  assertEquals(refused("the signature does not match"), { ok: false, reason: "the signature does not match" });
});

Deno.test("secretBytesMin: is no less than 128 bits", () => assert(secretBytesMin * 8 >= 128));
