/**
 * Every standard provider against the conformance suite. A provider that has no case here fails the last test.
 */

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import type { Provider } from "../../../core/plugin.ts";
import { providers } from "../../../plugins/providers/mod.ts";
import { conformProvider, type ProviderCase } from "../../conformance/mod.ts";

const fiveMinutesMs = 300_000;
const secrets = ["It's a Secret to Everybody"];
const otherSecret = "It's a Secret to Nobody at all";
const textSecrets = fc.string({ minLength: 1, unit: "binary" }).filter((text) => text !== "" && text === text.trim());
const tokenSecrets = fc.string({ minLength: 1 }).filter((text) => text !== "" && text === text.trim());
const form = "application/x-www-form-urlencoded";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function json(value: unknown): Uint8Array {
  return bytes(JSON.stringify(value));
}

function keyPair(): { secret: string; privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    secret: publicKey.export({ type: "spki", format: "der" }).toString("base64"),
    privateKey: privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"),
  };
}

const sendgridKeys = keyPair();

const acme = {
  header: "X-Acme-Signature",
  algorithm: "sha256",
  encoding: "hex",
  prefix: "sha256=",
  content: "{timestamp}.{body}",
  timestamp_header: "X-Acme-Timestamp",
};

const cases: Record<string, readonly ProviderCase[]> = {
  github: [{
    settings: { secrets, options: {} },
    otherSecret,
    secrets: textSecrets,
    draft: { id: "72d3162e", type: "issues.opened", body: json({ action: "opened", issue: { number: 7 } }) },
    describes: [{ id: "72d3162e", type: "issues.opened", body: { action: "opened", issue: { number: 7 } } }],
  }, {
    title: "(form)",
    settings: { secrets, options: {} },
    otherSecret,
    draft: { type: "ping", headers: { "content-type": form }, body: bytes("payload=%7B%22zen%22%3A%22a+b%22%7D") },
    describes: [{ id: "evt_1", type: "ping", body: { zen: "a b" } }],
  }],
  stripe: [{
    settings: { secrets, options: {} },
    otherSecret,
    secrets: textSecrets,
    toleranceMs: fiveMinutesMs,
    draft: { body: json({ id: "evt_9", type: "invoice.paid", created: 1_700_000_000 }) },
    describes: [{ id: "evt_9", type: "invoice.paid", time: 1_700_000_000_000 }],
  }],
  slack: [{
    settings: { secrets, options: {}, toleranceMs: 60_000 },
    otherSecret,
    secrets: textSecrets,
    toleranceMs: 60_000,
    signedHeaders: ["x-slack-request-timestamp"],
    draft: {
      body: json({ event_id: "Ev1", event_time: 1_700_000_000, event: { type: "message", subtype: "bot_message" } }),
    },
    describes: [{ id: "Ev1", type: "message.bot_message", time: 1_700_000_000_000 }],
  }],
  standard_webhooks: [{
    settings: { secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], options: {} },
    otherSecret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    secrets: fc.uint8Array({ minLength: 24, maxLength: 64 }).map((key) =>
      `whsec_${Buffer.from(key).toString("base64")}`
    ),
    toleranceMs: fiveMinutesMs,
    signedHeaders: ["webhook-id", "webhook-timestamp"],
    draft: { id: "msg_1", body: json({ type: "user.created", timestamp: "2026-01-15T11:59:00Z", data: {} }) },
    describes: [{ id: "msg_1", type: "user.created", time: Date.UTC(2026, 0, 15, 11, 59) }],
  }],
  shopify: [{
    settings: { secrets, options: {} },
    otherSecret,
    secrets: textSecrets,
    draft: { id: "98880550", type: "orders/create", body: bytes('{"id":820982911946154508}') },
    describes: [{
      id: "orders/create:98880550",
      type: "orders/create",
      time: Date.UTC(2026, 0, 15, 12),
      body: { id: "820982911946154508" },
    }],
  }],
  twilio: [{
    title: "(form)",
    settings: { secrets, options: {} },
    otherSecret,
    secrets: textSecrets,
    covers: "fields",
    draft: { headers: { "content-type": form }, body: bytes("MessageStatus=sent&MessageSid=SM1&To=%2b1415&To=a+b") },
    describes: [{ id: "SM1:sent", type: "message.sent" }],
  }, {
    title: "(JSON)",
    settings: { secrets, options: {} },
    otherSecret,
    draft: { headers: { "content-type": "application/json" }, body: json({ EventType: "onMessageAdded" }) },
    describes: [{ id: "evt_1", type: "onMessageAdded" }],
  }],
  sendgrid: [{
    settings: { secrets: [sendgridKeys.secret], options: { private_key: sendgridKeys.privateKey } },
    otherSecret: keyPair().secret,
    toleranceMs: 25 * 3_600_000,
    signedHeaders: ["x-twilio-email-event-webhook-timestamp"],
    draft: {
      body: bytes(
        '[{"event":"bounce","sg_event_id":"a","timestamp":1600112492},{"event":"open","sg_event_id":"b"}]\r\n',
      ),
    },
    describes: [
      { id: "a", type: "bounce", time: 1_600_112_492_000 },
      { id: "b", type: "open", time: undefined },
    ],
  }],
  hmac: [{
    title: "(the sample of the documentation)",
    settings: { secrets, options: acme },
    otherSecret,
    secrets: textSecrets,
    toleranceMs: fiveMinutesMs,
    signedHeaders: ["x-acme-timestamp"],
    describes: [{ id: undefined, type: "thing.happened" }],
  }, {
    title: "(every option)",
    settings: {
      secrets,
      options: {
        ...acme,
        algorithm: "sha512",
        encoding: "base64",
        prefix: "",
        content: "{id}|{timestamp}|{method}|{url}|{body}",
        timestamp_unit: "ms",
        id_header: "X-Acme-Id",
        type_header: "X-Acme-Type",
      },
    },
    otherSecret,
    toleranceMs: fiveMinutesMs,
    signedHeaders: ["x-acme-timestamp", "x-acme-id"],
    draft: { id: "a.1", type: "order.paid" },
    describes: [{ id: "a.1", type: "order.paid" }],
  }, {
    title: "(sha1 of the body)",
    settings: { secrets, options: { header: "X-Signature", algorithm: "sha1" } },
    otherSecret,
  }],
  token: [{
    settings: { secrets, options: {} },
    otherSecret,
    secrets: tokenSecrets,
    covers: "nothing",
    describes: [{ type: "thing.happened" }],
  }, {
    title: "(own header)",
    settings: { secrets, options: { header: "X-Gitlab-Token" } },
    otherSecret,
    covers: "nothing",
  }],
  none: [{ settings: { secrets: [], options: {} }, describes: [{ id: undefined, type: "thing.happened" }] }],
};

for (const provider of providers) for (const checked of cases[provider.name] ?? []) conformProvider(provider, checked);

Deno.test("providers: every one has a conformance case", () => {
  const names = providers.map(({ name }: Provider) => name);
  assertEquals(names.filter((name) => cases[name] === undefined), []);
  assertEquals(new Set(names).size, names.length);
});
