/**
 * Cron sources on a real log and a fake clock: each tick once, whatever becomes of the engine, of its neighbours and of
 * the clock.
 */

import { assertEquals } from "@std/assert";
import { createWeir, type RoutesFile } from "weir";
import { standard } from "weir/plugins";
import { formatIssue, loadConfig } from "../../core/config/load.ts";
import type { Config } from "../../core/domain/config.ts";
import { createCron, type Cron, lookMsMax } from "../../core/engine/cron.ts";
import { createGeneration } from "../../core/engine/generation.ts";
import { createIntake } from "../../core/engine/intake.ts";
import type { Observation } from "../../core/engine/observer.ts";
import { createIdMaker } from "../../core/engine/system_clock.ts";
import { openStore } from "../../core/store/open.ts";
import { type Store, StoreUnavailable } from "../../core/store/store.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];

type Sources = RoutesFile["sources"];

/** A log, a clock, and as many engines' cron loops on them as a test wants. */
interface Rig extends AsyncDisposable {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly observed: Observation[];
  readonly paused: Set<string>;
  /** Starts one more loop; it is settled when the promise resolves. */
  engine(append?: Store["append"]): Promise<Cron>;
  /** Swaps the configuration and tells nobody yet. */
  swap(sources: Sources): Promise<void>;
  /** Swaps the configuration under all loops. */
  configure(sources: Sources): Promise<void>;
  /** Moves the clock, in steps where given, and waits until every loop sleeps again. */
  pass(ms: number, stepMs?: number): Promise<void>;
  settled(): Promise<void>;
  /** The instants of all ticks in the log, oldest first, as `2025-03-30T01:00`. */
  ticks(source?: string): Promise<string[]>;
}

async function createRig(startAt: string, sources: Sources): Promise<Rig> {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const clock = createFakeClock(Date.parse(`${startAt}Z`));
  const url = `file:${folder}/weir.db`;
  const store = await openStore({ url, boot: "one", now: clock.now(), idempotencyMs: () => 7 * dayMs });
  const load = async (given: Sources): Promise<Config> => {
    const loaded = await loadConfig({ version: 1, storage: { url }, sources: given }, { providers: [] });
    if (!loaded.ok) throw new Error(loaded.issues.map(formatIssue).join("\n"));
    return loaded.config;
  };
  const runners = standard().runners;
  const generationOf = (config: Config) => createGeneration(config, { store, runners, handlers: {}, host: { clock } });
  let generation = await generationOf(await load(sources));
  const observed: Observation[] = [];
  const paused = new Set<string>();
  const engines: Cron[] = [];
  const observe = (observation: Observation): void => void observed.push(observation);
  const settled = async (): Promise<void> => {
    const sleeping = [...generation.config.sources.values()].some(({ kind }) => kind === "cron") ? engines.length : 0;
    await until("every loop sleeps", () => clock.waiting === sleeping);
  };
  const swap = async (given: Sources): Promise<void> => {
    generation = await generationOf(await load(given));
  };
  return {
    store,
    clock,
    observed,
    paused,
    swap,
    settled,
    async engine(append = store.append) {
      const makeId = createIdMaker(clock);
      const intake = createIntake({
        store: { append },
        generation: () => generation,
        clock,
        makeId,
        observe,
        wake: () => {},
      });
      const cron = createCron({
        store,
        generation: () => generation,
        intake,
        paused: (source) => paused.has(source),
        clock,
        observe,
      });
      engines.push(cron);
      cron.start();
      await settled();
      return {
        ...cron,
        async stop() {
          await cron.stop();
          engines.splice(engines.indexOf(cron), 1);
        },
      };
    },
    async configure(given) {
      await swap(given);
      for (const cron of engines) cron.wake();
      await settled();
    },
    async pass(ms, stepMs = ms) {
      for (let left = ms; left > 0; left -= stepMs) {
        clock.advance(Math.min(stepMs, left));
        await settled();
      }
    },
    async ticks(source) {
      const { rows } = await store.events({ limit: 1_000, source });
      return rows.toReversed().map(({ time }) => new Date(time!).toISOString().slice(0, 16));
    },
    async [Symbol.asyncDispose]() {
      for (const cron of [...engines]) await cron.stop();
      await store.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const nightly = { nightly: { cron: "30 2 * * *", timezone: "Europe/Berlin", body: { job: "report" } } };

Deno.test("cron: a tick is an event of type cron, known by its instant and remembered with it", async () => {
  await using rig = await createRig("2025-07-01T00:00", nightly);
  await rig.engine();
  await rig.pass(45 * minuteMs, 5 * minuteMs);
  const { rows: [event] } = await rig.store.events({ limit: 10 });
  const at = Date.parse("2025-07-01T00:30Z");
  assertEquals([event!.source, event!.type, event!.idempotencyKey, event!.time, event!.receivedAt], [
    "nightly",
    "cron",
    "2025-07-01T00:30:00.000Z",
    at,
    at,
  ]);
  const { raw, headers } = (await rig.store.event(event!.id))!;
  assertEquals([new TextDecoder().decode(raw), headers["content-type"]], [`{"job":"report"}`, "application/json"]);
  assertEquals(await rig.store.sources(), [{ name: "nightly", paused: undefined, cronAt: at }]);
});

Deno.test("cron: in spring and in autumn a time of day ticks once a day, an interval with every hour that passes", async () => {
  const sources = { ...nightly, hourly: { cron: "0 * * * *", timezone: "Europe/Berlin" } };
  for (
    const [start, expected] of [
      ["2025-03-29T00:00", ["2025-03-29T01:30", "2025-03-30T01:00", "2025-03-31T00:30"]],
      ["2025-10-25T00:00", ["2025-10-25T00:30", "2025-10-26T00:30", "2025-10-27T01:30"]],
    ] as const
  ) {
    await using rig = await createRig(start, sources);
    await rig.engine();
    await rig.pass(3 * dayMs, 15 * minuteMs);
    assertEquals(await rig.ticks("nightly"), [...expected]);
    assertEquals((await rig.ticks("hourly")).length, 72);
  }
});

Deno.test("cron: what was missed while no engine ran runs once at the start, and only if it was missed", async () => {
  await using rig = await createRig("2025-07-01T00:00", { hourly: { cron: "0 * * * *" } });
  const first = await rig.engine();
  await rig.pass(90 * minuteMs, 10 * minuteMs);
  await first.stop();
  rig.clock.advance(20 * minuteMs);
  const second = await rig.engine();
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"], "nothing was missed");
  await second.stop();
  rig.clock.advance(5 * dayMs);
  await rig.engine();
  assertEquals(await rig.ticks(), ["2025-07-01T01:00", "2025-07-06T01:00"]);
  await rig.pass(30 * minuteMs, 10 * minuteMs);
  assertEquals((await rig.ticks()).at(-1), "2025-07-06T02:00");
});

Deno.test("cron: an engine that dies before the first tick of a new source has missed it all the same", async () => {
  await using rig = await createRig("2025-07-01T00:10", { hourly: { cron: "0 * * * *" } });
  const first = await rig.engine();
  assertEquals(await rig.ticks(), [], "what was before the source is no concern of it");
  await first.stop();
  rig.clock.advance(hourMs);
  await rig.engine();
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"]);
});

Deno.test("cron: a look that a reload overtakes ends under the configuration that it began with", async () => {
  const hourly = { cron: "0 * * * *" };
  await using rig = await createRig("2025-07-01T00:10", { hourly });
  await (await rig.engine()).stop();
  rig.clock.advance(hourMs);
  await rig.swap({ hourly, fresh: { cron: "0 0 * * *" } });
  const logged: { source: string; configHash: string }[] = [];
  await rig.engine(async (request) => {
    logged.push(request);
    if (request.source === "fresh") await rig.swap({ hourly: { ...hourly, body: "of another configuration" } });
    return await rig.store.append(request);
  });
  assertEquals(logged.map(({ source }) => source), ["fresh", "hourly"]);
  assertEquals(logged[1]!.configHash, logged[0]!.configHash);
});

Deno.test("cron: a clock set back makes ticks late and never twice, one set forward misses once", async () => {
  await using rig = await createRig("2025-07-01T00:00", { hourly: { cron: "0 * * * *" } });
  await rig.engine();
  await rig.pass(2 * hourMs, 10 * minuteMs);
  const two = ["2025-07-01T01:00", "2025-07-01T02:00"];
  assertEquals(await rig.ticks(), two);

  rig.clock.jump(-90 * minuteMs); // it is 00:30 again
  await rig.pass(2 * hourMs, 10 * minuteMs); // 02:30: both hours have been before
  assertEquals(await rig.ticks(), two);
  await rig.pass(30 * minuteMs, 10 * minuteMs);
  assertEquals(await rig.ticks(), [...two, "2025-07-01T03:00"]);

  rig.clock.jump(5 * hourMs + 10 * minuteMs); // 08:10
  await rig.pass(lookMsMax); // noticed within a look
  assertEquals(await rig.ticks(), [...two, "2025-07-01T03:00", "2025-07-01T08:00"]);
  await rig.pass(hourMs, 10 * minuteMs);
  assertEquals((await rig.ticks()).slice(4), ["2025-07-01T09:00"]);
  const warnings = rig.observed.flatMap((o) => o.kind === "engine" ? [o.message] : []);
  assertEquals(warnings, ["missed ticks of hourly since 2025-07-01T04:00:00.000Z; only the last one runs"]);
});

Deno.test("cron: an engine set back and started again does not repeat what the log has", async () => {
  await using rig = await createRig("2025-07-01T00:30", { hourly: { cron: "0 * * * *" } });
  const first = await rig.engine();
  await rig.pass(hourMs, 10 * minuteMs);
  await first.stop();
  rig.clock.jump(-hourMs);
  await rig.engine();
  await rig.pass(hourMs, 10 * minuteMs);
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"]);
});

Deno.test("cron: a clock that was years ahead keeps no source silent, neither while it runs nor after a restart", async () => {
  await using rig = await createRig("2031-07-01T00:30", { hourly: { cron: "0 * * * *" } });
  const first = await rig.engine();
  await rig.pass(hourMs, 10 * minuteMs);
  rig.clock.jump(Date.parse("2025-07-01T00:30Z") - rig.clock.now());
  await rig.pass(hourMs, 10 * minuteMs);
  assertEquals(await rig.ticks(), ["2031-07-01T01:00", "2025-07-01T01:00"]);
  await first.stop();
  rig.clock.jump(2 * hourMs); // 03:30
  await rig.engine();
  await rig.pass(hourMs, 10 * minuteMs);
  assertEquals((await rig.ticks()).slice(2), ["2025-07-01T03:00", "2025-07-01T04:00"]);
});

Deno.test("cron: several engines on one log do not double a tick", async () => {
  await using rig = await createRig("2025-07-01T00:00", { minutely: { cron: "* * * * *" } });
  for (let n = 0; n < 3; n++) await rig.engine();
  await rig.pass(20 * minuteMs, minuteMs);
  const ticks = await rig.ticks();
  assertEquals([ticks.length, new Set(ticks).size], [20, 20]);
  const received = rig.observed.flatMap((o) => o.kind === "event.received" ? [o.status] : []);
  assertEquals(received.filter((status) => status === "duplicate").length, 40);
});

Deno.test("cron: a reload adds, removes and changes sources, which begin when they come", async () => {
  await using rig = await createRig("2025-07-01T00:30", {});
  await rig.engine();
  await rig.configure({ hourly: { cron: "0 * * * *" } });
  assertEquals(await rig.ticks(), []);
  await rig.pass(hourMs, 10 * minuteMs);
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"]);

  await rig.configure({});
  await rig.pass(3 * hourMs, hourMs);
  await rig.configure({ hourly: { cron: "0 * * * *" } });
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"], "it was not there: nothing was missed");
  await rig.configure({ hourly: { cron: "15 * * * *" } });
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"], "04:15 was before the change");
  await rig.pass(hourMs, 10 * minuteMs);
  assertEquals(await rig.ticks(), ["2025-07-01T01:00", "2025-07-01T05:15"]);
});

Deno.test("cron: a paused source does not tick; when it goes on, the last tick that it missed runs", async () => {
  await using rig = await createRig("2025-07-01T00:30", {
    hourly: { cron: "0 * * * *" },
    other: { cron: "0 * * * *" },
  });
  await rig.engine();
  rig.paused.add("hourly");
  await rig.pass(3 * hourMs, 10 * minuteMs);
  assertEquals([(await rig.ticks("hourly")).length, (await rig.ticks("other")).length], [0, 3]);
  rig.paused.delete("hourly");
  await rig.pass(lookMsMax);
  assertEquals(await rig.ticks("hourly"), ["2025-07-01T03:00"]);
});

Deno.test("cron: a log that cannot be written is asked again, and the tick is in it once", async () => {
  await using rig = await createRig("2025-07-01T00:59", { hourly: { cron: "0 * * * *" } });
  let failures = 0;
  await rig.engine((request) =>
    failures-- > 0 ? Promise.reject(new StoreUnavailable("the disk is gone")) : rig.store.append(request)
  );
  failures = 2;
  await rig.pass(minuteMs);
  assertEquals(await rig.ticks(), []);
  await rig.pass(2_000, 1_000);
  assertEquals(await rig.ticks(), ["2025-07-01T01:00"]);
  assertEquals(rig.observed.flatMap((o) => o.kind === "engine" ? [o.message] : []), [
    "cannot tick: StoreUnavailable: the disk is gone",
    "cannot tick: StoreUnavailable: the disk is gone",
  ]);
});

Deno.test("weir: a cron source of routes.yaml reaches its route, and a reload changes when", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const write = (cron: string) =>
    Deno.writeTextFile(
      `${folder}/routes.yaml`,
      `version: 1\nsources:\n  clock: { cron: "${cron}", body: { n: 1 } }\nroutes:\n  work: { from: clock }\n`,
    );
  await write("0 * * * *");
  const clock = createFakeClock(Date.parse("2025-07-01T00:30:00Z"));
  const ran: unknown[] = [];
  const weir = await createWeir({
    ...standard(),
    config: `${folder}/routes.yaml`,
    handlers: { work: (event) => void ran.push([event.type, event.idempotencyKey, event.body]) },
    environment: {},
    clock,
  });
  try {
    await weir.start();
    const passUntil = (count: number) =>
      until(`${count} ticks have run`, () => {
        clock.advance(5_000);
        return ran.length === count;
      });
    await passUntil(1);
    await write("30 * * * *");
    assertEquals((await weir.reload()).ok, true);
    await passUntil(2);
    assertEquals(ran, [
      ["cron", "2025-07-01T01:00:00.000Z", { n: 1 }],
      ["cron", "2025-07-01T01:30:00.000Z", { n: 1 }],
    ]);
  } finally {
    await weir.stop({ graceMs: 0 });
    await Deno.remove(folder, { recursive: true });
  }
});
