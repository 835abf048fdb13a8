import { assert, assertEquals } from "@std/assert";
import type { SchemeSettings } from "../../core/plugin.ts";
import { none } from "../../plugins/providers/none.ts";
import { readSettings, readTextKey, suggest } from "../../plugins/settings.ts";

/** All issues as `path: message`, or none when the settings bind. */
function issuesOf(
  settings: Partial<SchemeSettings>,
  read: (reader: ReturnType<typeof readSettings>) => void,
): string[] {
  const reader = readSettings("acme", { secrets: [], options: {}, ...settings });
  read(reader);
  const scheme = none.bind({ secrets: [], options: {} });
  const bound = reader.bind(() => {
    if (!scheme.ok) throw new Error("none always binds");
    return scheme.scheme;
  });
  return bound.ok ? [] : bound.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

function assertIssue(issues: readonly string[], ...parts: readonly string[]): void {
  assert(
    issues.some((issue) => parts.every((part) => issue.includes(part))),
    `${parts.join(" + ")} in ${issues.join("\n")}`,
  );
}

Deno.test("readSettings: states all mistakes at once", () => {
  const issues = issuesOf(
    { secrets: ["fine", "", " copied\n"], options: { haeder: "X", encoding: "hexx", prefix: 5, "time header": "x" } },
    (read) => {
      read.secrets(readTextKey);
      read.header("header");
      read.choice("encoding", ["hex", "base64"]);
      read.text("prefix");
    },
  );
  assertEquals(issues.length, 6);
  assertIssue(issues, "secret.1:", "empty");
  assertIssue(issues, "secret.2:", "white space");
  assertIssue(issues, "options.haeder:", "expected header, encoding, prefix", "did you mean header?");
  assertIssue(issues, "options.encoding:", '"hexx"', "expected hex, base64", "did you mean hex?");
  assertIssue(issues, "options.prefix:", "must be text, got a number");
  assertIssue(issues, "options.time header:", "unknown option");
  assert(!issues.join().includes("copied"), "a message repeats a secret");
});

Deno.test("readSettings: a provider that signs needs a secret, one that does not takes none", () => {
  assertIssue(issuesOf({}, (read) => read.secrets(readTextKey)), "secret:", "needs a secret");
  assertIssue(issuesOf({ secrets: ["x"] }, () => {}), "secret:", "takes no secret");
  assertEquals(issuesOf({}, () => {}), []);
});

Deno.test("readSettings: a tolerance that nothing uses is a mistake", () => {
  assertIssue(issuesOf({ toleranceMs: 1 }, () => {}), "tolerance:", "remove tolerance");
  assertEquals(issuesOf({ toleranceMs: 1 }, (read) => assertEquals(read.toleranceMs(5), 1)), []);
  assertEquals(issuesOf({}, (read) => assertEquals(read.toleranceMs(5), 5)), []);
});

Deno.test("readSettings: a header's name is a token, in lower case", () => {
  assertEquals(issuesOf({ options: { header: "X-Sig" } }, (read) => assertEquals(read.header("header"), "x-sig")), []);
  for (const header of ["", "X Sig", "X-Sig:", "ü", "a\n"]) {
    assertIssue(
      issuesOf({ options: { header } }, (read) => read.header("header")),
      "options.header:",
      "not the name of",
    );
  }
});

Deno.test("readSettings: names of the prototype are not options", () => {
  assertEquals(issuesOf({}, (read) => assertEquals(read.text("constructor"), undefined)), []);
});

Deno.test("suggest: only what could be a slip", () => {
  assertEquals(suggest("timestamp_heder", ["timestamp_header", "header"]), "; did you mean timestamp_header?");
  assertEquals(suggest("Bdoy", ["body", "id"]), "");
  assertEquals(suggest("bdy", ["body", "id"]), "; did you mean body?");
  assertEquals(suggest("anything", []), "");
  assertEquals(suggest("x".repeat(100_000), ["header"]), "");
});
