/**
 * The files of the project behind `weir demo`, and the samples that it is fed with.
 */

import issues from "./demo/plugins/issues.ts" with { type: "text" };
import payments from "./demo/plugins/payments.ts" with { type: "text" };
import reports from "./demo/plugins/reports.ts" with { type: "text" };
import routes from "./demo/routes.yaml" with { type: "text" };
import { adminTokenFile } from "../admin_token.ts";
import { makeSecret } from "../secret.ts";
import type { TemplateFile } from "./project.ts";

/** What differs from one start to the next. */
export interface DemoPlace {
  /** Host and port. */
  readonly listen: string;
  readonly admin: string;
  /** URL of the endpoint that gets a copy of every event. */
  readonly inbox: string;
  readonly inboxSecret: string;
}

/** The project. */
export function demoFiles(place: DemoPlace): TemplateFile[] {
  const environment = {
    DEMO_LISTEN: place.listen,
    DEMO_ADMIN: place.admin,
    DEMO_INBOX: place.inbox,
    INBOX_SECRET: place.inboxSecret,
    GITHUB_WEBHOOK_SECRET: makeSecret(),
    STRIPE_WHSEC: makeSecret(),
    APP_SECRET: makeSecret(),
  };
  const env = Object.entries(environment).map(([name, value]) => `${name}=${value}\n`).join("");
  return [
    { path: "plugins/issues.ts", text: issues },
    { path: "plugins/payments.ts", text: payments },
    { path: "plugins/reports.ts", text: reports },
    { path: ".gitignore", text: `.env\n${adminTokenFile}*\n*.db\n*.db-*\n` },
    { path: ".env", text: env, secret: true },
    { path: "routes.yaml", text: routes },
  ];
}

/** One request of the demo. */
export interface DemoSample {
  readonly source: string;
  readonly type: string;
  readonly set?: readonly (readonly [path: string, value: unknown])[];
  /** Its body is changed after it was signed: it must be refused. */
  readonly forged?: boolean;
}

/** What the demo sends, one round every few seconds. The first round shows everything. */
export const demoRounds: readonly (readonly DemoSample[])[] = [
  [
    { source: "github", type: "issues.opened", set: [["issue.number", 42]] },
    { source: "github", type: "issues.labeled", set: [["issue.number", 42]] },
    { source: "stripe", type: "payment_intent.succeeded", set: [["data.object.amount", 4200]] },
    { source: "app", type: "report.requested", set: [["data.name", "third quarter"]] },
    { source: "stripe", type: "payment_intent.succeeded", set: [["data.object.amount", 9900]], forged: true },
  ],
  [
    { source: "github", type: "issues.opened", set: [["issue.number", 43]] },
    { source: "github", type: "issues.closed", set: [["issue.number", 42]] },
    { source: "stripe", type: "payment_intent.succeeded", set: [["data.object.amount", 1200]] },
  ],
  [
    { source: "app", type: "user.created", set: [["data.name", "Ada"]] },
    { source: "github", type: "issues.closed", set: [["issue.number", 43]] },
  ],
];
