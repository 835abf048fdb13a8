/**
 * Shopify: HMAC-SHA256 of the raw body in X-Shopify-Hmac-SHA256. Topic, shop and ids stand in headers that are not
 * signed; while the app's secret is rotated Shopify signs with the oldest one, so list both.
 *
 * https://shopify.dev/docs/apps/build/webhooks/subscribe/https
 */

import type { HeaderMap, Provider } from "../../core/plugin.ts";
import { createHmacProof, type HmacForm } from "../declarative.ts";
import { timeOf, unknownType } from "../fields.ts";
import { readSettings, readTextKey } from "../settings.ts";
import { headerOf } from "../signature.ts";

const form: HmacForm = {
  header: "x-shopify-hmac-sha256",
  prefix: "",
  encoding: "base64",
  hash: "sha256",
  content: "{body}",
};

/** Webhooks of Shopify shops and apps; the type is the topic, such as `orders/create`. */
export const shopify: Provider = {
  name: "shopify",
  summary: "Shopify webhooks, signed with HMAC-SHA256 over the body.",
  signatureHeaders: [form.header],
  secret: "required",
  signsId: false,
  contentTypes: ["application/json"],
  bind(settings) {
    const read = readSettings("shopify", settings);
    const keys = read.secrets(readTextKey);
    return read.bind(() => {
      const proof = createHmacProof(form, keys);
      return {
        verify: proof.verify,
        describe({ headers }, body) {
          const type = headerOf(headers, "x-shopify-topic") ?? unknownType;
          return [{ id: idOf(headers, type), type, time: timeOf(headerOf(headers, "x-shopify-triggered-at")), body }];
        },
        sign(draft, at) {
          const headers = {
            "content-type": "application/json",
            "user-agent": "Shopify-Captain-Hook",
            "x-shopify-shop-domain": "example.myshopify.com",
            "x-shopify-api-version": "2025-07",
            "x-shopify-triggered-at": new Date(at.now).toISOString(),
            ...draft.headers,
            "x-shopify-topic": draft.type,
            "x-shopify-event-id": draft.id,
            "x-shopify-webhook-id": draft.id,
          };
          return { ...draft, headers: proof.sign({ ...draft, headers }, at) };
        },
        // Shopify deletes a subscription whose endpoint keeps answering anything but 200.
        accepted: () => ({ status: 200 }),
      };
    });
  },
};

/** All subscriptions to one change share its event id, so it names an event only together with the topic. */
function idOf(headers: HeaderMap, topic: string): string | undefined {
  const event = headerOf(headers, "x-shopify-event-id");
  return event === undefined ? headerOf(headers, "x-shopify-webhook-id") : `${topic}:${event}`;
}
