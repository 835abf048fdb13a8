/**
 * Identifiers made by the engine: a prefix that names the kind, then 48 bits of time and 80 bits of chance in
 * Crockford's base 32. Time comes first, so that new rows land at the end of their index.
 */

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The first time that 48 bits cannot hold; it is some 8,900 years away. */
const timeEnd = 2 ** 48;

/** What an identifier is for. */
export type IdPrefix = "evt" | "dlv" | "req";

/**
 * Builds one identifier, for example `evt_01JD3Q7Z4M9K6T0W8V5R2XHBNC`.
 *
 * @param prefix the kind of thing that it names
 * @param made.now epoch milliseconds, whole
 * @param made.entropy at least ten random bytes
 * @throws RangeError when either is something else
 */
export function makeId(prefix: IdPrefix, made: { now: number; entropy: Uint8Array }): string {
  if (!Number.isInteger(made.now) || made.now < 0 || made.now >= timeEnd) {
    throw new RangeError(`an id needs a time in whole milliseconds since 1970, below 2^48, got ${made.now}`);
  }
  if (made.entropy.length < 10) throw new RangeError(`an id needs 10 random bytes, got ${made.entropy.length}`);
  let time = "";
  for (let rest = made.now, digit = 0; digit < 10; digit++) {
    time = alphabet[rest % 32]! + time;
    rest = Math.floor(rest / 32);
  }
  let chance = "";
  for (let digit = 0; digit < 16; digit++) {
    const bit = digit * 5;
    const pair = (made.entropy[bit >> 3]! << 8) | (made.entropy[(bit >> 3) + 1] ?? 0);
    chance += alphabet[(pair >> (11 - (bit & 7))) & 31]!;
  }
  return `${prefix}_${time}${chance}`;
}
