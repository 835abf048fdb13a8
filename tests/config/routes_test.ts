/** Mistakes in routes, their expressions and their targets: each has its line, its column and how to mend it. */

import { refused, route, send, source } from "../support/refusals.ts";

refused(
  "no from",
  "version: 1\nroutes:\n  r:\n    handler: gone.ts",
  `3:3: routes.r.from: is missing; expected the name of a source, or a list of them`,
  `4:14: routes.r.handler: there is no file "gone.ts"; expected a path from ./`,
);
refused(
  "from another source",
  "version: 1\nsources: { stripe: { publish: true } }\nroutes:\n  r: { from: stirpe, handler: h.ts }",
  `4:14: routes.r.from: there is no source "stirpe"; expected one of stripe; did you mean "stripe"?`,
);
refused(
  "from several, one wrong and one twice",
  route("").replace("from: s", "from: [s, z, s]"),
  `5:15: routes.r.from[1]: there is no source "z"; expected one of s`,
  `5:18: routes.r.from[2]: s stands here twice`,
);
refused(
  "neither handler nor send",
  "version: 1\nsources: { s: { publish: true } }\nroutes:\n  r: { from: s }",
  `4:3: routes.r: has neither handler nor send; expected one of them`,
);
refused(
  "handler and send",
  route("send: [{ url: http://a }]"),
  `4:3: routes.r: has handler and send; expected exactly one of them`,
);
refused(
  "a handler that is not there",
  route("").replace("h.ts", "plugins/h.ts"),
  `6:14: routes.r.handler: there is no file "plugins/h.ts"; expected a path from ./`,
);
refused(
  "a handler that is a folder",
  route("").replace("h.ts", "folder"),
  `6:14: routes.r.handler: "folder" is not a file`,
);
refused(
  "permissions without a handler",
  send("[{ url: http://a }]\n    permissions: { net: [a] }"),
  `7:5: routes.r.permissions: has no meaning without handler; take it out`,
);
refused(
  "permissions",
  route("permissions: { net: [https://a], env: [A-B], write: [x] }"),
  `7:26: routes.r.permissions.net[0]: is "https://a"; expected a host with or without a port, such as api.example.com:443`,
  `7:44: routes.r.permissions.env[0]: is "A-B"; expected the name of an environment variable`,
  `7:50: routes.r.permissions.write: unknown key; expected one of net, env, read`,
);
refused(
  "on_exhausted",
  route("on_exhausted: stop"),
  `7:19: routes.r.on_exhausted: is "stop"; expected "dead", "park" or "halt"`,
);
refused(
  "timeout",
  route("timeout: 0s"),
  `7:14: routes.r.timeout: is "0s"; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
);
refused(
  "concurrency",
  route("concurrency: 0"),
  `7:18: routes.r.concurrency: is 0; expected a whole number from 1 to 1000`,
);
refused(
  "concurrency with a key and mistakes",
  route("concurrency: { key: bdy.a, limit: 0, most: 5 }"),
  `7:39: routes.r.concurrency.limit: is 0; expected a whole number from 1 to 1000`,
  `7:42: routes.r.concurrency.most: unknown key; expected one of limit, key, total`,
);
refused(
  "concurrency without its key",
  route("concurrency: { limit: 2 }"),
  `7:5: routes.r.concurrency.key: is missing; expected a CEL expression in a string`,
);
refused(
  "concurrency with a key that is no expression",
  route("concurrency: { key: bdy.a, limit: 1 }"),
  `7:25: routes.r.concurrency.key: unknown variable bdy; expected one of event, body, headers, query; did you mean "body"?`,
);
refused(
  "concurrency with a key beside order_by",
  route("concurrency: { key: body.a, limit: 1 }\n    order_by: body.b"),
  `7:20: routes.r.concurrency.key: has no meaning beside order_by, which runs one event of a key at a time; take one of them out`,
);
refused(
  "skip_older without order_by",
  route("skip_older: event.time"),
  `7:5: routes.r.skip_older: has no meaning without order_by: a version is compared with those of the same key`,
);
refused(
  "a version that is none",
  route("order_by: body.a\n    skip_older: event.time > 5.0"),
  `8:17: routes.r.skip_older: gives bool; expected a number or a date`,
);
refused(
  "rate_limit, delay and priority",
  route("rate_limit: 5\n    delay: soon\n    priority: 101"),
  `7:17: routes.r.rate_limit: is 5; expected a rate such as 100/s, 30/m or 1000/h`,
  `8:12: routes.r.delay: is "soon"; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
  `9:15: routes.r.priority: is 101; expected a whole number from -100 to 100`,
);
refused(
  "retry",
  route("retry: { attempts: 0, schedule: [5, 1s], jitter: 2 }"),
  `7:24: routes.r.retry.attempts: is 0; expected a whole number from 1 to 1000`,
  `7:38: routes.r.retry.schedule[0]: is 5; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
  `7:54: routes.r.retry.jitter: is 2; expected a number from 0 to 1`,
);
refused(
  "an empty schedule",
  route("retry: { schedule: [] }"),
  `7:24: routes.r.retry.schedule: is []; expected at least one duration`,
);
refused(
  "backoff and schedule",
  route("retry: { backoff: exponential, schedule: [1s] }"),
  `7:36: routes.r.retry.schedule: has no meaning beside backoff; take one of them out`,
);
refused(
  "base without backoff",
  route("retry: { base: 1s }"),
  `7:14: routes.r.retry.base: has no meaning without backoff: exponential`,
);
refused(
  "another backoff",
  route("retry: { backoff: linear }"),
  `7:23: routes.r.retry.backoff: is "linear"; expected "exponential"`,
);
refused(
  "max below base",
  route("retry: { backoff: exponential, base: 10s, max: 1s }"),
  `7:52: routes.r.retry.max: is less than base; expected at least as much`,
);

refused(
  "an expression that does not parse",
  route("when: body.a >"),
  `7:19: routes.r.when: is not a CEL expression: Unexpected token: EOF`,
);
refused(
  "an expression with an unknown variable",
  route(`when: 'bdy.a > 1'`),
  `7:12: routes.r.when: unknown variable bdy; expected one of event, body, headers, query; did you mean "body"?`,
);
refused(
  "an expression in double quotes",
  route(`order_by: "bodyy.a"`),
  `7:16: routes.r.order_by: unknown variable bodyy; expected one of event, body, headers, query; did you mean "body"?`,
);
refused(
  "an expression with an escape",
  route(`order_by: "\\x62dy.a"`),
  `7:15: routes.r.order_by: unknown variable bdy; expected one of event, body, headers, query; did you mean "body"?`,
);
refused(
  "an expression in a block",
  route(`when: |\n      body.a == 1 &&\n      bdy.b == 2`),
  `7:11: routes.r.when: unknown variable bdy; expected one of event, body, headers, query; did you mean "body"?`,
);
refused(
  "an unknown field of event",
  route("order_by: event.tpye"),
  `7:21: routes.r.order_by: event has no tpye; expected one of id, source, type, time, receivedAt; did you mean "type"?`,
);
refused("types that never fit", route(`when: event.type > 5`), `7:11: routes.r.when: no such overload: string > int`);
refused(
  "a condition that is none",
  route(`when: size(body.items)`),
  `7:11: routes.r.when: gives int; expected true or false`,
);
refused(
  "a key that is a list",
  route(`order_by: "[1]"`),
  `7:16: routes.r.order_by: gives list<int>; expected text, a number or a boolean`,
);
refused(
  "a header in capitals",
  source(`id: headers["X-Id"]`),
  `6:9: sources.s.id: header names are lower case; write headers["x-id"]`,
);
refused(
  "a condition that is no string",
  route("when: true"),
  `7:11: routes.r.when: is true; expected a CEL expression in a string`,
);

refused("no targets", send("[]"), `6:11: routes.r.send: is []; expected at least one target`);
refused(
  "a target that is not in a list",
  send("{ url: http://a }"),
  `6:11: routes.r.send: is {"url":"http://a"}; expected a list of targets`,
);
refused(
  "a target without a URL",
  send("[{ name: a }]"),
  `6:12: routes.r.send[0].url: is missing; expected an http or https URL without credentials`,
);
refused(
  "several without names",
  send("[{ url: http://a }, { url: http://b, name: b }]"),
  `6:12: routes.r.send[0].name: is missing; each of several targets needs a name`,
);
refused(
  "two of one name",
  send("[{ url: http://a, name: b }, { url: http://b, name: b }]"),
  `6:63: routes.r.send[1].name: b is the name of another target of this route`,
);
refused(
  "a target's URL",
  send("[{ url: ftp://a }]"),
  `6:19: routes.r.send[0].url: is "ftp://a"; expected an http or https URL without credentials`,
);
refused(
  "a target's URL with a password",
  send("[{ url: http://u:p@a }]"),
  `6:19: routes.r.send[0].url: is "http://…@a"; expected an http or https URL without credentials`,
);
refused(
  "a target's breaker",
  send("[{ url: http://a, breaker: true }]"),
  `6:38: routes.r.send[0].breaker: is true; expected false, or a mapping with failures, open and open_max`,
);
refused(
  "a target's breaker with mistakes",
  send("[{ url: http://a, breaker: { failures: 0, opn: 5s } }]"),
  `6:50: routes.r.send[0].breaker.failures: is 0; expected a whole number from 1 to 1000`,
  `6:53: routes.r.send[0].breaker.opn: unknown key; did you mean "open"?`,
);
refused(
  "a breaker whose longest time is less than its first",
  send("[{ url: http://a, breaker: { open: 5m, open_max: 1m } }]"),
  `6:60: routes.r.send[0].breaker.open_max: is less than open; expected at least as much`,
);
refused(
  "a target's concurrency by key",
  send("[{ url: http://a, concurrency: { limit: 1, key: body.a } }]"),
  `6:42: routes.r.send[0].concurrency: is {"limit":1,"key":"body.a"}; expected a whole number from 1 to 1000`,
);
refused(
  "a target's secret",
  send("[{ url: http://a, secret: short }]"),
  `6:37: routes.r.send[0].secret: the secret is too short: 5 of at least 16 bytes (weir secret makes one)`,
);
refused(
  "a target's headers",
  send("[{ url: http://a, headers: { a b: x, Webhook-Id: x, X: 5 } }]"),
  `6:40: routes.r.send[0].headers.a b: is no header name`,
  `6:48: routes.r.send[0].headers.Webhook-Id: is written by Weir; take it out`,
  `6:66: routes.r.send[0].headers.X: is of the wrong form (number, not shown); expected text (put it in quotes)`,
);
refused(
  "a header twice",
  send(`[{ url: http://a, headers: { X-A: x, x-a: y, X-B: "y\\n" } }]`),
  `6:48: routes.r.send[0].headers.x-a: stands here twice`,
  `6:61: routes.r.send[0].headers.X-B: holds characters that no header may carry`,
);
refused(
  "a target's name",
  send("[{ url: http://a, name: CI }]"),
  `6:35: routes.r.send[0].name: is "CI"; expected a name of small letters, digits, _ and -, at most 64, that begins with a letter or digit`,
);
