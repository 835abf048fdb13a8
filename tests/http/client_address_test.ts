/** Who is calling and under which URL: tables for every combination of peer and header, and what no header can do. */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { clientAddress, parseAddressSet, signedUrl, splitUrl } from "../../core/http/client_address.ts";

Deno.test("parseAddressSet: blocks, bare addresses and mapped ones", () => {
  const table: [string[], string | undefined, boolean][] = [
    [["10.0.0.0/8"], "10.1.2.3", true],
    [["10.0.0.0/8"], "11.0.0.1", false],
    [["10.0.0.0/8"], "::ffff:10.1.2.3", true],
    [["::ffff:10.0.0.0/104"], "10.1.2.3", true],
    [["192.0.2.7"], "192.0.2.7", true],
    [["192.0.2.7"], "192.0.2.8", false],
    [["2001:db8::/32"], "2001:db8::1", true],
    [["2001:db8::/32"], "10.0.0.1", false],
    [["0.0.0.0/0"], "2001:db8::1", false],
    [["127.0.0.0/8"], "0x7f.1", false],
    [["127.0.0.0/8"], "127.1", false],
    [["127.0.0.0/8"], "0177.0.0.1", false],
    [["127.0.0.0/8"], "localhost", false],
    [["127.0.0.0/8"], "", false],
    [["127.0.0.0/8"], undefined, false],
    [[], "127.0.0.1", false],
  ];
  for (const [blocks, address, has] of table) {
    assertEquals(parseAddressSet(blocks).has(address), has, `${blocks} has ${address}`);
  }
});

Deno.test("parseAddressSet: says which text is no block", () => {
  for (const block of ["", "10.0.0.0/33", "example.com", "10.0.0.0/8/8"]) {
    assertThrows(() => parseAddressSet([block]), RangeError, JSON.stringify(block));
  }
});

Deno.test("clientAddress: the peer, or the right-most hop that is not trusted", () => {
  const trusted = parseAddressSet(["10.0.0.0/8", "fd00::/8"]);
  const table: [string, string | undefined, string | undefined, string | undefined][] = [
    ["untrusted peer, no header", "203.0.113.5", undefined, "203.0.113.5"],
    ["untrusted peer, forged header", "203.0.113.5", "192.0.2.1", "203.0.113.5"],
    ["untrusted peer, forged chain", "203.0.113.5", "192.0.2.1, 10.0.0.1", "203.0.113.5"],
    ["trusted peer, no header", "10.0.0.1", undefined, "10.0.0.1"],
    ["trusted peer, one hop", "10.0.0.1", "192.0.2.1", "192.0.2.1"],
    ["trusted peer, forged left part", "10.0.0.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"],
    ["two trusted proxies", "10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"],
    ["trusted only", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["hop with a port", "10.0.0.1", "192.0.2.1:4711", "192.0.2.1"],
    ["IPv6 hop with a port", "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"],
    ["IPv6 peer", "fd00::1", "2001:db8::1", "2001:db8::1"],
    ["mapped peer", "::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"],
    ["unreadable hop", "10.0.0.1", "192.0.2.1, unknown", undefined],
    ["empty hop", "10.0.0.1", "192.0.2.1,", undefined],
    ["unknown peer", undefined, "192.0.2.1", undefined],
  ];
  for (const [name, peer, forwardedFor, expected] of table) {
    assertEquals(clientAddress(peer, { forwardedFor, trusted }), expected, name);
  }
});

Deno.test("clientAddress: whatever a stranger writes, the stranger stays the stranger", () => {
  const trusted = parseAddressSet(["10.0.0.0/8"]);
  fc.assert(fc.property(fc.string(), (forwardedFor) => {
    assertEquals(clientAddress("203.0.113.5", { forwardedFor, trusted }), "203.0.113.5");
  }));
});

Deno.test("clientAddress: what stands left of an untrusted hop never matters", () => {
  const trusted = parseAddressSet(["10.0.0.0/8"]);
  fc.assert(fc.property(fc.string(), (forged) => {
    assertEquals(clientAddress("10.0.0.1", { forwardedFor: `${forged}, 192.0.2.1`, trusted }), "192.0.2.1");
  }));
});

Deno.test("splitUrl: cuts and changes nothing", () => {
  const table: [string, string, string, string][] = [
    ["http://h:1/a/b?x=1&y='|", "http://h:1", "/a/b", "x=1&y='|"],
    ["http://h/%2e%2e/x//y/../z", "http://h", "/%2e%2e/x//y/../z", ""],
    ["https://[::1]:8080/a?", "https://[::1]:8080", "/a", ""],
    ["http://h", "http://h", "/", ""],
    ["http://h?a=/b", "http://h", "/", "a=/b"],
    ["http://h/a?b=http://c/d?e", "http://h", "/a", "b=http://c/d?e"],
    ["http://h/a?b#/c?d", "http://h", "/a", "b"],
  ];
  for (const [url, origin, path, query] of table) assertEquals(splitUrl(url), { origin, path, query }, url);
});

Deno.test("signedUrl: the public URL, else what a trusted proxy says, else the request's own", () => {
  const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": "hooks.example.com" };
  const table: [string, Parameters<typeof signedUrl>[1], string][] = [
    ["its own", { headers: {}, trustPeer: false }, "http://10.0.0.9:8080/a?b=1"],
    ["forged by a stranger", { headers: forwarded, trustPeer: false }, "http://10.0.0.9:8080/a?b=1"],
    ["by a trusted proxy", { headers: forwarded, trustPeer: true }, "https://hooks.example.com/a?b=1"],
    [
      "scheme alone",
      { headers: { "x-forwarded-proto": "https" }, trustPeer: true },
      "https://10.0.0.9:8080/a?b=1",
    ],
    [
      "host alone",
      { headers: { "x-forwarded-host": "hooks.example.com:8443" }, trustPeer: true },
      "http://hooks.example.com:8443/a?b=1",
    ],
    [
      "lists: what the peer itself wrote",
      {
        headers: { "x-forwarded-proto": "http, https", "x-forwarded-host": "evil.example, h.example" },
        trustPeer: true,
      },
      "https://h.example/a?b=1",
    ],
    [
      "nonsense is ignored",
      { headers: { "x-forwarded-proto": "javascript", "x-forwarded-host": "a/b@c" }, trustPeer: true },
      "http://10.0.0.9:8080/a?b=1",
    ],
    [
      "public_url wins",
      { publicUrl: "https://pub.example/weir", headers: forwarded, trustPeer: true },
      "https://pub.example/weir/a?b=1",
    ],
  ];
  const url = splitUrl("http://10.0.0.9:8080/a?b=1");
  for (const [name, known, expected] of table) assertEquals(signedUrl(url, known), expected, name);
});
