/** What is said of a reload: by the engine itself, once, whoever asked for it, so that log and metrics agree. */

import { assertEquals, assertMatch } from "@std/assert";
import { createWeir, type RoutesFile } from "weir";
import { standard } from "weir/plugins";
import { formatIssue, loadConfig } from "../../core/config/load.ts";
import type { Address, Config, Source } from "../../core/domain/config.ts";
import { describeReload } from "../../core/engine/reload_report.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { makeConfig } from "../http/http_fixture.ts";

const nothing = { orphaned: 0, reorderedLanes: 0 };

function config(
  hash: string,
  changed: { sources?: string[]; listen?: Address; variables?: Record<string, string> } = {},
): Config {
  const sources = (changed.sources ?? ["a"]).map((name): Source => ({ kind: "publish", name }));
  return makeConfig(sources as never, {
    config: { hash, variables: new Map(Object.entries(changed.variables ?? {})) },
    server: changed.listen && { listen: changed.listen },
  });
}

Deno.test("describeReload: what changed by its names, and a warning for each thing that a person should know", () => {
  const say = (...[before, after, effect]: Parameters<typeof describeReload>) =>
    describeReload(before, after, effect).map(({ level, message }) => `${level} ${message}`);
  assertEquals(say(config("1"), config("1"), nothing), ["info reloaded: routes.yaml says the same as before"]);
  assertEquals(say(config("1"), config("2"), nothing), ["info reloaded: 1 source, 0 routes"]);
  assertEquals(say(config("1"), config("2", { sources: ["b", "c"] }), { orphaned: 2, reorderedLanes: 1 }), [
    "info reloaded: 2 sources, 0 routes (source b added, source c added, source a removed)",
    "warn orphaned: 2 open, whose route or target is gone; they wait until it is back",
    "warn another order_by: 1 lane of the old one still to finish; order across the change is not promised",
  ]);
});

Deno.test("describeReload: a variable that has another value is named, and no value is said", async () => {
  const say = (before: Config, after: Config) => describeReload(before, after, nothing)[0]!.message;
  const [old, rotated] = [
    config("1", { variables: { A: "1", B: "" } }),
    config("1", { variables: { A: "2", B: "3" } }),
  ];
  assertEquals(say(old, rotated), "reloaded: routes.yaml says the same as before, with another value of A and B");
  assertEquals(
    say(old, config("2", { variables: { A: "2", C: "1" } })),
    "reloaded: 1 source, 0 routes (another value of A)",
  );

  const file: RoutesFile = { version: 1, sources: { a: { provider: "token", secret: "${DOOR}" } } };
  const load = async (value: string) => {
    const loaded = await loadConfig(file, { providers: standard().providers, environment: { DOOR: value } });
    if (!loaded.ok) throw new Error(loaded.issues.map(formatIssue).join("\n"));
    return loaded.config;
  };
  const [first, second] = [await load("the-secret-of-before"), await load("the-secret-of-after!")];
  assertEquals(say(first, first), "reloaded: routes.yaml says the same as before");
  assertEquals(say(first, second), "reloaded: routes.yaml says the same as before, with another value of DOOR");
  assertEquals([...second.variables.values()].some((value) => value.includes("secret")), false);
});

Deno.test("describeReload: the address to listen on is held against the ports that are open, not against the text before", () => {
  const [here, elsewhere] = [{ hostname: "127.0.0.1", port: 8080 }, { hostname: "127.0.0.1", port: 9090 }];
  const ports = { ingest: here, admin: { hostname: "127.0.0.1", port: 8081 } };
  const warned = (before: Address, after: Address) =>
    describeReload(config("1", { listen: before }), config("2", { listen: after }), { ...nothing, ports })
      .some(({ level, message }) => level === "warn" && message.includes("restart the engine to listen there"));
  assertEquals(warned(here, elsewhere), true);
  assertEquals(warned(elsewhere, elsewhere), true);
  assertEquals(warned(elsewhere, here), false);
  assertEquals(warned(here, { ...here, port: 0 }), false);
  assertEquals(warned(here, { ...here, hostname: "0.0.0.0" }), true);
});

Deno.test("weir: what came of a reload is said once and counted, whether a program or the API asked for it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const file: RoutesFile = {
    version: 1,
    storage: { url: `file:${folder}/weir.db` },
    server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0" },
    sources: { a: { publish: true } },
  };
  const adminToken = "0123456789abcdef";
  const weir = await createWeir({ ...standard(), config: file, adminToken, environment: {}, clock: createFakeClock() });
  const said: string[] = [];
  weir.observe((one) => one.kind === "engine" && said.push(`${one.level} ${one.message}`));
  await weir.start();
  const ask = async (path: string, method = "GET") => {
    const headers = { authorization: `Bearer ${adminToken}`, host: "127.0.0.1" };
    const response = await weir.admin(new Request(`http://127.0.0.1${path}`, { method, headers }));
    return { status: response.status, text: await response.text() };
  };
  try {
    Object.assign(file, { sources: { b: { publish: true } } });
    assertEquals((await weir.reload()).ok, true);
    assertEquals((await ask("/api/v1/config/reload", "POST")).status, 200);
    Object.assign(file, { routes: { one: { from: "c", send: [] }, two: { from: "c", send: [] } } });
    assertEquals((await weir.reload()).ok, false);
    assertEquals((await ask("/api/v1/config/reload", "POST")).status, 422);
    assertEquals(said.length, 4);
    assertEquals(said.slice(0, 2), [
      "info reloaded: 1 source, 0 routes (source b added, source a removed)",
      "info reloaded: routes.yaml says the same as before",
    ]);
    for (const refusal of said.slice(2)) {
      assertMatch(refusal, /^error not reloaded, the configuration before stays: routes\.one.*; and \d more issues$/);
    }
    const { text } = await ask("/metrics");
    assertMatch(text, /^weir_engine_messages_total\{level="info"\} 2$/m);
    assertMatch(text, /^weir_engine_messages_total\{level="error"\} 2$/m);

    said.length = 0;
    await weir.listen();
    Object.assign(file, { routes: {}, server: { listen: "0.0.0.0:0", admin: "127.0.0.1:0" } });
    assertEquals((await weir.reload()).ok, true);
    assertMatch(said.at(-1)!, /^warn server\.listen and server\.admin are read at the start only/);
    const stopping = weir.stop({ graceMs: 0 });
    said.length = 0;
    assertEquals((await weir.reload()).ok, false);
    await stopping;
    assertEquals(said.filter((line) => line.includes("reloaded")), []);
  } finally {
    await weir.stop({ graceMs: 0 });
    await Deno.remove(folder, { recursive: true });
  }
});
