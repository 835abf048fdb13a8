import { assertEquals, assertRejects } from "@std/assert";
import { type CrashCounts, crashPointNames } from "./crash_points.ts";
import {
  addProgress,
  beginRun,
  crashesMin,
  hashProgram,
  judgeRun,
  type Progress,
  resumeRun,
  saveRun,
} from "./long_run.ts";

const plan = { from: 0, seeds: 100_000, jobs: 2 };

function half(crashes: CrashCounts, failed: Progress["failed"] = []): Progress {
  return { next: 100_000, seeds: 50_000, steps: 1, runs: 1, crashes, failed };
}

const enough: CrashCounts = Object.fromEntries(crashPointNames.map((point) => [point, crashesMin / 2]));

async function inSittings(...progresses: Progress[]): Promise<ReturnType<typeof judgeRun>> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/state`;
    for (const [shard, progress] of progresses.entries()) {
      const run = await resumeRun(file, plan, "p");
      addProgress(run, shard, progress);
      await saveRun(file, run);
    }
    return judgeRun(await resumeRun(file, plan, "p"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("judgeRun: deaths of all sittings are counted together", async () => {
  assertEquals(await inSittings(half(enough), half(enough)), { finished: true, untried: [], sound: true });
});

Deno.test("judgeRun: a place that was tried too seldom over all sittings is named", async () => {
  const less = { ...enough, "reload before swap": crashesMin / 2 - 1 };
  const { untried, sound } = await inSittings(half(enough), half(less));
  assertEquals([untried, sound], [["reload before swap"], false]);
});

Deno.test("judgeRun: what failed in an earlier sitting is not forgotten", async () => {
  const failed = [{ seed: 7, findings: [] }];
  assertEquals((await inSittings(half(enough, failed), half(enough))).sound, false);
});

Deno.test("judgeRun: a run that is not through is not sound", async () => {
  assertEquals((await inSittings(half(enough))).finished, false);
  assertEquals(judgeRun(beginRun(plan, "p")).sound, false);
});

Deno.test("resumeRun: another program or another plan is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/state`;
    await saveRun(file, beginRun(plan, "p"));
    assertEquals((await resumeRun(file, plan, "p")).nexts, [0, 1]);
    await assertRejects(() => resumeRun(file, plan, "q"), RangeError, "another program");
    await assertRejects(() => resumeRun(file, { ...plan, jobs: 3 }, "p"), RangeError, "--jobs 2");
    await assertRejects(() => resumeRun(file, { ...plan, seeds: 9 }, "p"), RangeError, "--seeds 100000");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("hashProgram: the same program has the same name", async () => {
  assertEquals(await hashProgram(), await hashProgram());
});
