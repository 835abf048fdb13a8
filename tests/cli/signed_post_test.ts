import { assert, assertEquals, assertThrows } from "@std/assert";
import { packParcel, signParcel } from "../../cli/signed_post.ts";
import { formatIssue, type HttpSource, loadConfig, type RoutesFile } from "../../core/mod.ts";
import { standard } from "../../plugins/mod.ts";

const now = Date.UTC(2025, 5, 1);

async function loadSource(name: string, settings: Record<string, unknown> = {}): Promise<HttpSource> {
  const sources = { it: { provider: name, ...settings } } as RoutesFile["sources"];
  const loaded = await loadConfig(
    { version: 1, storage: { url: "file:never.db" }, sources, routes: {} },
    { providers: standard().providers },
  );
  if (!loaded.ok) throw new Error(loaded.issues.map(formatIssue).join("\n"));
  return loaded.config.sources.get("it") as HttpSource;
}

/** Settings for every provider that anybody can sign for; SendGrid's alone has the private key. */
const secret = { secret: `whsec_${btoa("0123456789abcdef0123456789abcdef")}` };
const cases: { provider: string; settings: Record<string, unknown>; types: (string | undefined)[] }[] = [
  { provider: "github", settings: secret, types: [undefined, "push", "pull_request.opened"] },
  { provider: "stripe", settings: secret, types: [undefined, "charge.refunded"] },
  { provider: "slack", settings: secret, types: [undefined, "message.channel_join"] },
  { provider: "shopify", settings: secret, types: [undefined, "products/update"] },
  { provider: "twilio", settings: secret, types: [undefined, "message.failed", "call.completed"] },
  { provider: "standard_webhooks", settings: secret, types: [undefined, "user.created"] },
  { provider: "hmac", settings: { ...secret, options: { header: "X-Sig" }, type: "body.event" }, types: [undefined] },
  { provider: "token", settings: secret, types: [undefined] },
  { provider: "none", settings: {}, types: [undefined] },
];

for (const { provider, settings, types } of cases) {
  Deno.test(`packParcel: a sample of ${provider} is what its sender could have sent`, async () => {
    const source = await loadSource(provider, settings);
    for (const type of types) {
      const parcel = packParcel(source, { type, id: "msg_0123456789abcdef" }, now);
      const signed = await signParcel(parcel, { source, url: "http://127.0.0.1:8080", now });
      const headers = Object.fromEntries(new Headers(signed.headers));
      const verification = await source.scheme.verify({ ...signed, headers, receivedAt: now }, { now });
      if (!verification.ok) throw new Error(verification.reason);
      const body = parcel.contentType.includes("form")
        ? Object.fromEntries(new URLSearchParams(new TextDecoder().decode(parcel.body)))
        : JSON.parse(new TextDecoder().decode(parcel.body));
      const [event] = source.scheme.describe(verification.request, body);
      if (source.type === undefined && !["none", "token"].includes(provider)) assertEquals(event!.type, parcel.type);
      if (type !== undefined) assertEquals(parcel.type, type);
      if (!["hmac", "none", "token"].includes(provider)) assert(event!.id, `${provider} gives the sample an id`);
    }
  });
}

Deno.test("packParcel: set reaches into objects, lists and forms, and makes what is missing", async () => {
  const source = await loadSource("stripe", secret);
  const set = [["data.object.amount", 5], ["data.extra.deep", [1, 2]], ["data.extra.deep.1", "two"]] as const;
  const { data } = JSON.parse(new TextDecoder().decode(packParcel(source, { set }, now).body));
  assertEquals([data.object.amount, data.extra.deep], [5, [1, "two"]]);

  const form = await loadSource("twilio", secret);
  const text = new TextDecoder().decode(packParcel(form, { set: [["Body", "a & b"]] }, now).body);
  assertEquals(new URLSearchParams(text).get("Body"), "a & b");
});

Deno.test("packParcel: set needs an object to set something in", async () => {
  const source = await loadSource("stripe", secret);
  const data = new TextEncoder().encode(`{"a": 1}`);
  assertThrows(() => packParcel(source, { data, set: [["a.b", 2]] }, now), TypeError, "there is no object at a");
  assertThrows(
    () => packParcel(source, { data: new Uint8Array([1]), set: [["a", 2]] }, now),
    TypeError,
    "not valid JSON",
  );
  assertEquals(packParcel(source, { data }, now).body, data);
});
