/**
 * `deno task soak:backlog -- [--blocked 900000] [--closed 500000] [--due 100000] [--rounds 400] [--events 20000]`: what a
 * backlog that nobody may work on costs the work beside it, and the engine in memory. Prints the figures; exits 1 when a
 * claim beside it takes more than twice as long as in a log without it, or `weir serve` grows beyond 300 MB.
 *
 * The logs take some 3 GB beside each other, in TMPDIR.
 */

import {
  type BacklogSpec,
  buildLog,
  claimed,
  compareLogs,
  median,
  type RoundPair,
  type RoundTimes,
} from "./backlog_rig.ts";
import { serveBacklog } from "./serve_backlog.ts";
import { soakOptions, whole } from "../support/soak_options.ts";

const claimRatioMax = 2;
const residentMiBMax = 300e6 / 2 ** 20;

const values = soakOptions({
  blocked: whole(900_000),
  closed: whole(500_000),
  due: whole(100_000),
  rounds: whole(400),
  events: whole(20_000),
});
const { rounds } = values;
const logs: readonly (BacklogSpec & { what: string })[] = [
  { kind: "blocked", stuck: values.blocked, due: values.due, what: "behind ten blocked heads" },
  { kind: "closed", stuck: values.closed, due: values.due, what: "behind an open breaker and a pause" },
];
let missed = 0;
for (const { what, ...spec } of logs) {
  const [full, empty] = await Promise.all(["full", "empty"].map((name) => {
    return Deno.makeTempDir({ prefix: `weir-backlog-${name}-` });
  })) as [string, string];
  try {
    await buildLog(full, spec);
    await buildLog(empty, { kind: spec.kind, stuck: 0, due: rounds * claimed });
    console.log(`${spec.stuck} deliveries ${what}, ${spec.due} due beside them:`);
    const times = await compareLogs({ full, empty }, rounds);
    const claimRatio = compare("claim of ten", times, ({ claimMs }) => claimMs);
    compare("settle and promote of ten", times, ({ settleMs }) => settleMs);
    const served = await serveBacklog(full, { events: values.events });
    const { acknowledged, delivered, looks } = served;
    console.log(
      `  weir serve: at most ${served.residentMiBMax.toFixed(0)} MiB resident; ready after ` +
        `${served.startMs.toFixed(0)} ms, ${acknowledged} events taken, ${delivered} delivered and ${looks} looks at ` +
        `everything in ${(served.tookMs / 1_000).toFixed(1)} s`,
    );
    if (!(claimRatio <= claimRatioMax)) missed++;
    if (!(served.residentMiBMax < residentMiBMax)) missed++;
  } finally {
    for (const folder of [full, empty]) await Deno.remove(folder, { recursive: true });
  }
}
console.log(missed === 0 ? "all bars met" : `${missed} bars missed`);
Deno.exit(missed === 0 ? 0 : 1);

/** Prints the medians of both and of their ratio, pair by pair; returns the ratio. */
function compare(what: string, pairs: readonly RoundPair[], timeOf: (times: RoundTimes) => number): number {
  const full = median(pairs.map((pair) => timeOf(pair.full)));
  const empty = median(pairs.map((pair) => timeOf(pair.empty)));
  const ratio = median(pairs.map((pair) => timeOf(pair.full) / timeOf(pair.empty)));
  console.log(
    `  ${what}: ${full.toFixed(3)} ms, in an empty log ${empty.toFixed(3)} ms; ratio ${ratio.toFixed(2)} ` +
      `(medians of ${pairs.length} pairs)`,
  );
  return ratio;
}
