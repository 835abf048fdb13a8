/**
 * What particular senders' schemes have to refuse beyond the conformance suite: borders that could be moved, bodies that
 * nothing signs, settings that would prove less than they seem to.
 */

import { assert, assertEquals } from "@std/assert";
import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import type { HeaderMap, Provider, Scheme } from "../../../core/plugin.ts";
import { hmac } from "../../../plugins/providers/hmac.ts";
import { none } from "../../../plugins/providers/none.ts";
import { sendgrid } from "../../../plugins/providers/sendgrid.ts";
import { standardWebhooks } from "../../../plugins/providers/standard_webhooks.ts";
import { stripe } from "../../../plugins/providers/stripe.ts";
import { token } from "../../../plugins/providers/token.ts";
import { twilio } from "../../../plugins/providers/twilio.ts";
import { acceptedOf, bindScheme, reasonOf } from "../../conformance/mod.ts";

const now = 1_700_000_000_000;
const secret = "a secret of at least sixteen bytes";
const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

function verify(scheme: Scheme, headers: HeaderMap, body = "", url = "https://x.example/in") {
  const request = { method: "POST", url, headers, body: new TextEncoder().encode(body), receivedAt: now };
  return scheme.verify(request, { now });
}

function hex(text: string): string {
  return createHmac("sha256", secret).update(text).digest("hex");
}

/** All issues as `path: message`. */
function issuesOf(provider: Provider, secrets: readonly string[], options: Record<string, unknown> = {}): string[] {
  const bound = provider.bind({ secrets, options });
  return bound.ok ? [] : bound.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

function assertIssue(issues: readonly string[], ...parts: readonly string[]): void {
  assert(
    issues.some((issue) => parts.every((part) => issue.includes(part))),
    `${parts.join(" + ")} in ${issues.join("\n")}`,
  );
}

Deno.test("stripe: one t, any number of v1, nothing of other schemes", async () => {
  const scheme = bindScheme(stripe, { secrets: [secret], options: {} });
  const good = hex("1700000000.{}");
  const other = hex("other");
  for (const list of [`v1=${good}`, `v1=${other},v1=${good}`, `v0=${other},v1=${good}`, `v1=${good},v1=${other}`]) {
    acceptedOf(await verify(scheme, { "stripe-signature": `t=1700000000,${list}` }, "{}"));
  }
  const many = `,v1=${good}`.repeat(17);
  const lists = [
    `t=1700000000,t=1700000000,v1=${good}`,
    `v1=${good}`,
    `t=1700000000,v0=${good}`,
    "t=1700000000",
    `t=1700000000${many}`,
    `t=1700000000,v1=${good.toUpperCase()}`,
    `t=1700000000,v1=${good},v1=zz`,
  ];
  for (const list of lists) reasonOf(await verify(scheme, { "stripe-signature": list }, "{}"), list);
});

Deno.test("standard_webhooks: no two requests that differ share signed bytes", async () => {
  const scheme = bindScheme(standardWebhooks, { secrets: [whsec], options: {} });
  const text = (words: string[]) => fc.array(fc.constantFrom(...words), { maxLength: 8 }).map((all) => all.join(""));
  // An id with a dot in it is none: the sender must not make one, and such a request is refused.
  const [ids, bodies] = [text(["a", "1700000000", " ", "\n"]), text(["a", ".", "1700000000", " ", "\n"])];
  await fc.assert(fc.asyncProperty(ids, bodies, async (id, body) => {
    // Whoever may choose the id and the body of a true request tries to have it read with other borders.
    const signed = `${id}.1700000000.${body}`;
    const signature = createHmac("sha256", bytesOf(whsec)).update(signed).digest("base64");
    const pieces = signed.split(".");
    for (let at = 1; at < pieces.length - 1; at++) {
      const [movedId, stamp] = [pieces.slice(0, at).join("."), pieces[at]!];
      const moved = pieces.slice(at + 1).join(".");
      const headers = { "webhook-id": movedId, "webhook-timestamp": stamp, "webhook-signature": `v1,${signature}` };
      const verification = await verify(scheme, headers, moved);
      assert(!verification.ok || (movedId === id && moved === body), "the same signature covers another request");
    }
  }));
});

Deno.test("standard_webhooks: any v1 of a list, and no list with something else in it", async () => {
  const scheme = bindScheme(standardWebhooks, { secrets: [whsec], options: {} });
  const headers = { "webhook-id": "a", "webhook-timestamp": "1700000000" };
  const good = `v1,${createHmac("sha256", bytesOf(whsec)).update("a.1700000000.{}").digest("base64")}`;
  const other = `v1,${createHmac("sha256", "other").update("").digest("base64")}`;
  for (const list of [good, `${other} ${good}`, `${good} ${other}`, `v1a,AAAA ${good}`, `v2,x ${good}`]) {
    acceptedOf(await verify(scheme, { ...headers, "webhook-signature": list }, "{}"));
  }
  const lists = [
    `v1,AAAA ${good}`,
    `${good}, ${good}`,
    `${good},${good}`,
    `${good}  ${other}`,
    "v1a,AAAA",
    `${good} `.repeat(17),
  ];
  for (const list of lists) {
    reasonOf(await verify(scheme, { ...headers, "webhook-signature": list.trim() }, "{}"), list);
  }
});

function bytesOf(whsec: string): Uint8Array {
  return Uint8Array.from(atob(whsec.slice("whsec_".length)), (letter) => letter.charCodeAt(0));
}

Deno.test("standard_webhooks: a secret is whsec_ and base64", () => {
  assertEquals(issuesOf(standardWebhooks, [whsec]), []);
  assertIssue(
    issuesOf(standardWebhooks, ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]),
    "secret.0:",
    "does not begin with whsec_",
  );
  assertIssue(issuesOf(standardWebhooks, [whsec, "whsec_not base64!"]), "secret.1:", "not base64");
  assertIssue(issuesOf(standardWebhooks, ["whsec_"]), "secret.0:", "0 bytes");
  assertIssue(issuesOf(standardWebhooks, ["whsec_c2hvcnQ="]), "secret.0:", "5 bytes", "at least 16");
});

Deno.test("twilio: a body that nothing signs is refused", async () => {
  const scheme = bindScheme(twilio, { secrets: [secret], options: {} });
  const url = "https://x.example/in?a=1";
  const urlAlone = createHmac("sha1", secret).update(url).digest("base64");
  const headers = { "x-twilio-signature": urlAlone };
  acceptedOf(await verify(scheme, headers, "", url));
  for (const type of ["application/json", "text/plain", ""]) {
    for (const body of ["{}", "&"]) {
      reasonOf(await verify(scheme, { ...headers, "content-type": type }, body, url), `${body} of type "${type}"`);
    }
  }
  const digest = createHash("sha256").update("{}").digest("hex");
  const twice = `${url}&bodySHA256=${digest}&bodySHA256=${digest}`;
  const signature = createHmac("sha1", secret).update(twice).digest("base64");
  reasonOf(await verify(scheme, { "x-twilio-signature": signature }, "{}", twice), "two digests");
});

Deno.test("twilio: ports may come and go, the rest of the URL may not", async () => {
  const scheme = bindScheme(twilio, { secrets: [secret], options: {} });
  const sign = (url: string) => ({ "x-twilio-signature": createHmac("sha1", secret).update(url).digest("base64") });
  const accepted = [
    ["https://x.example/in", "https://x.example:443/in"],
    ["https://x.example:443/in", "https://x.example/in"],
    ["http://x.example:80/in?x=:80", "http://x.example/in?x=:80"],
    ["https://x.example/in", "https://x.example:8443/in"],
    ["https://u:p@[::1]:443/in", "https://u:p@[::1]/in"],
  ] as const;
  for (const [signed, url] of accepted) acceptedOf(await verify(scheme, sign(signed), "", url));
  const refused = [
    ["http://x.example/in", "https://x.example/in"],
    ["https://x.example/in/", "https://x.example/in"],
    ["https://y.example/in", "https://x.example/in"],
    ["https://x.example:444/in", "https://x.example/in"],
  ] as const;
  for (const [signed, url] of refused) {
    const reason = reasonOf(await verify(scheme, sign(signed), "", `${url}?key=hidden`), url);
    assert(!reason.includes("hidden"), "a query does not belong into a log");
  }
});

Deno.test("twilio: a form of very many fields is refused at once", async () => {
  const scheme = bindScheme(twilio, { secrets: [secret], options: {} });
  const headers = {
    "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    "content-type": "application/x-www-form-urlencoded",
  };
  assertEquals(
    reasonOf(await verify(scheme, headers, "a&".repeat(500_000)), "a flood"),
    "the form has more than 2000 fields",
  );
});

Deno.test("hmac: an id that holds its separator is refused", async () => {
  const options = { header: "X-Sig", content: "{id}:{body}", id_header: "X-Id" };
  const scheme = bindScheme(hmac, { secrets: [secret], options });
  acceptedOf(await verify(scheme, { "x-sig": hex("1:a:b"), "x-id": "1" }, "a:b"));
  reasonOf(await verify(scheme, { "x-sig": hex("1:a:b"), "x-id": "1:a" }, "b"), "a moved border");
  reasonOf(await verify(scheme, { "x-sig": hex(":b") }, "b"), "no id");
});

Deno.test("hmac: options that would prove less than they seem to are mistakes", () => {
  const issues = (options: Record<string, unknown>) => issuesOf(hmac, [secret], options);
  const header = "X-Sig";
  assertEquals(issues({ header }), []);
  assertIssue(issues({}), "options.header:", "set options.header");
  assertIssue(issues({ header, content: "{timestamp}" }), "options.content:", "leaves the body unsigned");
  assertIssue(issues({ header, content: "{timestamp}.{body}" }), "options.content:", "set options.timestamp_header");
  assertIssue(issues({ header, timestamp_header: "X-Time" }), "options.timestamp_header:", "would not be signed");
  assertIssue(issues({ header, content: "{id}.{body}" }), "options.content:", "set options.id_header");
  assertIssue(issues({ header, content: "{boddy}.{body}" }), "options.content:", "{boddy}", "did you mean body?");
  assertIssue(issues({ header, content: "{body}}" }), "options.content:", "brace");
  assertIssue(issues({ header, timestamp_unit: "s" }), "options.timestamp_unit:", "needs a timestamp_header");
  assertIssue(issues({ header, timestamp_unit: "min" }), "options.timestamp_unit:", "expected s, ms");
  assertIssue(issues({ header, algorithm: "sha-256" }), "options.algorithm:", "did you mean sha256?");
  assertIssue(issues({ header, algorithm: "md5" }), "options.algorithm:", "expected sha1, sha256, sha512");
  assertIssue(issues({ header, timestamp_heder: "X" }), "options.timestamp_heder:", "did you mean timestamp_header?");
  assertEquals(issues({ content: "{x}", encoding: "hexx", wrong: 1 }).length, 5);
});

Deno.test("hmac, token: a tolerance without a timestamp is a mistake", () => {
  for (const [provider, options] of [[hmac, { header: "X-Sig" }], [token, {}]] as const) {
    const bound = provider.bind({ secrets: [secret], options, toleranceMs: 1_000 });
    assert(!bound.ok);
  }
});

Deno.test("hmac, token: the headers that options name are proof and are not to be stored", () => {
  const signed = bindScheme(hmac, { secrets: [secret], options: { header: "X-Acme-Signature" } });
  assertEquals(signed.signatureHeaders, ["x-acme-signature"]);
  const bearer = bindScheme(token, { secrets: [secret], options: { header: "X-Gitlab-Token" } });
  assertEquals(bearer.signatureHeaders, ["x-gitlab-token"]);
});

Deno.test("token: any of several tokens, with its prefix", async () => {
  const scheme = bindScheme(token, { secrets: ["first token", "second token"], options: {} });
  for (const text of ["Bearer first token", "Bearer second token"]) {
    acceptedOf(await verify(scheme, { authorization: text }));
  }
  for (const text of ["first token", "bearer first token", "Bearer third", "Bearer ", "Bearer"]) {
    reasonOf(await verify(scheme, { authorization: text }), text);
  }
  assertIssue(issuesOf(token, ["tökén of sixteen bytes"]), "secret.0:", "ASCII");
});

Deno.test("sendgrid: the secret is a P-256 public key", () => {
  assertIssue(issuesOf(sendgrid, ["MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"]), "secret.0:", "not a P-256 public key");
  assertIssue(issuesOf(sendgrid, [secret], { private_key: "AAAA" }), "options.private_key:", "not a P-256 private key");
});

Deno.test("none: takes no secret and no tolerance", () => {
  assertIssue(issuesOf(none, [secret]), "secret:", "takes no secret");
  assert(!none.bind({ secrets: [], options: {}, toleranceMs: 1 }).ok);
});
