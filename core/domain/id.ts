/**
 * Identifiers made by the engine: a prefix that names the kind, then 48 bits of time and 80 bits of chance in
 * Crockford's base 32. Time comes first, so that new rows land at the end of their index.
 */

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Every two digits, by their ten bits. Digit by digit takes twice as long, and each event makes three ids. */
const pairs = Array.from({ length: 1_024 }, (_, bits) => alphabet[bits >> 5]! + alphabet[bits & 31]!);

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
  let id = `${prefix}_`;
  for (let place = 2 ** 40; place >= 1; place /= 1_024) id += pairs[Math.floor(made.now / place) % 1_024]!;
  for (let at = 0; at < 10; at += 5) id += chanceOf(made.entropy, at);
  return id;
}

/** Five bytes as eight digits. */
function chanceOf(entropy: Uint8Array, at: number): string {
  const [a, b, c, d, e] = [entropy[at]!, entropy[at + 1]!, entropy[at + 2]!, entropy[at + 3]!, entropy[at + 4]!];
  return pairs[(a << 2) | (b >> 6)]! + pairs[((b & 63) << 4) | (c >> 4)]! + pairs[((c & 15) << 6) | (d >> 2)]! +
    pairs[((d & 3) << 8) | e]!;
}
