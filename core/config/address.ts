/**
 * Network addresses as people write them: `host:port` to listen on, and addresses or CIDR blocks to let in.
 */

import ipaddr from "ipaddr.js";
import type { Address } from "../domain/config.ts";

/** Reads `127.0.0.1:8080`, `localhost:8080` or `[::]:8080`; undefined when the text is none of these. */
export function parseAddress(text: string): Address | undefined {
  const [, bracketed, plain, digits] = text.match(/^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  if (bracketed !== undefined) return ipaddr.IPv6.isValid(bracketed) ? { hostname: bracketed, port } : undefined;
  const looksNumeric = /^[\d.]+$/.test(plain!);
  return looksNumeric && !ipaddr.IPv4.isValidFourPartDecimal(plain!) ? undefined : { hostname: plain!, port };
}

/** Reads an address or a CIDR block, always giving a block: one address is a block of its own. */
export function parseBlock(text: string): string | undefined {
  const [host, bits, more] = text.split("/");
  if (host === undefined || more !== undefined) return undefined;
  const widest = ipaddr.IPv4.isValidFourPartDecimal(host) ? 32 : ipaddr.IPv6.isValid(host) ? 128 : undefined;
  if (widest === undefined) return undefined;
  if (bits === undefined) return `${host}/${widest}`;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= widest ? text : undefined;
}
