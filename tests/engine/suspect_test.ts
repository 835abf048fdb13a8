/**
 * What took a process down before runs alone: the runner of a script is told so, and an inline handler, which shares the
 * process of the engine, has it for itself.
 */

import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { createWeir } from "weir";
import { standard } from "weir/plugins";
import type { Attempt } from "../../core/domain/handler.ts";
import { openStore } from "../../core/store/open.ts";
import { startEngine } from "../support/engine.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { createProject } from "../support/project.ts";
import { until } from "../support/until.ts";

const dyingEngine = fileURLToPath(new URL("../fixtures/dying_engine.ts", import.meta.url));

Deno.test("createWeir: of ten inline deliveries that ran when the engine died only the one that does it each time is poison", async () => {
  await using project = await createProject({});
  const folder = project.path("");
  const first = await startEngine({
    folder,
    routes: { work: { from: "app", delay: "1h" } }, // long ago by the clock of the engines that follow
    handlers: { work: () => {} },
  });
  for (let body = 0; body < 10; body++) await first.weir.publish({ source: "app", type: "t", body });
  await first.weir.stop();

  const codes: number[] = [];
  while (codes.at(-1) !== 0 && codes.length < 6) {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", dyingEngine, folder, "3"],
      stdout: "null",
      stderr: "piped",
    }).output();
    codes.push(code);
    if (code !== 0) assertEquals([code, new TextDecoder().decode(stderr)], [9, ""]);
  }
  assertEquals(codes, [9, 9, 9, 0]);

  const store = await openStore({ url: `file:${folder}/weir.db`, boot: "look", now: 1, idempotencyMs: () => 1 });
  const { rows } = await store.deliveries({ limit: 10 });
  const seen = rows.toReversed().map(({ state, failures }) => `${state} after ${failures}`);
  assertEquals(seen, Array.from({ length: 10 }, (_, n) => n === 3 ? "dead after 3" : "succeeded after 1"));
  const { reason, attempts } = (await store.delivery(rows.find(({ state }) => state === "dead")!.id))!;
  await store.close();
  assertEquals(reason, "poison: took its process down 3 times; the engine died while it ran");
  assertEquals(attempts.filter(({ outcome }) => outcome === "failed").length, 4);
});

Deno.test("execute: the attempt after one that took its process down is a suspect, and not before", async () => {
  await using project = await createProject({ "work.ts": "export default () => {};" });
  const clock = createFakeClock();
  const attempts: Attempt[] = [];
  const runner = {
    run(attempt: Attempt) {
      attempts.push(attempt);
      const died = attempts.length === 2;
      const isLast = attempts.length === 4;
      return Promise.resolve({
        outcome: isLast ? { kind: "succeeded" as const } : { kind: "failed" as const, reason: "no", died },
      });
    },
    close: () => Promise.resolve(),
  };
  await Deno.writeTextFile(
    project.path("routes.yaml"),
    `version: 1
storage: { url: "file:weir.db" }
sources: { app: { publish: true } }
routes: { work: { from: app, handler: work.ts, retry: { attempts: 9, schedule: [1s], jitter: 0 } } }
`,
  );
  const weir = await createWeir({
    ...standard(),
    config: project.path("routes.yaml"),
    runners: { script: () => runner, target: () => runner },
    environment: {},
    clock,
    random: () => 0,
  });
  let settled = 0;
  weir.observe(({ kind }) => void (kind === "delivery.attempted" && settled++));
  await weir.start();
  await weir.publish({ source: "app", type: "t", body: 1 });
  for (let n = 1; n <= 4; n++) {
    await until(`attempt ${n} is settled`, () => settled === n);
    clock.advance(1_000);
  }
  await weir.stop();
  assertEquals(attempts.map(({ suspect }) => suspect), [false, false, true, true]);
});
