/**
 * The janitor: when it works, that it rests in between, and that nothing it meets ends it.
 */

import { assertEquals } from "@std/assert";
import { defaultRetention } from "../../core/domain/config.ts";
import { createJanitor, janitorEveryMs, janitorPauseMs } from "../../core/engine/janitor.ts";
import type { Observation } from "../../core/engine/observer.ts";
import { type Expired, StoreUnavailable } from "../../core/store/store.ts";
import { startEngine } from "../support/engine.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

const nothing = { events: 0, deliveries: 0, attempts: 0, keys: 0, marks: 0, pages: 0 };

/** A janitor over a store that answers what it is told, and then that there is nothing to do. */
function createRig(answers: readonly (Partial<Expired> | Error)[]) {
  const clock = createFakeClock();
  const observed: Observation[] = [];
  const left = [...answers];
  const calls: number[] = [];
  const janitor = createJanitor({
    store: {
      expire(terms) {
        calls.push(terms.now);
        const answer = left.shift() ?? {};
        return answer instanceof Error
          ? Promise.reject(answer)
          : Promise.resolve({ ...nothing, more: false, ...answer });
      },
    },
    retention: () => defaultRetention,
    clock,
    observe: (observation) => void observed.push(observation),
  });
  return { clock, observed, calls, janitor };
}

Deno.test("janitor: a round is one batch after the other with pauses, then it rests, and says what went", async () => {
  const { clock, observed, calls, janitor } = createRig([{ events: 3, more: true }, {
    events: 4,
    keys: 2,
    more: true,
  }]);
  const begunAt = clock.now();
  janitor.start();
  for (let n = 1; n <= 3; n++) {
    await until("the next batch is due", () => clock.isDueIn(janitorPauseMs));
    clock.advance(janitorPauseMs);
  }
  await until("it rests", () => clock.isDueIn(janitorEveryMs));
  assertEquals(calls, [1, 2, 3].map((n) => begunAt + n * janitorPauseMs));
  assertEquals(observed.map((o) => o.kind === "engine" && o.message), ["erased by age: 7 events, 2 idempotency keys"]);
  clock.advance(janitorEveryMs);
  await until("it rests again", () => clock.isDueIn(janitorEveryMs));
  assertEquals([calls.length, observed.length], [4, 1]);
  await janitor.stop();
  assertEquals(clock.waiting, 0);
});

Deno.test("janitor: an error is said and the next round comes as ever", async () => {
  const { clock, observed, calls, janitor } = createRig([new StoreUnavailable("the disk is gone")]);
  janitor.start();
  clock.advance(janitorPauseMs);
  await until("it rests", () => clock.isDueIn(janitorEveryMs));
  assertEquals(observed.map((o) => o.kind === "engine" && [o.level, o.message]), [
    ["error", "cannot erase what is old: StoreUnavailable: the disk is gone"],
  ]);
  clock.advance(janitorEveryMs);
  await until("the second round", () => calls.length === 2);
  await janitor.stop();
  assertEquals(clock.waiting, 0);
});

Deno.test("janitor: a stop waits for the batch under way, and nothing follows", async () => {
  const clock = createFakeClock();
  const batch = Promise.withResolvers<Expired>();
  const expire = () => batch.promise;
  const janitor = createJanitor({ store: { expire }, retention: () => defaultRetention, clock, observe: () => {} });
  janitor.start();
  clock.advance(janitorPauseMs);
  let stopped = false;
  const stopping = janitor.stop().then(() => stopped = true);
  await Promise.resolve();
  assertEquals(stopped, false);
  batch.resolve({ ...nothing, more: true });
  await stopping;
  assertEquals(clock.waiting, 0);
});

Deno.test("createWeir: what has aged out is erased while the engine runs, by the retention that is configured now", async () => {
  await using engine = await startEngine({
    routes: { work: { from: "app" } },
    handlers: { work: () => {} },
    adminToken: "0123456789abcdef",
  });
  const { id } = await engine.weir.publish({ source: "app", type: "t", body: 1, idempotencyKey: "k" });
  await engine.seen("delivery.attempted");
  const read = async () => {
    const headers = { authorization: "Bearer 0123456789abcdef", host: "127.0.0.1" };
    const response = await engine.weir.admin(new Request(`http://127.0.0.1/api/v1/events/${id}`, { headers }));
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await read(), 200);
  const { eventsMs } = engine.weir.config.retention;
  await until("the event is gone", async () => {
    engine.clock.advance(eventsMs / 8);
    return await read() === 404;
  });
  await until("it is said", () => {
    engine.clock.advance(janitorPauseMs);
    return engine.observed.some((o) => o.kind === "engine" && o.message.startsWith("erased by age: "));
  });
});
