/** The smaller parts of the loader: variables, addresses, schemas of bodies, and the schema for editors. */

import { assert, assertEquals } from "@std/assert";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { parseAddress, parseBlock } from "../../core/config/address.ts";
import { compileBodySchema } from "../../core/config/body_schema.ts";
import { createLookup, substitute } from "../../core/config/environment.ts";
import { formatIssue } from "../../core/config/issue.ts";
import { type RoutesFile, routesJsonSchema } from "../../core/config/load.ts";
import { formatPath } from "../../core/config/path.ts";
import { loadPatterns } from "../../core/config/pattern.ts";
import type { SchemaInput } from "../../core/config/schema.ts";

await loadPatterns();

Deno.test("RoutesFile: is what the schema takes", () => {
  // Fails to compile when one of the two says more than the other.
  const forth = (file: RoutesFile): SchemaInput => file;
  const back = (file: SchemaInput): RoutesFile => file;
  assertEquals(forth(back({ version: 1 })), { version: 1 });
});

Deno.test("substitute: replaces variables in strings alone, and says which are not there", () => {
  const lookup = createLookup("A=one\nB=file\n", { B: "process", C: "${A}", LONG: "long enough to hide" });
  const tree = { a: "${A}-${B}", b: ["${C}", 5, null, true], c: { d: "$${A} $ {A} $A" }, "${A}": "key" };
  const replaced = substitute(tree, lookup);
  assertEquals(replaced.tree, {
    a: "one-process",
    b: ["${A}", 5, null, true],
    c: { d: "${A} $ {A} $A" },
    "${A}": "key",
  });
  assertEquals(replaced.faults, []);
  const faulty = substitute({ a: "${GONE}", b: ["${}", "x ${A", "${1A}", "${toString}"] }, lookup);
  assertEquals(faulty.tree, { a: "${GONE}", b: ["${}", "x ${A", "${1A}", "${toString}"] });
  assertEquals(faulty.faults.map(({ path }) => formatPath(path)), ["a", "b[0]", "b[1]", "b[2]", "b[3]"]);
  const hidden = substitute({ url: "x${LONG}", secret: ["literal secret"], secrets: "not one" }, lookup);
  assertEquals([...hidden.redactions], [["long enough to hide", "${LONG}"], ["literal secret", "[secret]"]]);
});

Deno.test("createLookup: reads the process's own environment when none is given", () => {
  const [name, value] = Object.entries(Deno.env.toObject())[0]!;
  assertEquals(createLookup(undefined)(name), value);
});

Deno.test("parseAddress: a host and a port", () => {
  for (
    const [text, hostname, port] of [
      ["0.0.0.0:8080", "0.0.0.0", 8080],
      ["127.0.0.1:0", "127.0.0.1", 0],
      ["[::]:8080", "::", 8080],
      ["[::1]:65535", "::1", 65_535],
      ["localhost:80", "localhost", 80],
      ["hooks.example.com:443", "hooks.example.com", 443],
    ] as const
  ) assertEquals(parseAddress(text), { hostname, port });
  for (
    const text of [
      "",
      ":80",
      "localhost",
      "::1:80",
      "[::1]",
      "1.2.3:80",
      "256.0.0.1:80",
      "a:65536",
      "a:-1",
      "a b:1",
      "[g::]:1",
    ]
  ) {
    assertEquals(parseAddress(text), undefined, text);
  }
});

Deno.test("parseBlock: an address or a CIDR block", () => {
  for (
    const [text, block] of [
      ["127.0.0.1", "127.0.0.1/32"],
      ["10.0.0.0/8", "10.0.0.0/8"],
      ["::1", "::1/128"],
      ["2001:db8::/32", "2001:db8::/32"],
      ["0.0.0.0/0", "0.0.0.0/0"],
    ] as const
  ) assertEquals(parseBlock(text), block);
  for (
    const text of ["", "1", "10.0.0/8", "10.0.0.0/33", "::/129", "a.example.com", "10.0.0.0/8/8", "10.0.0.0/", "0x7f.1"]
  ) {
    assertEquals(parseBlock(text), undefined, text);
  }
});

Deno.test("compileBodySchema: names the place of a mismatch", () => {
  const compiled = compileBodySchema(JSON.stringify({
    type: "object",
    required: ["id"],
    properties: { id: { type: "string" }, mail: { type: "string", format: "email" }, kind: { enum: ["a", "b"] } },
    additionalProperties: false,
  }));
  if (!compiled.ok) throw new Error(compiled.reason);
  const rows: [body: unknown, ...mismatches: string[]][] = [
    [{ id: "a", mail: "a@b.example" }],
    [{}, "/ must have required property 'id'"],
    [{ id: 5 }, "/id must be string"],
    [{ id: "a", mail: "nobody" }, `/mail must match format "email"`],
    [{ id: "a", kind: "c" }, `/kind must be equal to one of the allowed values: ["a","b"]`],
    [{ id: "a", more: 1 }, `/ must NOT have additional properties: "more"`],
    [null, "/ must be object"],
  ];
  for (const [body, ...mismatches] of rows) assertEquals(compiled.check(body), mismatches);
});

Deno.test("compileBodySchema: a pattern is linear in the text, and one that cannot be is refused", () => {
  const compiled = compileBodySchema(JSON.stringify({
    properties: { a: { pattern: "^(a+)+$" }, b: { pattern: "^\\u0062\\/(?<n>\\d+)$" } },
    patternProperties: { "^(c+)+$": { type: "string" } },
  }));
  if (!compiled.ok) throw new Error(compiled.reason);
  const long = "a".repeat(100_000) + "!";
  assertEquals(compiled.check({ a: "aaa", b: "b/12", [`${"c".repeat(100_000)}!`]: 1 }), []);
  assertEquals(compiled.check({ a: long }), ['/a must match pattern "^(a+)+$"']);
  assertEquals(compiled.check({ a: "aaa", b: "aaa" }).length, 1);
  assertEquals(compiled.check({ cc: 1 }), ["/cc must be string"]);
  const refused = compileBodySchema(JSON.stringify({ pattern: "^(?!secret)" }));
  assertEquals(refused.ok, false);
  assertEquals(!refused.ok && refused.reason.includes('"^(?!secret)" cannot be used'), true, JSON.stringify(refused));
});

Deno.test("compileBodySchema: a file that is no schema has a reason", () => {
  for (
    const text of [
      "",
      "[]",
      "5",
      `{ "type": 5 }`,
      `{ "tpye": "object" }`,
      `{ "$ref": "other.json" }`,
      `{ "format": "nope" }`,
    ]
  ) {
    assert(!compileBodySchema(text).ok, text);
  }
  const anything = compileBodySchema("true");
  assert(anything.ok && anything.check(5).length === 0);
});

Deno.test("formatIssue: leaves off what is not known", () => {
  const issue = { path: "a.b[0]", message: "is wrong" };
  assertEquals(formatIssue({ ...issue, file: "routes.yaml", line: 3, column: 5 }), "routes.yaml:3:5: a.b[0]: is wrong");
  assertEquals(formatIssue(issue), "a.b[0]: is wrong");
  assertEquals(formatIssue({ file: "routes.yaml", path: "", message: "is wrong" }), "routes.yaml: is wrong");
});

Deno.test("routesJsonSchema: an editor accepts a right file and underlines a wrong one", () => {
  const validate = new Ajv2020({ strict: false }).compile(routesJsonSchema());
  const right = `
version: 1
server: { listen: "\${LISTEN}" }
sources: { a: { provider: hmac, secret: [x, y], options: { a: 1 } }, b: { publish: true } }
routes: { r: { from: a, on: [x], send: [{ url: "http://a" }], retry: { attempts: 3 } } }`;
  assert(validate(parse(right)), JSON.stringify(validate.errors));
  for (const wrong of ["{}", "{ version: 2 }", "{ version: 1, suorces: {} }", "{ version: 1, routes: { r: {} } }"]) {
    assert(!validate(parse(wrong)), wrong);
  }
});
