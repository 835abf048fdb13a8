/**
 * Scripts whose process had to be killed, and those that are only suspected: who has a process of its own, and in what
 * order they get one.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { failureOf, isSpinning, resultOf, until, withHandler } from "./script_rig.ts";

Deno.test("createScriptRunner: a killed attempt's neighbours are interrupted, and it runs alone from then on", async () => {
  const handler = `export default async (event) => {
    if (event.body.spin) for (;;);
    await new Promise(() => {});
  };`;
  await withHandler({ files: { "handler.ts": handler }, timeoutMs: 2_000 }, async (rig) => {
    const spinning = rig.run({ deliveryId: "dlv_spin" }, { body: { spin: true } });
    await until(() => rig.pids().some(isSpinning), "its spinning");
    const neighbour = rig.run();
    assertEquals((await spinning).outcome, { kind: "failed", reason: "timed out after 2s" });
    assertEquals((await neighbour).outcome.kind, "interrupted");
    const both = [rig.run({ deliveryId: "dlv_spin" }, { body: { spin: true } }), rig.run()];
    await until(() => rig.pids().length === 2, "two processes");
    await Promise.all(both);
  });
});

Deno.test("createScriptRunner: of any number of suspects eight have a process at once", async () => {
  const handler = "export default () => new Promise((resolve) => setTimeout(resolve, 200, 1));";
  await withHandler({ files: { "handler.ts": handler } }, async (rig) => {
    const suspects = Array.from({ length: 10 }, (_, at) => rig.run({ deliveryId: `dlv_${at}`, suspect: true }));
    let ended = false;
    let most = 0;
    const all = Promise.all(suspects).finally(() => ended = true);
    await until(() => {
      most = Math.max(most, rig.pids().length);
      return ended;
    }, "the end of all");
    assertEquals([(await all).map(resultOf), most], [Array(10).fill("1"), 8]);
  });
});

Deno.test("createScriptRunner: who is only suspected goes ahead of those for whom a process had to be killed", async () => {
  const handler = `export default async (event, { signal }) => {
    const { waits, deaf } = event.body;
    if (deaf) await new Promise(() => {});
    if (waits && !signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "done";
  };`;
  const timers = new Set<() => void>();
  const timer = (_delayMs: number, wake: () => void) => {
    timers.add(wake);
    return () => void timers.delete(wake);
  };
  const clock = { now: () => 0, monotonic: () => 0, timer };
  await withHandler({ files: { "handler.ts": handler }, clock }, async (rig) => {
    const ids = Array.from({ length: 9 }, (_, at) => `dlv_killed_${at}`);
    let ended = 0;
    const ends = <Report>(run: Promise<Report>) => run.finally(() => ended++);
    const killed = ids.map((deliveryId) => ends(rig.run({ deliveryId, suspect: true }, { body: { deaf: true } })));
    await until(() => {
      for (const wake of [...timers]) timers.delete(wake) && wake();
      return ended === ids.length;
    }, "the end of their time");
    for (const report of await Promise.all(killed)) assertMatch(failureOf(report).reason, /^timed out/);

    const stops = ids.map(() => new AbortController());
    const waiting = ids.map((deliveryId, at) =>
      rig.run({ deliveryId }, { body: { waits: true }, stop: stops[at]!.signal })
    );
    ended = 0;
    const suspect = ends(rig.run({ deliveryId: "dlv_suspect", suspect: true }, { body: {} }));
    stops[0]!.abort();
    await until(() => ended === 1, "the suspect, in the one place that is free");
    assertEquals(resultOf(await suspect), `"done"`);
    for (const stop of stops) stop.abort();
    await Promise.all(waiting);
  });
});
