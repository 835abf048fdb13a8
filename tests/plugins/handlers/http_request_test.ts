/**
 * Tests of `plugins/handlers/http_request.ts`: what a target is sent, and that the reference implementation of Standard
 * Webhooks believes the signature.
 */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import type { TargetSpec } from "../../../core/plugin.ts";
import { createRequestMaker } from "../../../plugins/handlers/http_request.ts";
import { sampleAttempt } from "../../conformance/runner.ts";

const now = 1_700_000_000_999;

const makerOf = (parts: Partial<TargetSpec> = {}) =>
  createRequestMaker({
    route: "mirror",
    name: "ci",
    url: "http://127.0.0.1/",
    secrets: [],
    headers: {},
    timeoutMs: 1_000,
    ...parts,
  });

Deno.test("createRequestMaker: the raw bytes go out under the type they came with", () => {
  const raw = new Uint8Array([0, 1, 255]);
  const headers = { "content-type": "application/octet-stream", "x-github-event": "push" };
  const request = makerOf()(sampleAttempt({ attempt: 3, idempotencyKey: "dlv_lineage" }, { raw, headers }), now);
  assertEquals(request.body, raw);
  assertEquals(Object.fromEntries(request.headers), {
    "accept-encoding": "identity",
    "content-type": "application/octet-stream",
    "user-agent": "weir",
    "webhook-id": "dlv_lineage",
    "webhook-timestamp": "1700000000",
    "weir-attempt": "3",
    "weir-event-type": "order.paid",
    "weir-source": "sample",
  });
  assertEquals(makerOf()(sampleAttempt({}, { headers: {} }), now).headers.has("content-type"), false);
});

Deno.test("createRequestMaker: one item of many is sent as JSON of its own", () => {
  const item = '{"id":"12345678901234567890","name":"ä"}';
  const request = makerOf()(sampleAttempt({}, { item, headers: { "content-type": "text/plain" } }), now);
  assertEquals(new TextDecoder().decode(request.body), item);
  assertEquals(request.headers.get("content-type"), "application/json");
});

Deno.test("createRequestMaker: a route adds headers, but none that carries the proof or frames the message", () => {
  const own = { "X-Env": "prod", "User-Agent": "mine", "Content-Type": "application/cloudevents+json" };
  const reserved = {
    "Webhook-Id": "forged",
    "webhook-signature": "v1,forged",
    "WEBHOOK-TIMESTAMP": "0",
    "Weir-Attempt": "99",
    "weir-own": "x",
    "Host": "elsewhere.example.com",
    "Content-Length": "99",
    "Transfer-Encoding": "chunked",
    "Connection": "upgrade",
    "Accept-Encoding": "gzip",
  };
  const { headers } = makerOf({ headers: { ...own, ...reserved } })(sampleAttempt(), now);
  for (const [name, value] of Object.entries(own)) assertEquals(headers.get(name), value, name);
  for (const [name, value] of Object.entries(reserved)) assertEquals(headers.get(name) === value, false, name);
  for (const name of ["weir-own", "host", "content-length", "connection", "webhook-signature"]) {
    assertEquals(headers.has(name), false, name);
  }
});

Deno.test("createRequestMaker: any type and source fit into a header and can be read back", () => {
  const texts = fc.string({ unit: "binary" }).map((text) => text.toWellFormed());
  fc.assert(fc.property(texts, texts, (type, source) => {
    const { headers } = makerOf()(sampleAttempt({}, { type, source }), now);
    assertEquals(decodeURIComponent(headers.get("weir-event-type")!), type);
    assertEquals(decodeURIComponent(headers.get("weir-source")!), source);
  }));
  const plain = makerOf()(sampleAttempt({}, { type: "größe 100%\r\nx: \ud800" }), now);
  assertEquals(plain.headers.get("weir-event-type"), "gr%C3%B6%C3%9Fe%20100%25%0D%0Ax:%20%EF%BF%BD");
});

Deno.test("createRequestMaker: the id stays the same on every attempt, the signature is of its own time", () => {
  const make = makerOf({ secrets: ["sixteen byte key!"] });
  const proof = (attempt: number) => {
    const { headers } = make(sampleAttempt({ attempt }), now + attempt * 1_000);
    return ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => headers.get(name));
  };
  const [first, second] = [proof(1), proof(2)];
  assertEquals(first.map((part, index) => part === second[index]), [true, false, false]);
});

Deno.test("createRequestMaker: every secret signs so that the reference implementation believes it", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const encoded = Buffer.from(bytes).toString("base64");
  const short = Buffer.from(bytes.subarray(0, 20)).toString("base64");
  const secrets = [`whsec_${encoded}`, `whsec_${short.replaceAll("=", "")}`, "a bare secret, as it is"];
  const verifiers = [new Webhook(encoded), new Webhook(short), new Webhook(secrets[2]!, { format: "raw" })];
  // The reference holds the timestamp against the machine's clock.
  const { headers, body } = makerOf({ secrets })(sampleAttempt(), Date.now());
  const proof = Object.fromEntries(headers);
  const text = new TextDecoder().decode(body);
  assertEquals(proof["webhook-signature"]!.split(" ").length, 3);
  for (const verifier of verifiers) {
    assertEquals(verifier.verify(text, proof), { id: 1 });
    assertThrows(() => verifier.verify(`${text} `, proof));
    assertThrows(() => verifier.verify(text, { ...proof, "webhook-id": "dlv_other" }));
  }
});

Deno.test("createRequestMaker: binary bodies are signed byte for byte", () => {
  fc.assert(fc.property(fc.uint8Array(), (raw) => {
    const secret = "a bare secret, as it is";
    const { headers } = makerOf({ secrets: [secret] })(sampleAttempt({ idempotencyKey: "dlv_1" }, { raw }), now);
    const signed = createHmac("sha256", secret).update("dlv_1.1700000000.").update(raw).digest("base64");
    assertEquals(headers.get("webhook-signature"), `v1,${signed}`);
  }));
});

Deno.test("createRequestMaker: a target that cannot be served is refused, without a word of its secrets", () => {
  const secret = assertThrows(() => makerOf({ secrets: ["fine fine fine fine", "whsec_hunter2!"] }), TypeError);
  assertMatch(secret.message, /^cannot sign for target ci of route mirror: secret 2 is not base64/);
  assertThrows(() => makerOf({ secrets: ["whsec_"] }), TypeError);
  assertThrows(() => makerOf({ secrets: [""] }), RangeError);
  for (const headers of [{ "X-Key": "hunter2\nx: y" }, { "X-Key": "hunter2 日" }]) {
    const header = assertThrows(() => makerOf({ headers }), TypeError);
    assertMatch(header.message, /^cannot send the header "X-Key" to target ci of route mirror/);
    assertEquals(header.message.includes("hunter2"), false);
  }
  assertEquals(secret.message.includes("hunter2"), false);
});
