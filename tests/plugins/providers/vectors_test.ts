/**
 * Requests that real senders, their libraries or their documentation produced, and copies of them that somebody changed.
 * Those of senders without code of their own are described by options of `hmac` and `token`.
 */

import { assertEquals } from "@std/assert";
import { providers } from "../../../plugins/providers/mod.ts";
import { bindScheme } from "../../conformance/mod.ts";

interface Vector {
  readonly provider: string;
  readonly sender: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly secret: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Unix seconds at which the request is looked at. */
  readonly timestamp: number | null;
  readonly valid: boolean;
  readonly source: string;
  readonly note?: string;
}

const file = new URL("../../fixtures/vectors.json", import.meta.url);
const vectors: readonly Vector[] = JSON.parse(await Deno.readTextFile(file));

for (const [index, vector] of vectors.entries()) {
  const fate = vector.valid ? "accepts" : "refuses";
  const note = vector.note === undefined ? "" : ` (${vector.note})`;
  Deno.test(`${vector.provider}: ${fate} vector ${index} of ${vector.sender}${note}`, async () => {
    const provider = providers.find(({ name }) => name === vector.provider)!;
    const scheme = bindScheme(provider, { secrets: [vector.secret], options: vector.options ?? {} });
    const headers = Object.fromEntries(
      Object.entries(vector.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    const body = new TextEncoder().encode(vector.body);
    const now = (vector.timestamp ?? 1_700_000_000) * 1_000;
    const request = { method: vector.method, url: vector.url, headers, body, receivedAt: now };
    const verification = await scheme.verify(request, { now });
    assertEquals(verification.ok, vector.valid, verification.ok ? "" : verification.reason);
  });
}

Deno.test("vectors: both kinds for every provider that signs", () => {
  for (const name of ["github", "stripe", "standard_webhooks", "shopify", "twilio", "sendgrid", "hmac"]) {
    const fates = new Set(vectors.filter(({ provider }) => provider === name).map(({ valid }) => valid));
    assertEquals(fates, new Set([true, false]), name);
  }
});
