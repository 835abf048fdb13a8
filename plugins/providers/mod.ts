/**
 * The standard providers, as a list of values. To add a sender, add a file beside this one and a line here.
 */

import type { Provider } from "../../core/plugin.ts";
import { github } from "./github.ts";
import { hmac } from "./hmac.ts";
import { none } from "./none.ts";
import { sendgrid } from "./sendgrid.ts";
import { shopify } from "./shopify.ts";
import { slack } from "./slack.ts";
import { standardWebhooks } from "./standard_webhooks.ts";
import { stripe } from "./stripe.ts";
import { token } from "./token.ts";
import { twilio } from "./twilio.ts";

/** Every provider that comes with Weir. */
export const providers: readonly Provider[] = [
  github,
  stripe,
  slack,
  standardWebhooks,
  shopify,
  twilio,
  sendgrid,
  hmac,
  token,
  none,
];
