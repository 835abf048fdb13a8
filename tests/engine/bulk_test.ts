/**
 * One word of a person for many deliveries or events: what it is for is settled when it begins, whatever the clock says,
 * whatever the work makes meanwhile and whoever else says the same.
 */

import { assertEquals } from "@std/assert";
import { startEngine } from "../support/engine.ts";
import { adminToken, askEngine } from "./admin_fixture.ts";

/** An engine with so many dead letters, whose handler does as it is told. */
async function startWithDead(count: number) {
  const control = { fails: true };
  const engine = await startEngine({
    adminToken,
    routes: { work: { from: "app", retry: { attempts: 1 } } },
    handlers: {
      work() {
        if (control.fails) throw new Error("told to fail");
      },
    },
  });
  const publish = (n: number) => engine.weir.publish({ source: "app", type: "t", body: n });
  for (let n = 0; n < count; n++) await publish(n);
  await engine.seen("delivery.attempted", undefined, count);
  const { ask } = askEngine(engine);
  /** What was made beside the first deliveries: of each the one that it repeats. */
  const made = async (): Promise<{ origin: string; eventId: string; redeliveryOf?: string }[]> =>
    (await ask("/deliveries?limit=500")).rows.filter(({ origin }: { origin: string }) => origin !== "event");
  return { engine, control, publish, ask, made };
}

Deno.test("bulk redeliver: two at once repeat each delivery once, and say what each of them has made", async () => {
  const { engine, control, ask, made } = await startWithDead(5);
  await using _ = engine;
  control.fails = false;
  const call = { filter: { state: "dead" } };
  const answers = await Promise.all([
    ask("/deliveries/redeliver", call),
    ask("/deliveries/redeliver", call),
    ask("/deliveries/redeliver", call),
  ]);
  assertEquals(answers.reduce((sum, { done }) => sum + done, 0), 5);
  assertEquals(new Set((await made()).map(({ redeliveryOf }) => redeliveryOf)).size, 5);
  assertEquals((await made()).length, 5);
});

Deno.test("bulk redeliver, replay, purge: find everything when the clock is set back; a time that is given stays one", async () => {
  const { engine, ask } = await startWithDead(5);
  await using _ = engine;
  const actions: [path: string, filter: Record<string, string>, count: (answer: Record<string, number>) => unknown][] =
    [
      ["/deliveries/redeliver", { state: "dead" }, ({ matched }) => matched],
      ["/events/replay", {}, ({ events }) => events],
      ["/events/purge", {}, ({ events }) => events],
    ];
  const dryRuns = async (times: Record<string, string>): Promise<unknown[]> => {
    const counts: unknown[] = [];
    for (const [path, filter, count] of actions) {
      counts.push(count(await ask(path, { filter: { ...filter, ...times }, dryRun: true })));
    }
    return counts;
  };
  engine.clock.jump(-3_600_000);
  assertEquals(await dryRuns({}), [5, 5, 5]);
  assertEquals(await dryRuns({ until: "0s" }), [0, 0, 0]);
  engine.clock.jump(3_600_001);
  assertEquals(await dryRuns({ until: "0s" }), [5, 5, 5]);
});

Deno.test("bulk redeliver: in pieces it takes nothing twice, though what it makes dies at once", async () => {
  const { engine, ask, made } = await startWithDead(5);
  await using _ = engine;
  engine.clock.jump(-3_600_000); // what it makes is older, by its time, than what it is made from
  const first = await ask("/deliveries/redeliver", { filter: { state: "dead" }, limit: 2 });
  let { done, nextAfter: after } = first;
  for (let pieces = 1; after !== undefined && pieces < 9; pieces++) {
    await engine.seen("delivery.attempted", undefined, 5 + done);
    const call = { filter: { state: "dead" }, limit: 2, after, before: first.before };
    const piece = await ask("/deliveries/redeliver", call);
    [done, after] = [done + piece.done, piece.nextAfter];
  }
  assertEquals([first.matched, done], [5, 5]);
  await engine.seen("delivery.attempted", undefined, 10);
  const rows = await made();
  const own = new Set(
    (await ask("/deliveries?limit=500&state=dead")).rows.slice(5).map(({ id }: { id: string }) => id),
  );
  assertEquals(rows.length, 5);
  assertEquals(new Set(rows.map(({ redeliveryOf }) => redeliveryOf)), own);
});

Deno.test("replay: an event that arrives between two pieces is not in them", async () => {
  const { engine, control, publish, ask, made } = await startWithDead(5);
  await using _ = engine;
  control.fails = false;
  engine.clock.jump(-3_600_000);
  const first = await ask("/events/replay", { filter: {}, limit: 2 });
  let { events, nextAfter: after } = first;
  for (let pieces = 1; after !== undefined && pieces < 9; pieces++) {
    await publish(100 + pieces);
    const piece = await ask("/events/replay", { filter: {}, limit: 2, after, before: first.before });
    [events, after] = [events + piece.events, piece.nextAfter];
  }
  assertEquals(events, 5);
  const rows = await made();
  assertEquals([rows.length, new Set(rows.map(({ eventId }) => eventId)).size], [5, 5]);
});

Deno.test("purge: an event that arrives between two pieces stays", async () => {
  const { engine, publish, ask } = await startWithDead(2);
  await using _ = engine;
  const { before } = await ask("/events/purge", { filter: {}, dryRun: true });
  const late = await publish(3);
  await engine.seen("delivery.attempted", undefined, 3);
  assertEquals((await ask("/events/purge", { filter: {}, before })).events, 2);
  assertEquals((await ask("/events")).rows.map(({ id }: { id: string }) => id), [late.id]);
});
