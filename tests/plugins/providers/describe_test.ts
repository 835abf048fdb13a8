/**
 * What each provider says about the requests of its sender: id, type, time and body, the handshake, and the answer that
 * the sender requires.
 */

import { assertEquals, assertThrows } from "@std/assert";
import {
  type DescribedEvent,
  type HeaderMap,
  parseBody,
  type Provider,
  type Scheme,
  verified,
} from "../../../core/plugin.ts";
import { github } from "../../../plugins/providers/github.ts";
import { none } from "../../../plugins/providers/none.ts";
import { sendgrid } from "../../../plugins/providers/sendgrid.ts";
import { shopify } from "../../../plugins/providers/shopify.ts";
import { slack } from "../../../plugins/providers/slack.ts";
import { standardWebhooks } from "../../../plugins/providers/standard_webhooks.ts";
import { stripe } from "../../../plugins/providers/stripe.ts";
import { twilio } from "../../../plugins/providers/twilio.ts";
import { acceptedOf, bindScheme } from "../../conformance/mod.ts";

const secret = "a secret of at least sixteen bytes";
const json = { "content-type": "application/json" };
const form = { "content-type": "application/x-www-form-urlencoded" };

function schemeOf(provider: Provider, own = secret): Scheme {
  return bindScheme(provider, { secrets: own === "" ? [] : [own], options: {} });
}

/** A request that needs no proof here: only what is said about it matters. */
function requestOf(headers: HeaderMap, text: string) {
  const body = new TextEncoder().encode(text);
  const request = acceptedOf(verified({ method: "POST", url: "https://x.example/", headers, body, receivedAt: 0 }));
  const parsed = parseBody(body, headers["content-type"]);
  return { request, body: parsed.ok ? parsed.value : undefined };
}

function describe(scheme: Scheme, headers: HeaderMap, text: string): readonly DescribedEvent[] {
  const { request, body } = requestOf(headers, text);
  return scheme.describe(request, body);
}

/** Each row: headers, body, and what the one event must say. */
function assertDescribed(scheme: Scheme, rows: readonly [HeaderMap, string, Partial<DescribedEvent>][]): void {
  for (const [headers, text, expected] of rows) {
    const [event, ...more] = describe(scheme, headers, text);
    assertEquals({ ...event, ...expected }, event, text);
    assertEquals(more, []);
  }
}

Deno.test("github: the type is the event's name and its action", () => {
  const headers = { ...json, "x-github-event": "pull_request", "x-github-delivery": "d1" };
  assertDescribed(schemeOf(github), [
    [headers, '{"action":"opened"}', { id: "d1", type: "pull_request.opened", body: { action: "opened" } }],
    [{ ...json, "x-github-event": "ping" }, '{"zen":"a"}', { id: undefined, type: "ping" }],
    [json, "[]", { type: "unknown" }],
    [{ ...headers, ...form }, "payload=%7B%22action%22%3A%22closed%22%7D", {
      type: "pull_request.closed",
      body: { action: "closed" },
    }],
    [{ ...headers, ...form }, "payload=%7B", { type: "pull_request", body: { payload: "{" } }],
    [{ ...headers, ...form }, "a=1", { type: "pull_request", body: { a: "1" } }],
  ]);
});

Deno.test("github: signs the event's name without the action", async () => {
  const draft = { method: "POST", url: "https://x.example/", headers: {}, body: new Uint8Array(), id: "d1" };
  const request = await schemeOf(github).sign({ ...draft, type: "pull_request.opened" }, { now: 0 });
  assertEquals(request.headers["x-github-event"], "pull_request");
  assertEquals(request.headers["x-github-delivery"], "d1");
});

Deno.test("stripe: id, type and time are in the body", () => {
  assertDescribed(schemeOf(stripe), [
    [json, '{"id":"evt_1","type":"invoice.paid","created":1700000000}', {
      id: "evt_1",
      type: "invoice.paid",
      time: 1.7e12,
    }],
    [json, '{"id":"evt_2","created":"2023-11-14T22:13:20.000Z"}', { id: "evt_2", type: "unknown", time: 1.7e12 }],
    [json, "null", { id: undefined, type: "unknown", time: undefined, body: null }],
  ]);
});

Deno.test("standard_webhooks: reads the headers of Svix too", () => {
  assertDescribed(schemeOf(standardWebhooks, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), [
    [{ ...json, "webhook-id": "msg_1" }, '{"type":"a.b","timestamp":"2023-11-14T22:13:20Z"}', {
      id: "msg_1",
      type: "a.b",
      time: 1.7e12,
    }],
    [{ ...json, "svix-id": "msg_2" }, '"text"', { id: "msg_2", type: "unknown", time: undefined }],
  ]);
});

Deno.test("shopify: the id is scoped by the topic, and the answer is 200", () => {
  const scheme = schemeOf(shopify);
  const headers = { ...json, "x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w" };
  assertDescribed(scheme, [
    [{ ...headers, "x-shopify-event-id": "e", "x-shopify-triggered-at": "2023-11-14T22:13:20.123456789Z" }, "{}", {
      id: "orders/create:e",
      type: "orders/create",
      time: 1_700_000_000_123,
    }],
    [headers, "{}", { id: "w" }],
    [json, "{}", { id: undefined, type: "unknown" }],
  ]);
  assertEquals(scheme.accepted?.(requestOf(headers, "{}").request), { status: 200 });
});

Deno.test("slack: events, slash commands and interactions", () => {
  const interaction = encodeURIComponent('{"type":"block_actions","trigger_id":"t1"}');
  assertDescribed(schemeOf(slack), [
    [json, '{"event_id":"Ev1","event_time":1700000000,"event":{"type":"app_mention"}}', {
      id: "Ev1",
      type: "app_mention",
      time: 1.7e12,
    }],
    [json, '{"event_id":"Ev2","event":{"type":"message","subtype":"channel_join"}}', { type: "message.channel_join" }],
    [json, '{"type":"app_rate_limited"}', { id: undefined, type: "app_rate_limited" }],
    [form, "command=%2Fdeploy&trigger_id=t1", {
      id: "t1",
      type: "slash_command",
      body: { command: "/deploy", trigger_id: "t1" },
    }],
    [form, `payload=${interaction}`, {
      id: "t1",
      type: "block_actions",
      body: { type: "block_actions", trigger_id: "t1" },
    }],
    [form, "payload=%7B", { type: "unknown", body: { payload: "{" } }],
    [form, "a=1", { type: "unknown" }],
  ]);
});

Deno.test("slack: answers its questions, and forms with nothing that a person would see", () => {
  const scheme = schemeOf(slack);
  const ask = (headers: HeaderMap, text: string) => {
    const { request, body } = requestOf(headers, text);
    return scheme.handshake?.(request, body);
  };
  const challenge = { status: 200, headers: { "content-type": "text/plain" }, body: "3eZbrw1aB" };
  assertEquals(ask(json, '{"type":"url_verification","challenge":"3eZbrw1aB"}'), challenge);
  assertEquals(ask(form, "ssl_check=1&token=x"), { status: 200 });
  for (
    const text of [
      '{"type":"url_verification"}',
      '{"type":"url_verification","challenge":5}',
      '{"challenge":"x"}',
      "[]",
    ]
  ) {
    assertEquals(ask(json, text), undefined);
  }
  assertEquals(ask(form, "command=%2Fx"), undefined);
  assertEquals(scheme.accepted?.(requestOf(form, "command=%2Fx").request), { status: 200 });
  assertEquals(scheme.accepted?.(requestOf(json, "{}").request), undefined);
});

Deno.test("slack: the check of a certificate is answered without a signature, and nothing else is", async () => {
  const scheme = schemeOf(slack);
  const verify = (headers: HeaderMap, text: string) =>
    scheme.verify({
      method: "POST",
      url: "https://weir.example/hooks/slack",
      headers,
      body: new TextEncoder().encode(text),
      receivedAt: 0,
    }, { now: 0 });
  const answerOf = async (headers: HeaderMap, text: string) => {
    const verification = await verify(headers, text);
    return verification.ok ? "verified" : verification.answer;
  };
  assertEquals(await answerOf(form, "ssl_check=1&token=x"), { status: 200 });
  assertEquals(await answerOf({ ...form, "x-slack-signature": "v0=00" }, "token=x&ssl_check=1"), { status: 200 });
  const rows: [headers: HeaderMap, text: string][] = [
    [form, "command=%2Fdeploy"],
    [form, "ssl_check=0"],
    [form, `ssl_check=1&token=${"x".repeat(1_024)}`],
    [json, "ssl_check=1"],
    [json, '{"ssl_check":"1"}'],
    [json, '{"type":"url_verification","challenge":"3eZbrw1aB"}'],
  ];
  for (const [headers, text] of rows) assertEquals(await answerOf(headers, text), undefined, text);
});

Deno.test("twilio: only a status makes a Sid the name of one event", () => {
  const scheme = schemeOf(twilio);
  const headers = { ...form, "i-twilio-idempotency-token": "tok" };
  assertDescribed(scheme, [
    [headers, "MessageSid=SM1&MessageStatus=delivered", { id: "SM1:delivered", type: "message.delivered" }],
    [headers, "MessageSid=SM1&SmsStatus=received&Body=hi", { id: "SM1:received", type: "message.received" }],
    [headers, "CallSid=CA1&CallStatus=completed&SequenceNumber=2&Timestamp=Tue%2C+14+Nov+2023+22%3A13%3A20+%2B0000", {
      id: "CA1:completed:2",
      type: "call.completed",
      time: 1.7e12,
    }],
    [headers, "CallSid=CA1&CallStatus=in-progress&Digits=1", { id: "tok", type: "call.in-progress" }],
    [headers, "CallSid=CA1&RecordingSid=RE1&RecordingStatus=completed", {
      id: "RE1:completed",
      type: "recording.completed",
    }],
    [headers, "EventType=onMessageAdded", { id: "tok", type: "onMessageAdded" }],
    [form, "a=1", { id: undefined, type: "unknown" }],
  ]);
  const twiml = { status: 200, headers: { "content-type": "text/xml" }, body: "<Response></Response>" };
  assertEquals(scheme.accepted?.(requestOf(form, "").request), twiml);
});

Deno.test("sendgrid: one event for each item, none for an empty batch", () => {
  const key =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
  const scheme = schemeOf(sendgrid, key);
  const items = describe(scheme, json, '[{"event":"open","sg_event_id":"a","timestamp":1700000000},5]');
  assertEquals(items.map(({ id, type, time }) => [id, type, time]), [["a", "open", 1.7e12], [
    undefined,
    "unknown",
    undefined,
  ]]);
  assertEquals(describe(scheme, json, "[]"), []);
  assertEquals(describe(scheme, json, "{}").length, 1);
  const draft = {
    method: "POST",
    url: "https://x.example/",
    headers: {},
    body: new Uint8Array(),
    id: "1",
    type: "open",
  };
  assertThrows(() => scheme.sign(draft, { now: 0 }), TypeError, "options.private_key");
});

Deno.test("none: the body speaks for itself", () => {
  assertDescribed(schemeOf(none, ""), [
    [json, '{"type":"a"}', { id: undefined, type: "a" }],
    [json, "[1,2]", { type: "unknown", body: [1, 2] }],
    [{ "content-type": "text/plain" }, "hello", { type: "unknown", body: "hello" }],
  ]);
});
