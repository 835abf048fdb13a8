/**
 * The senders' own libraries against our providers, in both directions where the library can do both: what they sign we
 * accept, and what we sign they accept. One flipped bit of the body must be refused by us each time.
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { sign as signAsGithub, verify as verifyAsGithub } from "@octokit/webhooks-methods";
import { EventWebhook } from "@sendgrid/eventwebhook";
import "@shopify/shopify-api/adapters/web-api";
import { ApiVersion, LogSeverity, shopifyApi } from "@shopify/shopify-api";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import twilioSdk from "twilio";
import type { Draft, HeaderMap, Provider, SchemeSettings } from "../../core/plugin.ts";
import { github } from "../../plugins/providers/github.ts";
import { sendgrid } from "../../plugins/providers/sendgrid.ts";
import { shopify } from "../../plugins/providers/shopify.ts";
import { slack } from "../../plugins/providers/slack.ts";
import { standardWebhooks } from "../../plugins/providers/standard_webhooks.ts";
import { stripe } from "../../plugins/providers/stripe.ts";
import { twilio } from "../../plugins/providers/twilio.ts";
import { acceptedOf, bindScheme, reasonOf } from "../conformance/mod.ts";

const now = Date.UTC(2026, 0, 15, 12);
const nowSeconds = now / 1_000;
const secret = "a secret of at least sixteen bytes";
const text = '{"id":"evt_1","type":"thing.happened","name":"café 😀","big":9007199254740993}';
const url = "https://hooks.example.com/hooks/sender?foo=1&bar=it's";

function settingsOf(secret: string, options: Record<string, string> = {}): SchemeSettings {
  return { secrets: [secret], options };
}

/** Accepted as it is, refused with the lowest bit of the body's last letter flipped. */
async function assertHolds(
  provider: Provider,
  settings: SchemeSettings,
  request: { headers: HeaderMap; body: string; url?: string },
): Promise<void> {
  const scheme = bindScheme(provider, settings);
  const body = new TextEncoder().encode(request.body);
  const incoming = { method: "POST", url: request.url ?? url, headers: request.headers, body, receivedAt: now };
  acceptedOf(await scheme.verify(incoming, { now }));
  const changed = body.slice();
  changed[changed.length - 2]! ^= 1;
  reasonOf(await scheme.verify({ ...incoming, body: changed }, { now }), "a changed body");
}

async function signed(provider: Provider, settings: SchemeSettings, draft: Partial<Draft> = {}) {
  const body = new TextEncoder().encode(text);
  const whole = { method: "POST", url, headers: {}, body, id: "evt_1", type: "thing.happened", ...draft };
  return await bindScheme(provider, settings).sign(whole, { now });
}

Deno.test("github: accepts what @octokit/webhooks-methods signs, and the reverse", async () => {
  const headers = { "x-hub-signature-256": await signAsGithub(secret, text), "x-github-event": "push" };
  await assertHolds(github, settingsOf(secret), { headers, body: text });
  const request = await signed(github, settingsOf(secret));
  assert(await verifyAsGithub(secret, text, request.headers["x-hub-signature-256"]!));
});

Deno.test("stripe: accepts what the stripe library signs, and the reverse", async () => {
  const { webhooks } = new Stripe("sk_test_none");
  const header = await webhooks.generateTestHeaderStringAsync({ payload: text, secret, timestamp: nowSeconds });
  await assertHolds(stripe, settingsOf(secret), { headers: { "stripe-signature": header }, body: text });
  const request = await signed(stripe, settingsOf(secret));
  const event = await webhooks.constructEventAsync(
    Buffer.from(request.body),
    request.headers["stripe-signature"]!,
    secret,
    undefined,
    undefined,
    now,
  );
  assertEquals(event.id, "evt_1");
});

Deno.test("standard_webhooks: accepts what standardwebhooks signs", async () => {
  const whsec = `whsec_${Buffer.from(secret).toString("base64")}`;
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(nowSeconds),
    "webhook-signature": new Webhook(whsec).sign("msg_1", new Date(now), text),
  };
  await assertHolds(standardWebhooks, settingsOf(whsec), { headers, body: text });
});

Deno.test("standard_webhooks: standardwebhooks accepts what we sign", async () => {
  const whsec = `whsec_${Buffer.from(secret).toString("base64")}`;
  const body = new TextEncoder().encode(text);
  const draft = { method: "POST", url, headers: {}, body, id: "msg_1", type: "thing.happened" };
  // The library has no clock to hand in, so this one request is signed for today.
  const request = await bindScheme(standardWebhooks, settingsOf(whsec)).sign(draft, { now: Date.now() });
  new Webhook(whsec).verify(text, { ...request.headers });
});

Deno.test("twilio: accepts a form that the twilio library signs, and the reverse", async () => {
  const fields = { MessageSid: "SM1", MessageStatus: "sent", To: "+14158675309", Body: "it's & 100% café", Empty: "" };
  const body = new URLSearchParams(fields).toString();
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "x-twilio-signature": twilioSdk.getExpectedTwilioSignature(secret, url, fields),
  };
  await assertHolds(twilio, settingsOf(secret), { headers, body });
  const request = await signed(twilio, settingsOf(secret), { body: new TextEncoder().encode(body) });
  assert(twilioSdk.validateRequest(secret, request.headers["x-twilio-signature"]!, request.url, fields));
});

Deno.test("twilio: accepts a JSON body that the twilio library signs, and the reverse", async () => {
  const signedUrl = `${url}&bodySHA256=${twilioSdk.getExpectedBodyHash(text)}`;
  const headers = {
    "content-type": "application/json",
    "x-twilio-signature": twilioSdk.getExpectedTwilioSignature(secret, signedUrl, {}),
  };
  await assertHolds(twilio, settingsOf(secret), { headers, body: text, url: signedUrl });
  const request = await signed(twilio, settingsOf(secret), { headers: { "content-type": "application/json" } });
  assert(twilioSdk.validateRequestWithBody(secret, request.headers["x-twilio-signature"]!, request.url, text));
});

Deno.test("twilio: accepts a URL that the twilio library signed with its port", async () => {
  const withPort = url.replace(".com/", ".com:443/");
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "x-twilio-signature": twilioSdk.getExpectedTwilioSignature(secret, withPort, { A: "bc" }),
  };
  await assertHolds(twilio, settingsOf(secret), { headers, body: "A=bc" });
});

Deno.test("shopify: accepts the documented HMAC, and @shopify/shopify-api accepts what we sign", async () => {
  const hmac = createHmac("sha256", secret).update(text).digest("base64");
  const headers = { "x-shopify-hmac-sha256": hmac, "x-shopify-topic": "orders/create" };
  await assertHolds(shopify, settingsOf(secret), { headers, body: text });
  const request = await signed(shopify, settingsOf(secret), { type: "orders/create" });
  const api = shopifyApi({
    apiKey: "none",
    apiSecretKey: secret,
    hostName: "hooks.example.com",
    apiVersion: ApiVersion.July25,
    isEmbeddedApp: false,
    logger: { level: LogSeverity.Error },
  });
  const { method, headers: sent } = request;
  const rawRequest = new Request(request.url, { method, headers: sent, body: text });
  const validation = await api.webhooks.validate({ rawBody: text, rawRequest });
  assert(validation.valid, JSON.stringify(validation));
});

Deno.test("slack: accepts the documented scheme", async () => {
  const hex = createHmac("sha256", secret).update(`v0:${nowSeconds}:${text}`).digest("hex");
  const headers = { "x-slack-signature": `v0=${hex}`, "x-slack-request-timestamp": String(nowSeconds) };
  await assertHolds(slack, settingsOf(secret), { headers, body: text });
});

Deno.test("sendgrid: @sendgrid/eventwebhook accepts what we sign, and nothing else", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" }).toString("base64");
  const request = await signed(sendgrid, settingsOf(spki, { private_key: pkcs8 }));
  const signature = request.headers["x-twilio-email-event-webhook-signature"]!;
  const timestamp = request.headers["x-twilio-email-event-webhook-timestamp"]!;
  const sdk = new EventWebhook();
  const key = sdk.convertPublicKeyToECDSA(spki);
  assert(sdk.verifySignature(key, text, signature, timestamp));
  assert(!sdk.verifySignature(key, `${text} `, signature, timestamp));
  await assertHolds(sendgrid, settingsOf(spki), { headers: request.headers, body: text });
});
