/**
 * A log that cannot be written to anywhere: the engine works on as if nobody had asked it to speak.
 */

import { agreedAddresses, startDeafEngine } from "./deaf_engine.ts";
import { assertSound, withFaultyLog } from "./fault_rig.ts";

for (
  const [what, deafness] of [
    ["on a full disk", "full"],
    ["closed", "closed"],
    ["a pipe that nobody reads from any more", "broken"],
  ] as const
) {
  Deno.test({
    name: `weir serve: with its output ${what} it takes and does all work, and stops as asked`,
    // /dev/full is Linux's.
    ignore: Deno.build.os !== "linux",
    fn: () =>
      withFaultyLog({ seed: 31 }, async (log) => {
        await log.start(agreedAddresses(), (...given) => startDeafEngine(deafness, ...given));
        await log.flow(100);
        await assertSound(log);
      }),
  });
}
