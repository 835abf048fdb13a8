/**
 * A small realistic body for each provider, for `weir send` and the demo. They have the fields that routes usually ask
 * for; `--set` changes any of them and `--data` brings another body altogether.
 */

/** What a sample is made with. */
export interface SampleSeed {
  /** Becomes the sender's id of the event where that stands in the body. */
  readonly id: string;
  /** Another type than the sample's own. */
  readonly type?: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** A body before it is encoded. */
export interface Sample {
  readonly type: string;
  /** `application/json`, or `application/x-www-form-urlencoded` for a flat object of strings. */
  readonly contentType: string;
  readonly body: unknown;
}

/** The sample of a provider; any other than the known ones gets a plain envelope with an id and a type. */
export function makeSample(provider: string, seed: SampleSeed): Sample {
  return (samples[provider] ?? envelope)(seed);
}

const json = "application/json";
const form = "application/x-www-form-urlencoded";

const samples: Record<string, (seed: SampleSeed) => Sample> = { github, stripe, slack, shopify, twilio, sendgrid };

/** The part of a body that says what happened depends on the type: `issues.opened` is an issue, `push` is not. */
function github({ type = "issues.opened", now }: SampleSeed): Sample {
  const [name, action] = type.split(".", 2);
  const repository = { id: 1296269, name: "harbour", full_name: "octo-org/harbour", private: false };
  const sender = { login: "octocat", id: 583231, type: "User" };
  const subject = name === "pull_request"
    ? { number: 7, pull_request: { id: 7001, number: 7, title: "Mend the quay", state: "open", merged: false } }
    : name === "push"
    ? { ref: "refs/heads/main", after: "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", commits: [] }
    : { issue: { id: 42001, number: 42, title: "The crane is stuck", state: "open", updated_at: iso(now) } };
  return { type, contentType: json, body: { ...(action && { action }), ...subject, repository, sender } };
}

function stripe({ type = "payment_intent.succeeded", id, now }: SampleSeed): Sample {
  const object = {
    id: "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    object: type.split(".", 1)[0],
    amount: 2000,
    currency: "eur",
    customer: "cus_NffrFeUfNV2Hib",
    status: "succeeded",
  };
  const created = Math.floor(now / 1_000);
  return {
    type,
    contentType: json,
    body: { id, object: "event", api_version: "2025-03-31", created, livemode: false, type, data: { object } },
  };
}

function slack({ type = "app_mention", id, now }: SampleSeed): Sample {
  const ts = (now / 1_000).toFixed(6);
  const [name, subtype] = type.split(".", 2);
  return {
    type,
    contentType: json,
    body: {
      type: "event_callback",
      team_id: "T061EG9R6",
      api_app_id: "A0KRD7HC3",
      event_id: id,
      event_time: Math.floor(now / 1_000),
      event: {
        type: name,
        ...(subtype && { subtype }),
        user: "U061F7AUR",
        text: "is the crane free?",
        channel: "C061EG9SL",
        ts,
        event_ts: ts,
      },
    },
  };
}

function shopify({ type = "orders/create", now }: SampleSeed): Sample {
  return {
    type,
    contentType: json,
    body: {
      id: 820982911946154,
      name: "#1001",
      email: "jon@example.com",
      created_at: iso(now),
      currency: "EUR",
      total_price: "199.00",
      line_items: [{ id: 866550311766439, title: "Rope, 20 m", quantity: 1, price: "199.00" }],
    },
  };
}

/** The Sid is Twilio's only name for an event, so it is made of the seed's id. */
function twilio({ type = "message.delivered", id }: SampleSeed): Sample {
  const [about, status = "delivered"] = type.split(".", 2);
  const digits = id.replaceAll(/[^0-9a-f]/g, "").padEnd(32, "0").slice(-32);
  const subject = about === "call"
    ? { CallSid: `CA${digits}`, CallStatus: status }
    : { MessageSid: `SM${digits}`, MessageStatus: status };
  const AccountSid = `AC${"0".repeat(32)}`;
  return { type, contentType: form, body: { ...subject, AccountSid, From: "+15005550006", To: "+15005550009" } };
}

function sendgrid({ type = "delivered", id, now }: SampleSeed): Sample {
  const common = {
    email: "jon@example.com",
    timestamp: Math.floor(now / 1_000),
    sg_message_id: "14c5d75ce93.dfd.64b469",
  };
  return {
    type,
    contentType: json,
    body: [
      { ...common, event: "processed", sg_event_id: `${id}-0` },
      { ...common, event: type, sg_event_id: `${id}-1`, response: "250 OK" },
    ],
  };
}

/** Any other provider: Standard Webhooks, and a guess for declarative sources: `type` and `event` are the names most of them read. */
function envelope({ type = "example.created", id, now }: SampleSeed): Sample {
  return {
    type,
    contentType: json,
    body: { id, type, event: type, timestamp: iso(now), data: { id: "item_1", name: "Rope, 20 m", amount: 3 } },
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
