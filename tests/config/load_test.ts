/** What a routes.yaml becomes: the contract's sample, defaults, variables, objects and the hash. */

import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import {
  formatIssue,
  loadConfig,
  type LoadedConfig,
  type LoadOptions,
  type RoutesFile,
} from "../../core/config/load.ts";
import { defaultBreaker } from "../../core/domain/breaker.ts";
import {
  type Config,
  type CronSource,
  defaultRetention,
  type HttpSource,
  targetName,
} from "../../core/domain/config.ts";
import { createProject } from "../support/project.ts";
import { sampleProviders } from "../support/sample_provider.ts";

const secret = "a-secret-of-sufficient-length";
const environment = {
  GITHUB_WEBHOOK_SECRET: `${secret}-1`,
  STRIPE_WHSEC: `${secret}-2`,
  STRIPE_WHSEC_OLD: `${secret}-3`,
  ACME_SECRET: `${secret}-4`,
  CI_SECRET: `${secret}-5`,
  API_KEY: "the-key",
};

/** The contract's own routes.yaml to the letter; not named .yaml, so that no formatter moves its comments. */
const sample = await Deno.readTextFile(new URL("../fixtures/design_sample.txt", import.meta.url));

const sampleFiles = {
  "routes.yaml": sample,
  "plugins/payments.ts": "export default () => {};\n",
  "schemas/acme.json": `{ "type": "object", "required": ["event"], "properties": { "event": { "type": "string" } } }`,
};

const options: LoadOptions = { providers: sampleProviders, environment };

type Loaded = Extract<LoadedConfig, { ok: true }>;

async function loadWhole(source: string | RoutesFile, given: Partial<LoadOptions> = {}): Promise<Loaded> {
  const loaded = await loadConfig(source, { ...options, ...given });
  if (!loaded.ok) throw new Error(loaded.issues.map(formatIssue).join("\n"));
  return loaded;
}

async function load(source: string | RoutesFile, given: Partial<LoadOptions> = {}): Promise<Config> {
  return (await loadWhole(source, given)).config;
}

/** The lines that a person would see. */
async function refuse(source: string | RoutesFile, given: Partial<LoadOptions> = {}): Promise<string[]> {
  const loaded = await loadConfig(source, { ...options, ...given });
  if (loaded.ok) throw new Error("the configuration loaded");
  return loaded.issues.map(formatIssue);
}

Deno.test("loadConfig: the contract's sample loads", async () => {
  await using project = await createProject(sampleFiles);
  const { config, warnings } = await loadWhole(project.path("routes.yaml"));
  assertEquals(warnings, []);
  assertEquals(config.server, {
    listen: { hostname: "0.0.0.0", port: 8080 },
    publicUrl: "https://hooks.example.com",
    admin: { hostname: "127.0.0.1", port: 8081 },
    trustedProxies: ["127.0.0.1/32"],
  });
  assertEquals(config.storage, {
    url: `file:${project.path("weir.db")}`,
    authToken: undefined,
    freeBytesMin: undefined,
  });
  assertEquals(config.retention, defaultRetention);
  assertEquals([...config.sources.keys()], ["github", "stripe", "acme", "app", "nightly"]);
  const github = config.sources.get("github") as HttpSource;
  assertEquals([github.path, github.bodyBytesMax], ["/hooks/github", 1_048_576]);
  assertEquals(github.contentTypes, ["application/json"]);
  const acme = config.sources.get("acme") as HttpSource;
  assertEquals(acme.allowIps, ["203.0.113.0/24"]);
  assertEquals(acme.rateLimit, { count: 100, perMs: 1_000 });
  assertEquals(acme.schema!({ event: "made" }), []);
  assertEquals(acme.schema!({ event: 5 }), ["/event must be string"]);
  assertEquals(config.sources.get("app"), { kind: "publish", name: "app" });
  const nightly = config.sources.get("nightly") as CronSource;
  assertEquals([nightly.schedule, nightly.timezone, nightly.body], ["0 3 * * *", "Europe/Berlin", { job: "report" }]);
  assertEquals(nightly.next(Date.parse("2025-07-01T00:00Z")), Date.parse("2025-07-01T01:00Z"));
  const [payments, mirror] = config.routes;
  assertEquals([payments!.skipOlder?.text, payments!.onExhausted], ["event.time", "dead"]);
  assertEquals([payments!.from, payments!.on], [["stripe"], ["payment_intent.*", "charge.refunded"]]);
  assertEquals(payments!.destinations, [{
    kind: "script",
    file: project.path("plugins/payments.ts"),
    permissions: { net: ["api.example.com:443"], env: ["API_KEY"], read: [project.path("data")] },
    timeoutMs: 60_000,
    concurrency: 10,
    rateLimit: { count: 50, perMs: 1_000 },
  }]);
  assertEquals(mirror!.destinations, [{
    kind: "target",
    name: "ci",
    url: "https://ci.example.com/hook",
    secrets: [environment.CI_SECRET],
    headers: { "x-env": "prod" },
    timeoutMs: 15_000,
    concurrency: 10,
    rateLimit: undefined,
    breaker: defaultBreaker,
  }]);
  assertEquals(config.environment, { API_KEY: "the-key" });
  assertEquals(config.files, [project.path("routes.yaml"), project.path("schemas/acme.json")]);
});

Deno.test("loadConfig: everything has a default", async () => {
  const config = await load({ version: 1 });
  assertEquals(config.server.listen, { hostname: "0.0.0.0", port: 8080 });
  assertEquals(config.server.admin, { hostname: "127.0.0.1", port: 8081 });
  assertEquals(config.storage.url, `file:${Deno.cwd()}/weir.db`);
  assertEquals([config.sources.size, config.routes.length, config.files.length], [0, 0, 0]);
});

Deno.test("loadConfig: an object means what the same file means", async () => {
  await using project = await createProject({});
  const file = project.path("handler.ts");
  await Deno.writeTextFile(file, "");
  const source: RoutesFile = {
    version: 1,
    server: { listen: "[::]:8080", admin: undefined },
    storage: { url: `file:${project.path("log.db")}` },
    sources: { app: { publish: true }, gh: { provider: "github", secret: "${ACME_SECRET}" } },
    routes: {
      a: {
        from: ["app", "gh"],
        handler: file,
        retry: { attempts: 4, backoff: "exponential", base: "1s", factor: 3, max: "5s" },
      },
      b: { from: "gh", send: [{ url: "http://127.0.0.1:1/x" }], timeout: "3s", concurrency: 2 },
    },
  };
  const config = await load(source);
  assertEquals(config.server.listen, { hostname: "::", port: 8080 });
  assertEquals(config.storage.url, `file:${project.path("log.db")}`);
  assertEquals(config.routes[0]!.retry, { attempts: 4, scheduleMs: [1_000, 3_000, 5_000], jitter: 0.1 });
  assertEquals(config.routes[0]!.on, ["*"]);
  const [target] = config.routes[1]!.destinations;
  assertEquals([targetName(target!), target!.timeoutMs, target!.concurrency], ["default", 3_000, 2]);
});

Deno.test("loadConfig: a route of inlineHandlers needs no handler in the file", async () => {
  const source: RoutesFile = {
    version: 1,
    sources: { app: { publish: true } },
    routes: { pay: { from: "app", timeout: "2s" } },
  };
  const config = await load(source, { inlineHandlers: ["pay"] });
  assertEquals(config.routes[0]!.destinations, [{
    kind: "inline",
    timeoutMs: 2_000,
    concurrency: 10,
    rateLimit: undefined,
  }]);
});

Deno.test("loadConfig: inlineHandlers name routes that are there and have no other handler", async () => {
  const source: RoutesFile = {
    version: 1,
    sources: { app: { publish: true } },
    routes: { pay: { from: "app", send: [{ url: "http://localhost/" }] } },
  };
  assertEquals(await refuse(source, { inlineHandlers: ["pay", "pya"] }), [
    `handlers.pya: there is no route pya; did you mean "pay"?`,
    "routes.pay: has send and a handler in the program; expected exactly one of them",
  ]);
});

Deno.test("loadConfig: the log is a file or a server", async () => {
  for (
    const [url, expected] of [
      ["file:logs/weir.db", `file:${Deno.cwd()}/logs/weir.db`],
      ["file:///var/lib/weir%201.db", "file:/var/lib/weir 1.db"],
      ["file:/var/lib/weir.db", "file:/var/lib/weir.db"],
      ["libsql://db.example.com", "libsql://db.example.com"],
      ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ] as const
  ) assertEquals((await load({ version: 1, storage: { url } })).storage.url, expected);
  const remote = await load({ version: 1, storage: { url: "libsql://db", auth_token: "${API_KEY}" } });
  assertEquals(remote.storage.authToken, "the-key");
  const small = await load({ version: 1, storage: { url: "file:weir.db", min_free: "2MiB" } });
  assertEquals(small.storage.freeBytesMin, 2_097_152);
});

Deno.test("loadConfig: .env is read beside the file, and the environment wins over it", async () => {
  await using project = await createProject({
    "routes.yaml": `version: 1
sources:
  one: { provider: github, secret: "\${FROM_FILE}", path: "/a/\${WORD}" }
`,
    ".env": `FROM_FILE="${secret}"\nWORD=file\n`,
  });
  const config = await load(project.path("routes.yaml"), { environment: { WORD: "process" } });
  assertEquals((config.sources.get("one") as HttpSource).path, "/a/process");
  assertEquals(config.files, [project.path("routes.yaml"), project.path(".env")]);
});

Deno.test("loadConfig: $${ stands for ${ itself", async () => {
  const config = await load({
    version: 1,
    sources: { app: { publish: true } },
    routes: { a: { from: "app", on: "$${NOT_READ}", send: [{ url: "http://localhost/${API_KEY}" }] } },
  });
  assertEquals(config.routes[0]!.on, ["${NOT_READ}"]);
  const [target] = config.routes[0]!.destinations;
  assertEquals(target?.kind === "target" && target.url, "http://localhost/the-key");
});

Deno.test("loadConfig: a granted variable that is not set, and a source without ids, are warnings", async () => {
  await using project = await createProject({
    "routes.yaml": `version: 1
sources:
  a: { provider: hmac, secret: ${secret} }
  b: { provider: hmac, secret: ${secret}, options: { id_header: X-Id } }
routes:
  r:
    from: a
    handler: h.ts
    permissions: { env: [API_KEY, NOT_SET] }
`,
    "h.ts": "",
  });
  const loaded = await loadWhole(project.path("routes.yaml"));
  assertEquals(loaded.config.environment, { API_KEY: "the-key" });
  assertEquals(loaded.warnings.map(({ line, column, path }) => [line, column, path]), [
    [3, 3, "sources.a"],
    [9, 35, "routes.r.permissions.env[1]"],
  ]);
});

Deno.test("loadConfig: the hash is of the text, or of an object whatever the order of its keys", async () => {
  await using project = await createProject({ "a.yaml": "version: 1\n", "b.yaml": "version: 1 \n" });
  const [a, b] = [await load(project.path("a.yaml")), await load(project.path("b.yaml"))];
  assertEquals(a.hash, "09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847");
  assertNotEquals(a.hash, b.hash);
  const one = await load({ version: 1, sources: { app: { publish: true }, ape: { publish: true } } });
  const two = await load({ sources: { ape: { publish: true }, app: { publish: true } }, version: 1 });
  assertEquals(one.hash, two.hash);
  assert(/^[0-9a-f]{64}$/.test(one.hash));
});

Deno.test("loadConfig: no message shows a secret", async () => {
  await using project = await createProject({
    "routes.yaml": `version: 1
sources:
  a: { provider: github, secret: odd-literal-secret-text }
  b: { provider: github, secret: [ "\${ODD}", 5 ] }
  c: { provider: github, secret: "\${ODD}", type: "\${ODD}" }
storage: { url: file:x.db, auth_token: "\${ODD}" }
`,
  });
  const odd = "odd-value-of-the-environment";
  const text = (await refuse(project.path("routes.yaml"), { environment: { ODD: odd } })).join("\n");
  assert(!text.includes(odd) && !text.includes("odd-literal-secret-text"), text);
  assertStringIncludes(text, "sources.a.secret: is odd: [secret]");
  assertStringIncludes(text, "sources.c.secret: is odd: ${ODD}");
});

Deno.test("loadConfig: a file that is not there, too large, not text or not UTF-8 is an issue", async () => {
  await using project = await createProject({ "large.yaml": "#".repeat(1_048_577), "folder/x": "" });
  await Deno.writeFile(project.path("binary.yaml"), new Uint8Array([0x61, 0xff, 0xfe]));
  for (
    const [name, message] of [
      ["missing.yaml", "there is no such file (weir init makes one)"],
      ["large.yaml", "has 1048577 bytes; expected at most 1048576"],
      ["binary.yaml", "is not valid UTF-8"],
      ["folder", "is not a file"],
    ] as const
  ) {
    assertEquals(await refuse(project.path(name)), [`${project.path(name)}: ${message}`]);
  }
  await using other = await createProject({ "routes.yaml": "version: 1", ".env": "#".repeat(1_048_577) });
  assertEquals(await refuse(other.path("routes.yaml")), [
    `${other.path(".env")}: has 1048577 bytes; expected at most 1048576`,
  ]);
});

Deno.test("loadConfig: an object that is not data is an issue", async () => {
  const cyclic: Record<string, unknown> = { version: 1 };
  cyclic.sources = cyclic;
  const [line] = await refuse(cyclic as unknown as RoutesFile);
  assertStringIncludes(line!, "the configuration is not plain data");
});

Deno.test("loadConfig: never throws, whatever the text", async () => {
  await using project = await createProject(sampleFiles);
  const file = project.path("routes.yaml");
  const splice = fc.record({
    at: fc.nat(sample.length),
    cut: fc.nat(30),
    put: fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!x ",
        "${",
        "${API_KEY}",
        "null",
        "5",
        "\n",
        "\n  ",
        "? ",
      ),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(splice, { minLength: 1, maxLength: 5 }), async (splices) => {
      let text = sample;
      for (const { at, cut, put } of splices) text = text.slice(0, at) + put + text.slice(at + cut);
      await Deno.writeTextFile(file, text);
      const loaded = await loadConfig(file, options);
      if (loaded.ok) return;
      assert(loaded.issues.length > 0);
      for (const issue of loaded.issues) {
        assert(issue.line !== undefined && issue.line <= text.split("\n").length, formatIssue(issue));
        assert(!issue.message.includes(secret));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("loadConfig: never throws, whatever the object", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ version: fc.constant(1), sources: fc.object({ maxDepth: 3 }), routes: fc.object({ maxDepth: 3 }) }),
      async (source) => {
        await loadConfig(source as unknown as RoutesFile, options);
      },
    ),
    { numRuns: 300 },
  );
});
