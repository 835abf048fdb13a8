/** Mistakes in the YAML itself, in keys and names, and in what is said of the server and the log. */

import { refused, route, secret, send, source } from "../support/refusals.ts";

refused("an empty file", "", `1:1: the file is empty; expected a mapping with version, sources and routes`);
refused("a list", "- 1", `1:1: the file is [1]; expected a mapping with version, sources and routes`);
refused("a tab", "version: 1\n\tserver: {}", `2:1: Tabs are not allowed as indentation`);
refused("a key twice", "version: 1\nversion: 1", `2:1: this key stands here for the second time`);
refused(
  "a tag",
  route("when: !x body.a"),
  `7:11: Unresolved tag: !x; a value that begins with ! is a tag: put it in quotes`,
);
refused(
  "a standard tag that is not of the core schema",
  "version: !!binary aGk=",
  `1:19: the tag tag:yaml.org,2002:binary is not supported; write a plain value`,
  `1:19: version: is {"type":"Buffer","data":[104,105]}; expected 1`,
);
refused(
  "a merge key",
  "version: 1\n<<: {}",
  `2:1: <<: unknown key; expected one of version, server, storage, retention, sources, routes`,
);
refused("a list for a key", "version: 1\n? [a]\n: 1", `2:3: a key must be plain text`);
refused("two documents", "version: 1\n---\nversion: 1", `2:1: there must be one YAML document, not several`);
refused("an alias without anchor", "version: *v", `1:10: the alias *v has no anchor before it`);
refused(
  "an open quote",
  `version: 1\nserver: { listen: "`,
  `2:20: Missing closing "quote`,
  `2:20: Flow map in block collection must be sufficiently indented and end with a }`,
);

refused("no version", "sources: {}", `1:1: version: is missing; expected 1`);
refused("another version", "version: 2", `1:10: version: is 2; expected 1`);
refused("a misspelt key", "version: 1\nsuorces: {}", `2:1: suorces: unknown key; did you mean "sources"?`);
refused(
  "a key like no other",
  "version: 1\nserver: { colour: red }",
  `2:11: server.colour: unknown key; expected one of listen, public_url, admin, trusted_proxies`,
);
refused(
  "a misspelt key of a source",
  source("tolerence: 5m"),
  `6:5: sources.s.tolerence: unknown key; did you mean "tolerance"?`,
);
refused(
  "a misspelt key of a target",
  send("[{ url: http://a, secrt: x }]"),
  `6:29: routes.r.send[0].secrt: unknown key; did you mean "secret"?`,
);
refused(
  "keys that are remembered longer than events",
  "version: 1\nretention: { events: 5d, idempotency: 6d }",
  `2:39: retention.idempotency: is "6d"; expected at most retention.events, 5d`,
);
refused(
  "a retention that is no duration",
  "version: 1\nretention: { dead: forever }",
  `2:20: retention.dead: is "forever"; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
);
refused("retry.on", route("retry: { on: [404] }"), `7:14: routes.r.retry.on: is not supported yet; take it out`);
refused(
  "a bad name",
  "version: 1\nsources:\n  Git Hub: { publish: true }",
  `3:3: sources.Git Hub: is no name; expected a name of small letters, digits, _ and -, at most 64, that begins with a letter or digit`,
);
refused("a list for a mapping", "version: 1\nsources: [a]", `2:10: sources: is ["a"]; expected a mapping`);
refused("a source without anything", "version: 1\nsources:\n  s:", `3:5: sources.s: is empty; expected a mapping`);

refused(
  "listen",
  "version: 1\nserver: { listen: 8080 }",
  `2:19: server.listen: is 8080; expected a host and a port, such as 127.0.0.1:8080 or [::]:8080`,
);
refused(
  "listen without a port",
  "version: 1\nserver: { listen: localhost }",
  `2:19: server.listen: is "localhost"; expected a host and a port, such as 127.0.0.1:8080 or [::]:8080`,
);
refused(
  "listen on no address",
  "version: 1\nserver: { listen: 1.2.3:80 }",
  `2:19: server.listen: is "1.2.3:80"; expected a host and a port, such as 127.0.0.1:8080 or [::]:8080`,
);
refused(
  "one port for both",
  "version: 1\nserver: { listen: 0.0.0.0:80, admin: 127.0.0.1:80 }",
  `2:38: server.admin: port 80 is already the port of server.listen`,
);
refused(
  "public_url",
  "version: 1\nserver: { public_url: hooks.example.com }",
  `2:23: server.public_url: is "hooks.example.com"; expected an http or https URL without query, such as https://hooks.example.com`,
);
refused(
  "trusted_proxies",
  "version: 1\nserver: { trusted_proxies: [127.0.0.1/33, ::1] }",
  `2:29: server.trusted_proxies[0]: is "127.0.0.1/33"; expected an IP address or a CIDR block such as 203.0.113.0/24`,
);
refused(
  "storage",
  "version: 1\nstorage: { url: postgres://a }",
  `2:17: storage.url: is "postgres://a"; expected file:, libsql:, http: or https:`,
);
refused(
  "storage in memory",
  `version: 1\nstorage: { url: "file::memory:" }`,
  `2:17: storage.url: is "file::memory:"; expected file: and the path of a file, such as file:weir.db`,
);
refused(
  "storage with a password",
  "version: 1\nstorage: { url: libsql://u:p@db.example.com }",
  `2:17: storage.url: holds credentials; put the token into storage.auth_token`,
);
refused(
  "a token for a file",
  "version: 1\nstorage: { auth_token: abcdefgh }",
  `2:12: storage.auth_token: has no meaning for a file; take it out`,
);
refused(
  "free space for a server",
  "version: 1\nstorage: { url: libsql://db.example.com, min_free: 1MiB }",
  `2:42: storage.min_free: is for the disk of a file; take it out`,
);
refused(
  "idempotency",
  "version: 1\nretention: { idempotency: 7 days }",
  `2:27: retention.idempotency: is "7 days"; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
);

refused(
  "everything at once",
  `version: 1
server: { listen: nowhere }
sources:
  a: { provider: gihub, secret: ${secret} }
  b: { provider: github, secret: x, tolerance: soon, colour: red }
routes:
  r:
    from: c
    when: bdy.x
    order_by: event.
    handler: gone.ts
    timeout: 5
    retry: { attempts: many }
  q: { from: a, sned: [] }
`,
  `2:19: server.listen: is "nowhere"; expected a host and a port, such as 127.0.0.1:8080 or [::]:8080`,
  `4:18: sources.a.provider: there is no provider "gihub"; expected one of github, stripe, hmac, none, signer; did you mean "github"?`,
  `5:34: sources.b.secret: the secret is too short: 1 of at least 16 bytes (weir secret makes one)`,
  `5:48: sources.b.tolerance: is "soon"; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
  `5:54: sources.b.colour: unknown key; expected one of provider, secret, path, tolerance, options, id, type, split, allow_ips, max_body, content_types, schema, rate_limit, replay_guard, publish, cron, timezone, body`,
  `8:11: routes.r.from: there is no source "c"; expected one of a, b`,
  `9:11: routes.r.when: unknown variable bdy; expected one of event, body, headers, query; did you mean "body"?`,
  `10:21: routes.r.order_by: is not a CEL expression: Expected IDENTIFIER, got EOF`,
  `11:14: routes.r.handler: there is no file "gone.ts"; expected a path from ./`,
  `12:14: routes.r.timeout: is 5; expected a duration of at most 366d, such as 30s, 5m or 1h30m`,
  `13:24: routes.r.retry.attempts: is "many"; expected a whole number from 1 to 1000`,
  `14:3: routes.q: has neither handler nor send; expected one of them`,
  `14:17: routes.q.sned: unknown key; did you mean "send"?`,
);
