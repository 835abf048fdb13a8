/**
 * Who is calling, and under which URL, when there may be a proxy in between. X-Forwarded-* is believed only of peers
 * that `server.trusted_proxies` names, and of those only what they wrote themselves: the right-most entry.
 */

import ipaddr from "ipaddr.js";
import type { HeaderMap } from "../domain/event.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A set of CIDR blocks. */
export interface AddressSet {
  /** Whether the address is in one of the blocks. Anything that is not an IP address is in none. */
  has(address: string | undefined): boolean;
}

/**
 * Reads CIDR blocks; a bare address is a block of one.
 *
 * @throws RangeError for text that is neither
 */
export function parseAddressSet(blocks: readonly string[]): AddressSet {
  const ranges = blocks.map(parseBlock);
  return {
    has(text) {
      if (ranges.length === 0) return false;
      const address = parseAddress(text);
      return address !== undefined &&
        ranges.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
    },
  };
}

function parseBlock(block: string): [Address, number] {
  try {
    const [base, bits] = block.includes("/") ? ipaddr.parseCIDR(block) : ownBlock(ipaddr.parse(block));
    // Callers of a dual-stack socket arrive as ::ffff:a.b.c.d and are compared as IPv4.
    return base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && bits >= 96
      ? [base.toIPv4Address(), bits - 96]
      : [base, bits];
  } catch {
    throw new RangeError(`${JSON.stringify(block)} is no CIDR block; write for example 10.0.0.0/8 or 2001:db8::/32`);
  }
}

function ownBlock(address: Address): [Address, number] {
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/** Only the canonical spellings: the octal, hexadecimal and short forms of IPv4 read differently in every library. */
function parseAddress(text: string | undefined): Address | undefined {
  if (text === undefined) return undefined;
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  return ipaddr.process(text);
}

/** The IP address at the other end of the connection; undefined when it is not known or has none. */
export function peerOf(address: Deno.Addr | undefined): string | undefined {
  return address !== undefined && "hostname" in address ? address.hostname : undefined;
}

/**
 * Finds the address that the request really came from.
 *
 * @param peer the other end of the connection; undefined when it is not known
 * @param forwardedFor the X-Forwarded-For header
 * @param trusted peers and hops whose word is taken
 * @returns the peer, or behind trusted proxies the right-most hop that is not one; undefined when nobody can say
 */
export function clientAddress(
  peer: string | undefined,
  { forwardedFor, trusted }: { forwardedFor?: string; trusted: AddressSet },
): string | undefined {
  let address = peer;
  const hops = forwardedFor?.split(",") ?? [];
  while (trusted.has(address) && hops.length > 0) {
    // A hop that cannot be read makes the client unknown: guessing past it would let the client choose.
    address = parseAddress(withoutPort(hops.pop()!.trim()))?.toString();
  }
  return address;
}

function withoutPort(hop: string): string {
  const [, bracketed, v4] = hop.match(/^(?:\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/) ?? [];
  return bracketed ?? v4 ?? hop;
}

/** A request's URL in the parts that matter here, cut from the text as it came: parsing would normalise it. */
export interface RawUrl {
  readonly origin: string;
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
}

/** Cuts a URL without normalising it: senders that sign a URL sign the text. */
export function splitUrl(url: string): RawUrl {
  const whole = cutBefore(url, "#");
  const plain = cutBefore(whole, "?");
  const slashes = plain.indexOf("//");
  const end = slashes === -1 ? 0 : plain.indexOf("/", slashes + 2);
  const origin = end === -1 ? plain : plain.slice(0, end);
  return { origin, path: plain.slice(origin.length) || "/", query: whole.slice(plain.length + 1) };
}

function cutBefore(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at === -1 ? text : text.slice(0, at);
}

/**
 * The URL that the sender used and may have signed.
 *
 * @param url as this process saw it
 * @param known.publicUrl wins over everything
 * @param known.headers read for X-Forwarded-Proto and X-Forwarded-Host, if `known.trustPeer`
 */
export function signedUrl(
  url: RawUrl,
  known: { publicUrl?: string; headers: HeaderMap; trustPeer: boolean },
): string {
  const rest = url.path + (url.query === "" ? "" : `?${url.query}`);
  if (known.publicUrl !== undefined) return known.publicUrl + rest;
  if (!known.trustPeer) return url.origin + rest;
  const [scheme = "http", host = ""] = url.origin.split("://");
  const proto = lastOf(known.headers["x-forwarded-proto"], /^https?$/i)?.toLowerCase() ?? scheme;
  return `${proto}://${
    lastOf(known.headers["x-forwarded-host"], /^[\w.\-]+(?::\d+)?$|^\[[\da-f:.]+\](?::\d+)?$/i) ?? host
  }${rest}`;
}

/** The last entry of a list header: the one that the peer itself wrote. Undefined when it is not what it should be. */
function lastOf(header: string | undefined, shape: RegExp): string | undefined {
  const last = header?.split(",").at(-1)?.trim();
  return last !== undefined && shape.test(last) ? last : undefined;
}
