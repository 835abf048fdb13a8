import { assertEquals } from "@std/assert";
import { until } from "../../support/until.ts";
import { watchServer } from "./server_watch.ts";

/** A server that takes a write only while `takes` says so, and what the watch did to it. */
async function watchUntil(
  seen: (watch: { stuck: number; held: number; looks: number }) => boolean,
  takes: (server: { alone: boolean; restarts: number }) => boolean,
  refusals = 0,
): Promise<{ stuck: number; held: number; restarts: number; alone: boolean }> {
  const state = { alone: false, restarts: 0, looks: 0 };
  let over = false;
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((look) => look());
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    await request.body?.cancel();
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => void ((over || takes(state)) && resolve());
    waiting.add(look);
    look();
    await promise;
    waiting.delete(look);
    const isRefused = state.looks++ < refusals;
    return Response.json({ results: [{ type: isRefused ? "error" : "ok" }] });
  });
  const server = {
    url: `http://127.0.0.1:${http.addr.port}`,
    kill: () => Promise.resolve(),
    restart() {
      state.restarts++;
      wake();
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const isolate = (alone: boolean): void => {
    state.alone = alone;
    wake();
  };
  using _release = {
    [Symbol.dispose]() {
      over = true;
      wake();
    },
  };
  await using watch = watchServer(server, { isolate, writeMsMax: 50, aloneMsMax: 200, lookEveryMs: 1 });
  await until("the watch has seen it", () => seen({ stuck: watch.stuck, held: watch.held, looks: state.looks }));
  await until("the engines are let back", () => !state.alone);
  return { stuck: watch.stuck, held: watch.held, restarts: state.restarts, alone: state.alone };
}

Deno.test("watchServer: a server that takes writes is left alone", async () => {
  const seen = await watchUntil(({ looks }) => looks > 3, () => true);
  assertEquals(seen, { stuck: 0, held: 0, restarts: 0, alone: false });
});

Deno.test("watchServer: one that refuses a write because of a lock is asked again", async () => {
  const seen = await watchUntil(({ looks }) => looks > 4, () => true, 1);
  assertEquals(seen, { stuck: 0, held: 0, restarts: 0, alone: false });
});

Deno.test("watchServer: one that takes writes as soon as its engines are cut off was held by them, and is not restarted", async () => {
  const seen = await watchUntil(({ held }) => held > 0, ({ alone }) => alone);
  assertEquals([seen.stuck, seen.restarts], [0, 0]);
});

Deno.test("watchServer: one that takes none although it is alone is stuck by itself, and is started again", async () => {
  const seen = await watchUntil(({ stuck }) => stuck > 0, ({ restarts }) => restarts > 0);
  assertEquals(seen, { stuck: 1, held: 0, restarts: 1, alone: false });
});
