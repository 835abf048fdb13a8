/**
 * Tests of `core/domain/event.ts`: what of a request's headers may be kept.
 */

import { assertEquals } from "@std/assert";
import { storableHeaders } from "../../core/domain/event.ts";

Deno.test("storableHeaders: credentials and signatures are left out, the rest stays as it is", () => {
  const headers = {
    "content-type": "application/json",
    authorization: "Bearer x",
    cookie: "a=1",
    "proxy-authorization": "Basic x",
    "x-api-key": "x",
    "x-hub-signature-256": "sha256=00",
    "x-github-event": "push",
  };
  assertEquals(storableHeaders(headers, ["x-hub-signature-256"]), {
    "content-type": "application/json",
    "x-github-event": "push",
  });
  assertEquals(Object.keys(headers).length, 7);
});

Deno.test("storableHeaders: a header named __proto__ is a header", () => {
  const kept = storableHeaders(Object.fromEntries([["__proto__", "1"]]), []);
  assertEquals(Object.keys(kept), ["__proto__"]);
  assertEquals(Object.getPrototypeOf(kept), Object.prototype);
});
