import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import {
  createKey,
  decode,
  encode,
  encodings,
  findTimestampFault,
  formatTimestamp,
  type Hash,
  hashBytes,
  headerOf,
  hmac,
  isEcdsaSigned,
  isEqual,
  isSigned,
  parsePairs,
  readPrivateKey,
  readPublicKey,
  readSignature,
  signEcdsa,
} from "../../plugins/signature.ts";

Deno.test("createKey: never makes an empty key", () => {
  assertThrows(() => createKey(""), RangeError);
  assertThrows(() => createKey(new Uint8Array()), RangeError);
  assertEquals(createKey("é").length, 2);
});

Deno.test("hmac: is the same whatever pieces the content comes in", () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(hashBytes) as Hash[]), fc.array(fc.uint8Array()), (hash, content) => {
      const whole = createHmac(hash, "key").update(Buffer.concat(content)).digest();
      assert(isEqual(hmac(createKey("key"), { content, hash }), whole));
      assertEquals(whole.length, hashBytes[hash]);
    }),
  );
});

Deno.test("isSigned: any pair of key and signature will do", () => {
  const [old, current, other] = ["old", "current", "other"].map(createKey);
  const by = { keys: [current!, old!], content: ["a", new Uint8Array([1])], hash: "sha256" } as const;
  const sign = (key: typeof old) => hmac(key!, by);
  assert(isSigned([sign(old)], by));
  assert(isSigned([sign(other), sign(current)], by));
  assert(!isSigned([sign(other)], by));
  assert(!isSigned([], by));
  assert(!isSigned([sign(old).subarray(0, 31), new Uint8Array()], by));
});

Deno.test("decode: reads what encode writes", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.constantFrom(...encodings), (bytes, encoding) => {
    assertEquals(Buffer.from(decode(encode(bytes, encoding), encoding)!), Buffer.from(bytes));
  }));
});

Deno.test("decode: one run of bytes has one spelling", () => {
  fc.assert(fc.property(fc.string(), fc.constantFrom(...encodings), (text, encoding) => {
    const bytes = decode(text, encoding);
    assert(bytes === undefined || encode(bytes, encoding) === text);
  }));
  for (const text of ["AB", "a", "abc", "0g", " ab", "ab ", "ab\n", "0xab", "é"]) {
    assertEquals(decode(text, "hex"), undefined);
  }
  for (const text of ["YWJj==", "YWI", "YWI=\n", "YW=I", "YWJ=", "YR==", "-_-_", "Y W Jj", "YWJj YWJj", "="]) {
    assertEquals(decode(text, "base64"), undefined, text);
  }
});

Deno.test("readSignature: an exact prefix and an exact length", () => {
  const form = { prefix: "sha256=", encoding: "hex", hash: "sha256" } as const;
  const hex = "ab".repeat(32);
  assertEquals(readSignature(`sha256=${hex}`, form)?.length, 32);
  for (
    const text of [
      hex,
      "",
      "sha256=",
      `SHA256=${hex}`,
      `sha256=${hex}00`,
      `sha256=${hex.slice(2)}`,
      `sha256=${hex}, sha256=${hex}`,
    ]
  ) {
    assertEquals(readSignature(text, form), undefined, text);
  }
});

Deno.test("parsePairs: a list, or nothing at all", () => {
  assertEquals(parsePairs("t=1,v1=a,v1=b=")?.get("v1"), ["a", "b="]);
  assertEquals(parsePairs("t=")?.get("t"), [""]);
  for (const text of ["", "t", "t=1,", ",t=1", "t=1, v1=a", "t=1,v1=a, t=1,v1=a", "=1", "t =1", "t=\n", "t=é"]) {
    assertEquals(parsePairs(text), undefined, text);
  }
});

Deno.test("headerOf: an empty header is none, and a prototype is no header", () => {
  assertEquals(headerOf({ a: "1", b: "" }, "a"), "1");
  assertEquals(headerOf({ a: "1", b: "" }, "b"), undefined);
  assertEquals(headerOf({}, "constructor"), undefined);
});

Deno.test("findTimestampFault: digits only, within the tolerance in both directions", () => {
  const at = { now: 1_700_000_000_500, toleranceMs: 300_000, unit: "s" } as const;
  for (const text of ["1700000000", "1700000300", "1699999701", "001700000000"]) {
    assertEquals(findTimestampFault(text, at), undefined);
  }
  const faults = [
    undefined,
    "",
    " 1700000000",
    "+1700000000",
    "1.7e9",
    "1700000000.0",
    "0x6553f100",
    "-1",
    "1700000301",
    "1699999700",
    "9".repeat(13),
    "１７００００００００",
  ];
  for (const text of faults) assert(findTimestampFault(text, at) !== undefined, String(text));
  assertEquals(findTimestampFault("1700000000500", { ...at, unit: "ms" }), undefined);
  assert(findTimestampFault("1700000000", { ...at, unit: "ms" }) !== undefined);
});

Deno.test("findTimestampFault: takes what formatTimestamp writes", () => {
  fc.assert(fc.property(fc.nat({ max: 4e12 }), fc.constantFrom("s" as const, "ms" as const), (now, unit) => {
    assertEquals(findTimestampFault(formatTimestamp(now, unit), { now, unit, toleranceMs: 1_000 }), undefined);
  }));
});

Deno.test("isEcdsaSigned: the pair of the signing key, and no bytes that are not a signature", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = readPublicKey(publicKey.export({ type: "spki", format: "der" }).toString("base64"))!;
  const signing = readPrivateKey(privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"))!;
  const signature = signEcdsa(signing, ["1", new Uint8Array([2])]);
  assert(isEcdsaSigned(signature, { keys: [key], content: ["1", new Uint8Array([2])] }));
  assert(!isEcdsaSigned(signature, { keys: [key], content: ["1", new Uint8Array([3])] }));
  assert(!isEcdsaSigned(signature, { keys: [], content: ["1", new Uint8Array([2])] }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (junk) => {
    assert(!isEcdsaSigned(junk, { keys: [key], content: ["1"] }));
  }));
});

Deno.test("readPublicKey: P-256 alone", () => {
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ type: "spki", format: "der" });
  const ed25519 = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" });
  for (const text of ["", "AAAA", "not base64", p384.toString("base64"), ed25519.toString("base64")]) {
    assertEquals(readPublicKey(text), undefined);
    assertEquals(readPrivateKey(text), undefined);
  }
});
