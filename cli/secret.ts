/**
 * `weir secret`: a secret that every provider takes which lets you choose one.
 */

import { print } from "./print.ts";

/**
 * Makes a secret: 32 random bytes in the notation of Standard Webhooks, which to all others is text like any other.
 */
export function makeSecret(): string {
  return `whsec_${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
}

/** Prints one. */
export function secret(): number {
  print(makeSecret());
  return 0;
}
