/**
 * Tests of `core/domain/id.ts`: identifiers that sort by time and waste no chance.
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { makeId } from "../../core/domain/id.ts";

const times = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const entropies = fc.uint8Array({ minLength: 10, maxLength: 10 });

Deno.test("makeId: known values", () => {
  assertEquals(makeId("evt", { now: 0, entropy: new Uint8Array(10) }), `evt_${"0".repeat(26)}`);
  assertEquals(makeId("dlv", { now: 31, entropy: new Uint8Array(10).fill(255) }), `dlv_000000000Z${"Z".repeat(16)}`);
  assertEquals(
    makeId("req", { now: 2 ** 48 - 1, entropy: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 1) }),
    "req_7ZZZZZZZZZ0000000000000001",
  );
});

Deno.test("makeId: prefix and alphabet are always the same, only the first ten random bytes matter", () => {
  fc.assert(fc.property(times, fc.uint8Array({ minLength: 10, maxLength: 20 }), (now, entropy) => {
    const id = makeId("evt", { now, entropy });
    assertMatch(id, /^evt_[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    assertEquals(makeId("evt", { now, entropy: entropy.slice(0, 10) }), id);
  }));
});

Deno.test("makeId: sorts as text the way its times sort", () => {
  fc.assert(fc.property(times, times, entropies, entropies, (a, b, first, second) => {
    if (a === b) return;
    const [one, two] = [makeId("evt", { now: a, entropy: first }), makeId("evt", { now: b, entropy: second })];
    assertEquals(one < two, a < b);
  }));
});

Deno.test("makeId: each of the 80 random bits changes exactly one character, and five share one", () => {
  const zero = makeId("evt", { now: 5, entropy: new Uint8Array(10) });
  const changes = new Map<number, number>();
  for (let bit = 0; bit < 80; bit++) {
    const entropy = new Uint8Array(10);
    entropy[bit >> 3] = 0x80 >> (bit & 7);
    const id = makeId("evt", { now: 5, entropy });
    const changed = [...id].flatMap((character, index) => character === zero[index] ? [] : [index]);
    assertEquals(changed.length, 1);
    changes.set(changed[0]!, (changes.get(changed[0]!) ?? 0) + 1);
  }
  assertEquals([...changes.values()], Array(16).fill(5));
});

Deno.test("makeId: the random part is base 32 of the bytes, so different bytes are different ids", () => {
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  fc.assert(fc.property(entropies, (entropy) => {
    const chance = makeId("evt", { now: 0, entropy }).slice(-16);
    const number = [...chance].reduce((sum, character) => sum * 32n + BigInt(alphabet.indexOf(character)), 0n);
    assertEquals(number, entropy.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n));
  }));
});

Deno.test("makeId: a caller's mistake is a RangeError", () => {
  const entropy = new Uint8Array(10);
  for (const now of [-1, 0.5, NaN, Infinity, 2 ** 48]) assertThrows(() => makeId("evt", { now, entropy }), RangeError);
  const thrown = assertThrows(() => makeId("evt", { now: 0, entropy: new Uint8Array(9) }), RangeError);
  assert(thrown.message.includes("got 9"));
});
