/**
 * Waiting on a clock that people set: delays and retries come late when it goes back, within a minute when it goes
 * forward, and never twice; a lease does not care what time it is.
 */

import { assertEquals } from "@std/assert";
import { startEngine, type TestEngine } from "../support/engine.ts";
import { until } from "../support/until.ts";
import { adminToken, askEngine } from "./admin_fixture.ts";

const [minuteMs, hourMs] = [60_000, 3_600_000];

const publish = (engine: TestEngine, body: unknown) => engine.weir.publish({ source: "app", type: "t", body });

const attempts = (engine: TestEngine): number =>
  engine.observed.filter(({ kind }) => kind === "delivery.attempted").length;

/** Moves the clock in steps; between two of them the engine may do what has fallen due. */
async function pass(engine: TestEngine, ms: number, stepMs: number): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    engine.clock.advance(Math.min(stepMs, left));
    await publish(engine, "probe"); // it runs at once: whatever was due has been claimed with it
    const probes = engine.observed.filter((o) => o.kind === "event.received" && o.queues.includes("probe")).length;
    await engine.seen("delivery.attempted", (o) => o.queue === "probe", probes);
  }
}

const probe = { from: "app", when: 'body == "probe"' };
const notProbe = 'body != "probe"';

/** An engine whose route `work` does what a test is about, and whose route `probe` shows that it has looked. */
function start(
  route: Record<string, unknown>,
  work: (attempt: number) => unknown,
): Promise<TestEngine> {
  return startEngine({
    routes: { work: { from: "app", when: notProbe, ...route }, probe },
    handlers: { work: (_event, ctx) => work(ctx.attempt), probe: () => {} },
  });
}

const failing = { retry: { attempts: 3, schedule: ["1h"], jitter: 0 } };

function failTwice(starts: number[]): (attempt: number) => void {
  return (attempt) => {
    starts.push(attempt);
    if (attempt < 3) throw new Error("not yet");
  };
}

Deno.test("time: a delay counts from the event, and survives the engine", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const routes = { work: { from: "app", delay: "2h", order_by: "body.key" } };
  const ran: unknown[] = [];
  const handlers = { work: (event: { body: { n: number } }) => void ran.push(event.body.n) };
  const first = await startEngine({ folder, routes, handlers });
  await publish(first, { key: "a", n: 1 });
  first.clock.advance(hourMs);
  await publish(first, { key: "a", n: 2 });
  first.clock.advance(hourMs - 1);
  await first.weir.stop();
  assertEquals(ran, []);

  await using second = await startEngine({ folder, routes, handlers }); // its clock begins where the first one's began
  second.clock.advance(2 * hourMs);
  await second.seen("delivery.attempted");
  assertEquals(ran, [1], "the second of the lane has an hour left");
  second.clock.advance(hourMs);
  await second.seen("delivery.attempted", undefined, 2);
  assertEquals(ran, [1, 2]);
});

Deno.test("time: a replay is delayed from when its event came, not from now", async () => {
  await using engine = await startEngine({
    adminToken,
    routes: { work: { from: "app", delay: "2h" } },
    handlers: { work: () => {} },
  });
  const { ask } = askEngine(engine);
  const { id } = await publish(engine, 1);
  engine.clock.advance(hourMs);
  await ask("/events/replay", { ids: [id] });
  const { rows } = await ask("/deliveries");
  assertEquals(rows.map(({ origin, dueAt }: { origin: string; dueAt: number }) => [origin, dueAt - rows[1].dueAt]), [
    ["replay", 0],
    ["event", 0],
  ]);
});

Deno.test("time: a retry is late when the clock is set back, and runs once", async () => {
  const starts: number[] = [];
  await using engine = await start(failing, failTwice(starts));
  await publish(engine, 1);
  await engine.seen("delivery.attempted");
  engine.clock.jump(-3 * hourMs);
  await pass(engine, 4 * hourMs - 10 * minuteMs, 30 * minuteMs);
  assertEquals(starts, [1], "due at a time that has not come again");
  await pass(engine, 10 * minuteMs, 5 * minuteMs);
  assertEquals(starts, [1, 2]);
  await pass(engine, hourMs, 30 * minuteMs);
  assertEquals(starts, [1, 2, 3]);
});

Deno.test("time: a retry runs within a minute when the clock is set forward past it, and runs once", async () => {
  const starts: number[] = [];
  await using engine = await start(failing, failTwice(starts));
  await publish(engine, 1);
  await engine.seen("delivery.attempted");
  await until("it waits", () => engine.clock.waiting > 1);
  engine.clock.jump(10 * hourMs);
  engine.clock.advance(minuteMs);
  await engine.seen("delivery.attempted", undefined, 2);
  assertEquals(starts, [1, 2]);
  await pass(engine, hourMs - minuteMs, 30 * minuteMs);
  assertEquals(starts, [1, 2], "the next one counts from the new time");
  await pass(engine, minuteMs, minuteMs);
  assertEquals(starts, [1, 2, 3]);
});

Deno.test("time: a lease holds whatever the clock does while the attempt runs", async () => {
  for (const jumpMs of [-365 * 24 * hourMs, 365 * 24 * hourMs]) {
    let starts = 0;
    const gate = Promise.withResolvers<void>();
    await using engine = await start({ timeout: "2h" }, () => (starts++, gate.promise));
    await publish(engine, 1);
    await until("it runs", () => starts === 1);
    engine.clock.jump(jumpMs);
    await pass(engine, hourMs, 5 * minuteMs);
    gate.resolve();
    const ended = await engine.seen("delivery.attempted", (o) => o.queue === "work");
    assertEquals([ended.state, starts], ["succeeded", 1]);
    assertEquals(ended.durationMs, hourMs, "measured by the clock that nobody sets");
    assertEquals(engine.observed.some(({ kind }) => kind === "lease.lost"), false);
  }
});

Deno.test("time: a timeout is measured by the clock that nobody sets", async () => {
  await using engine = await start({ timeout: "10m", retry: { attempts: 1 } }, () => new Promise(() => {}));
  await publish(engine, 1);
  await until("its timer is set", () => engine.clock.waiting > 1);
  engine.clock.jump(24 * hourMs);
  await pass(engine, 9 * minuteMs, minuteMs);
  assertEquals(engine.observed.some((o) => o.kind === "delivery.attempted" && o.queue === "work"), false);
  engine.clock.jump(-48 * hourMs);
  engine.clock.advance(minuteMs);
  assertEquals(
    (await engine.seen("delivery.attempted", (o) => o.queue === "work")).reason,
    "failed 1 of 1 attempts; timed out after 10m",
  );
});

Deno.test("time: a timeout counts from the start of the attempt, however late that is (trap: a timeout measured from the due time)", async () => {
  const route = { delay: "1s", timeout: "10m", retry: { attempts: 1 } };
  await using engine = await start(route, () => new Promise(() => {}));
  await publish(engine, 1);
  await until("it is to be looked for in a second", () => engine.clock.isDueIn(1_000));
  engine.clock.advance(24 * hourMs); // in one step: it is claimed when it has been due for a day
  await until("its timer is set", () => engine.clock.isDueIn(10 * minuteMs));
  await pass(engine, 10 * minuteMs - 1, 5 * minuteMs);
  assertEquals(engine.observed.some((o) => o.kind === "delivery.attempted" && o.queue === "work"), false);
  engine.clock.advance(1);
  const ended = await engine.seen("delivery.attempted", (o) => o.queue === "work");
  assertEquals([ended.reason, ended.durationMs], ["failed 1 of 1 attempts; timed out after 10m", 10 * minuteMs]);
});

Deno.test("time: work that is there when the clock is set back runs at once if it is due, whatever the clock says", async () => {
  await using engine = await start({}, () => {});
  engine.clock.jump(-24 * hourMs);
  await publish(engine, 1);
  await engine.seen("delivery.attempted");
  engine.clock.jump(48 * hourMs);
  await publish(engine, 2);
  await engine.seen("delivery.attempted", undefined, 2);
  assertEquals(attempts(engine), 2);
});

for (const queues of [1, 60]) {
  Deno.test(`time: a clock that is set back keeps no rate limit of ${queues} queues closed, in one engine or over a restart`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
    const others = Array.from({ length: queues - 1 }, (_, n) => `other${n}`);
    const starts: number[] = [];
    const options = {
      folder,
      routes: {
        work: { from: "app", when: 'body != "probe" && body != "seen"', rate_limit: "1/m" },
        probe,
        ...Object.fromEntries(others.map((name) => [name, { from: "app", when: "false" }])),
      },
      handlers: {
        work: () => void starts.push(1),
        probe: () => {},
        ...Object.fromEntries(others.map((name) => [name, () => {}])),
      },
    };
    const first = await startEngine(options);
    for (let n = 0; n < 10; n++) await publish(first, n);
    first.clock.jump(2 * hourMs); // so that they stay due when it is set back
    await pass(first, 2 * minuteMs, minuteMs);
    assertEquals(starts.length, 3);
    first.clock.jump(-hourMs);
    await passUnseen(first, 3);
    await until("one has started by the new time", () => starts.length > 3);
    await first.weir.stop();

    const before = starts.length;
    await using second = await startEngine(options); // its clock begins where the first one's began
    await passUnseen(second, 3);
    await until("one has started in the second engine", () => starts.length > before);
  });
}

/** Lets minutes pass in which nothing comes in that would make the engine look. */
async function passUnseen(engine: TestEngine, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    engine.clock.advance(minuteMs);
    await engine.weir.publish({ source: "app", type: "t", body: "seen" }); // it goes nowhere: only its commit is waited for
  }
}
