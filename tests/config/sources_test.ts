/** Mistakes in sources: each has its line, its column and a message that says how to mend it. */

import { refused, route, secret, source } from "../support/refusals.ts";

/** Puts lines into a source that is otherwise empty, from line 4 on. */
const cron = (lines: string): string => `version: 1\nsources:\n  s:\n    ${lines}\n`;

const noFields =
  "is not a schedule: expected five fields (minute hour day month weekday), six with seconds in front, or one of " +
  "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";

refused(
  "no provider",
  "version: 1\nsources:\n  s: { secret: x }",
  `3:3: sources.s.provider: is missing; expected one of github, stripe, hmac, none, signer, or cron, or publish: true`,
);
refused(
  "another provider",
  `version: 1\nsources:\n  s: { provider: gihub, secret: ${secret} }`,
  `3:18: sources.s.provider: there is no provider "gihub"; expected one of github, stripe, hmac, none, signer; did you mean "github"?`,
);
refused(
  "a provider like no other",
  `version: 1\nsources:\n  s: { provider: paypal, secret: ${secret} }`,
  `3:18: sources.s.provider: there is no provider "paypal"; expected one of github, stripe, hmac, none, signer`,
);
refused(
  "no secret",
  "version: 1\nsources:\n  s: { provider: github }",
  `3:3: sources.s.secret: is missing; the provider github needs one`,
);
refused(
  "an empty secret",
  `version: 1\nsources:\n  s: { provider: github, secret: "" }`,
  `3:34: sources.s.secret: the secret is empty; expected at least 16 bytes (weir secret makes one)`,
);
refused(
  "a null secret",
  `version: 1\nsources:\n  s: { provider: github, secret: }`,
  `3:34: sources.s.secret: is empty; expected a secret in a string, or a list of them`,
);
refused(
  "a blank secret",
  `version: 1\nsources:\n  s: { provider: github, secret: "                  " }`,
  `3:34: sources.s.secret: the secret is empty; expected at least 16 bytes (weir secret makes one)`,
);
refused(
  "a short secret",
  "version: 1\nsources:\n  s: { provider: github, secret: fifteen-bytes-x }",
  `3:34: sources.s.secret: the secret is too short: 15 of at least 16 bytes (weir secret makes one)`,
);
refused(
  "a padded secret",
  `version: 1\nsources:\n  s: { provider: github, secret: "${secret}\\n" }`,
  `3:34: sources.s.secret: the secret begins or ends with white space; take it away`,
);
refused(
  "an empty list of secrets",
  "version: 1\nsources:\n  s: { provider: github, secret: [] }",
  `3:34: sources.s.secret: the list is empty; expected at least one secret`,
);
refused(
  "an empty one of several",
  `version: 1\nsources:\n  s: { provider: github, secret: [${secret}, ""] }`,
  `3:66: sources.s.secret[1]: the secret is empty; expected at least 16 bytes (weir secret makes one)`,
);
refused(
  "an empty variable",
  `version: 1\nsources:\n  s: { provider: github, secret: "\${EMPTY}" }`,
  `3:34: sources.s.secret: the secret is empty; expected at least 16 bytes (weir secret makes one)`,
);
refused(
  "a missing variable",
  `version: 1\nsources:\n  s: { provider: github, secret: "\${NOT_SET}" }`,
  `3:34: sources.s.secret: the environment variable NOT_SET is not set; set it, or put it into .env`,
);
refused(
  "a bad variable",
  route("when: '${not a name} ${OPEN'"),
  `7:11: routes.r.when: \${not a name} is not a variable; write \${NAME}, or $\${ for the characters themselves`,
);
refused(
  "a secret that is a number",
  "version: 1\nsources:\n  s: { provider: github, secret: 12345678901234567890 }",
  `3:34: sources.s.secret: is of the wrong form (number, not shown); expected a secret in a string, or a list of them`,
);
refused(
  "a secret for none",
  `version: 1\nsources:\n  s: { provider: none, secret: ${secret}, id: body.id }`,
  `3:32: sources.s.secret: the provider none takes no secret; take it out`,
);
refused(
  "what a provider says of a secret",
  `version: 1\nsources:\n  s: { provider: github, secret: an-odd-${secret} }`,
  `3:34: sources.s.secret: is odd: [secret]`,
);
refused(
  "what a provider says of options",
  source("options: { header: 5 }"),
  `6:24: sources.s.options.header: expected the name of a header`,
);
refused(
  "publish with more",
  "version: 1\nsources:\n  s: { publish: true, path: /x }",
  `3:23: sources.s.path: has no meaning beside publish: true; take one of them out`,
);
refused(
  "publish and cron",
  `version: 1\nsources:\n  s: { publish: true, cron: "@daily", body: 5 }`,
  `3:23: sources.s.cron: has no meaning beside publish: true; take one of them out`,
  `3:39: sources.s.body: has no meaning beside publish: true; take one of them out`,
);
refused(
  "a cron source with a provider",
  `version: 1\nsources:\n  s: { cron: "@daily", provider: github, path: /x }`,
  `3:24: sources.s.provider: has no meaning beside cron; take one of them out`,
  `3:42: sources.s.path: has no meaning beside cron; take one of them out`,
);
refused("a schedule with too few fields", cron("cron: '* * * *'"), `4:11: sources.s.cron: "* * * *" ${noFields}`);
refused(
  "a schedule with years",
  cron("cron: '0 0 0 1 1 * 2030'"),
  `4:11: sources.s.cron: "0 0 0 1 1 * 2030" ${noFields}`,
);
refused(
  "a schedule that is a date",
  cron("cron: '2030-01-01T00:00:00'"),
  `4:11: sources.s.cron: "2030-01-01T00:00:00" ${noFields}`,
);
refused("another nickname", cron("cron: '@reboot'"), `4:11: sources.s.cron: "@reboot" ${noFields}`);
refused(
  "a schedule out of range",
  cron("cron: 61 * * * *"),
  `4:11: sources.s.cron: "61 * * * *" is not a schedule: Invalid value for minute: 61`,
);
refused(
  "a schedule that never comes",
  cron("cron: 0 0 31 2 *"),
  `4:11: sources.s.cron: "0 0 31 2 *" is not a schedule: it never comes`,
);
refused(
  "a schedule that is no text",
  cron("cron: 5"),
  `4:11: sources.s.cron: is 5; expected a cron expression such as "0 3 * * *"`,
);
refused(
  "a time zone that is none",
  cron("cron: '@daily'\n    timezone: Europe/Berln"),
  `5:15: sources.s.timezone: is "Europe/Berln"; expected the IANA name of a time zone, such as Europe/Berlin or UTC; did you mean "Europe/Berlin"?`,
);
refused(
  "a time zone that is an offset",
  cron("cron: '@daily'\n    timezone: '+01:00'"),
  `5:15: sources.s.timezone: is "+01:00"; expected the IANA name of a time zone, such as Europe/Berlin or UTC`,
);
refused(
  "a cron's body that is not JSON",
  cron("cron: '@daily'\n    body: { a: [.inf] }"),
  `5:11: sources.s.body: is {"a":[null]}; expected a value that JSON can hold`,
);
refused(
  "what belongs to a cron source alone",
  source("timezone: UTC\n    body: 5"),
  `6:5: sources.s.timezone: has no meaning without cron; take it out`,
  `7:5: sources.s.body: has no meaning without cron; take it out`,
);
refused("another replay_guard", source("replay_guard: id"), `6:19: sources.s.replay_guard: is "id"; expected "body"`);
refused(
  "replay_guard where ids are signed",
  `version: 1\nsources:\n  s: { provider: signer, secret: ${secret}, replay_guard: body }`,
  `3:65: sources.s.replay_guard: has no meaning: the provider signer signs its ids, so nobody can send an event again under another; take it out`,
);
refused(
  "replay_guard without ids",
  `version: 1\nsources:\n  s: { provider: none, replay_guard: body }`,
  `3:24: sources.s.replay_guard: has no meaning without id: only events with an id are compared`,
);
refused(
  "publish: false",
  "version: 1\nsources:\n  s: { publish: false }",
  `3:17: sources.s.publish: is false; expected true`,
);
refused(
  "a relative path",
  source("path: hooks/s"),
  `6:11: sources.s.path: is "hooks/s"; expected a URL path such as /hooks/acme, without query`,
);
refused(
  "a path with a query",
  source("path: /hooks?x"),
  `6:11: sources.s.path: is "/hooks?x"; expected a URL path such as /hooks/acme, without query`,
);
refused(
  "the engine's own path",
  source("path: /healthz"),
  `6:11: sources.s.path: /healthz is the engine's own; choose another`,
);
refused(
  "two on one path",
  source("path: /a\n  t: { provider: none, id: body.id, path: /a }"),
  `7:43: sources.t.path: /a is already the path of the source s`,
);
refused(
  "two on a default path",
  source("path: /hooks/t\n  t: { provider: none, id: body.id }"),
  `7:3: sources.t.path: /hooks/t is already the path of the source s`,
);
refused(
  "tolerance",
  source("tolerance: 300"),
  `6:16: sources.s.tolerance: is 300; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
);
refused(
  "allow_ips",
  source("allow_ips: [example.com]"),
  `6:17: sources.s.allow_ips[0]: is "example.com"; expected an IP address or a CIDR block such as 203.0.113.0/24`,
);
refused("max_body", source("max_body: 26MiB"), `6:15: sources.s.max_body: is "26MiB"; expected at most 25MiB`);
refused(
  "max_body of a remote log",
  `version: 1\nstorage: { url: https://db }\n${source("max_body: 5MiB").slice(11)}`,
  `7:15: sources.s.max_body: is "5MiB"; expected at most 4MiB where storage is remote`,
);
refused(
  "max_body that is no size",
  source("max_body: 1 megabyte"),
  `6:15: sources.s.max_body: is "1 megabyte"; expected a size such as 512KiB or 1MiB`,
);
refused(
  "content_types",
  source("content_types: [json]"),
  `6:21: sources.s.content_types[0]: is "json"; expected a media type such as application/json`,
);
refused(
  "rate_limit",
  source("rate_limit: 100 per second"),
  `6:17: sources.s.rate_limit: is "100 per second"; expected a rate such as 100/s, 30/m or 1000/h`,
);
refused(
  "a schema that is not there",
  source("schema: none.json"),
  `6:13: sources.s.schema: there is no file "none.json"; expected a path from ./`,
);
refused(
  "a schema that is not JSON",
  source("schema: broken.json"),
  `6:13: sources.s.schema: "broken.json" is not a JSON Schema: Expected property name or '}' in JSON at position 1 (line 1 column 2)`,
);
refused(
  "a schema that is none",
  source("schema: wrong.json"),
  `6:13: sources.s.schema: "wrong.json" is not a JSON Schema: schema is invalid: data/type must be equal to one of the allowed values, data/type must be array, data/type must match a schema in anyOf`,
);
refused(
  "a schema of another draft",
  source("schema: draft7.json"),
  `6:13: sources.s.schema: "draft7.json" is not a JSON Schema: no schema with key or ref "http://json-schema.org/draft-07/schema#"`,
);
refused(
  "a schema with a typo",
  source("schema: typo.json"),
  `6:13: sources.s.schema: "typo.json" is not a JSON Schema: strict mode: unknown keyword: "requierd"`,
);
