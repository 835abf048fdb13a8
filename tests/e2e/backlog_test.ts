import { assert, assertEquals, assertRejects } from "@std/assert";
import { buildLog, claimed, compareLogs, median, workOff } from "./backlog_rig.ts";
import { serveBacklog } from "./serve_backlog.ts";

const due = 200;
const stuck = 3_000;

/** Enough that a claim which looked at all of them would take many times as long. */
const stuckTelling = 40_000;
/** The bar is 2, for far more of them; a busy machine may spoil a comparison, but not all of them. */
const claimRatioMax = 4;
const comparisonsMax = 3;
const rounds = 40;
const events = 500;
const residentMiBMax = 300e6 / 2 ** 20;

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

  Deno.test({
    name:
      `weir: with many deliveries ${where}, what is due beside them is claimed at its pace, and the engine stays small`,
    // The engine's memory is read in /proc.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const [full, empty] = await Promise.all([Deno.makeTempDir(), Deno.makeTempDir()]);
      try {
        const dueMax = rounds * claimed * comparisonsMax;
        await buildLog(full, { kind, stuck: stuckTelling, due: dueMax + 1_000 });
        await buildLog(empty, { kind, stuck: 0, due: dueMax });
        const ratios: number[] = [];
        while (ratios.length < comparisonsMax && !ratios.some((ratio) => ratio <= claimRatioMax)) {
          const pairs = await compareLogs({ full, empty }, rounds);
          ratios.push(median(pairs.map((pair) => pair.full.claimMs / pair.empty.claimMs)));
        }
        assert(ratios.some((ratio) => ratio <= claimRatioMax), `a claim took ${ratios.join(", ")} times as long`);
        const { acknowledged, delivered, residentMiBMax: resident } = await serveBacklog(full, { events });
        assert(acknowledged === events && delivered >= events, `${acknowledged} acknowledged, ${delivered} delivered`);
        assert(resident < residentMiBMax, `${resident} MiB resident`);
        console.log(
          `claim ratio ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}; ${resident.toFixed(0)} MiB resident`,
        );
      } finally {
        for (const folder of [full, empty]) await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
