import { assertEquals, assertRejects } from "@std/assert";
import { buildLog, workOff } from "./backlog_rig.ts";

const due = 200;
const stuck = 3_000;

for (const kind of ["blocked", "closed"] as const) {
  const where = kind === "blocked" ? "behind ten blocked heads" : "behind an open breaker and a pause";
  const trap = kind === "blocked" ? " (trap: one blocked key starves all others)" : "";
  Deno.test(`weir: what waits ${where} is never claimed, and what is due beside it is worked off in order${trap}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await buildLog(folder, { kind, stuck, due });
      await using log = await workOff(folder);
      for (let left = due; left > 0; left -= 10) await log.round();
      await assertRejects(() => log.round(), RangeError, "claimed 0");
      const waiting = Object.fromEntries(
        (await log.store.queues()).map(({ route, ready, blocked, parked, running }) => {
          return [route, { ready, blocked, parked, running }];
        }),
      );
      const none = { ready: 0, blocked: 0, parked: 0, running: 0 };
      const half = { ...none, ready: stuck / 2 };
      assertEquals(
        waiting,
        kind === "blocked"
          ? { work: { ...none, ready: 5, blocked: stuck - 10, parked: 5 }, broken: none, paused: none }
          : { work: none, broken: half, paused: half },
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
