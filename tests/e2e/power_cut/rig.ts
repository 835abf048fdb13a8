/**
 * Records a log at work, cuts the power at random moments, and opens what is left: it must keep what was told to the
 * outside by then, hold nothing by halves, and SQLite must find nothing wrong.
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { openStore } from "../../../core/store/open.ts";
import { compileLibrary } from "../../support/compile_library.ts";
import { createRandom } from "../../support/seeded_random.ts";
import type { Defect } from "./defects.ts";
import { createDisk, type Operation, parseTrace } from "./images.ts";
import { askAgain, findBroken, type Told } from "./promises.ts";

/** What a run of cuts came to. */
export interface PowerCutReport {
  readonly cuts: number;
  /** Cuts after which a promise was broken. */
  readonly broken: number;
  /** The most promises that one cut broke. */
  readonly worst: number;
  /** Images that the engine refused to open. */
  readonly refused: number;
  readonly operations: number;
  /** What was told to the outside in all. */
  readonly told: Readonly<Record<Told["kind"], number>>;
  /** The first of what was wrong. */
  readonly first?: string;
}

/** Options of {@link cutPower}. */
export interface PowerCutOptions {
  readonly cuts: number;
  readonly seed: number;
  /** Planted below the log. */
  readonly defect?: Defect;
  readonly progress?: (done: number) => void;
}

/** The recorder as a shared library in `folder`, or why it cannot be had here. */
export function buildRecorder(folder: string): Promise<{ library: string } | { reason: string }> {
  return compileLibrary(fileURLToPath(new URL("./recorder.c", import.meta.url)), `${folder}/recorder.so`);
}

/** Runs the workload under the recorder. */
async function recordWorkload(
  folder: string,
  options: PowerCutOptions & { library: string },
): Promise<Operation[]> {
  const log = `${folder}/log`;
  await Deno.mkdir(log);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      fileURLToPath(new URL("./workload.ts", import.meta.url)),
      log,
      String(options.seed),
      ...options.defect === undefined ? [] : [options.defect],
    ],
    cwd: dirname(fileURLToPath(new URL("../../../deno.json", import.meta.url))),
    env: { LD_PRELOAD: options.library, CUT_DIR: log, CUT_TRACE: `${folder}/trace` },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`the workload failed: ${new TextDecoder().decode(stderr)}`);
  return parseTrace(await Deno.readFile(`${folder}/trace`));
}

/** Records once, then cuts as often as asked, at moments spread over the whole recording. */
export async function cutPower(library: string, options: PowerCutOptions): Promise<PowerCutReport> {
  const folder = await Deno.makeTempDir({ prefix: "weir-cut-" });
  try {
    const operations = await recordWorkload(folder, { ...options, library });
    const { next: random } = createRandom(options.seed + 1);
    // The first operations make the schema: nothing is acknowledged yet, but an image must open all the same.
    const moments = Array.from({ length: options.cuts }, () => Math.floor(random() * (operations.length + 1)));
    const disk = createDisk(operations, (path) => path === "acks");
    const report = { cuts: 0, broken: 0, worst: 0, refused: 0, operations: operations.length };
    let first: string | undefined;
    for (const moment of moments.sort((a, b) => a - b)) {
      disk.advance(moment);
      const { broken, refused } = await examine(`${folder}/image`, disk.cut(random));
      report.cuts++;
      if (refused !== undefined) report.refused++;
      if (broken.length > 0) report.broken++;
      report.worst = Math.max(report.worst, broken.length);
      if (refused !== undefined || broken.length > 0) {
        first ??= `cut before operation ${moment}: ${refused ?? broken.slice(0, 5).join("; ")}`;
      }
      options.progress?.(report.cuts);
    }
    disk.advance(operations.length);
    const told = { taken: 0, again: 0, done: 0 };
    for (const { kind } of readTold(disk.cut(random))) told[kind]++;
    return { ...report, told, first };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function examine(
  folder: string,
  image: Map<string, Uint8Array>,
): Promise<{ broken: readonly string[]; refused?: string }> {
  await Deno.mkdir(folder);
  try {
    for (const [path, bytes] of image) {
      // Shared memory and locks are not on the disk that the power was cut from.
      if (!path.endsWith("-shm") && !path.endsWith(".lock")) await Deno.writeFile(`${folder}/${path}`, bytes);
    }
    const told = readTold(image);
    const answered: string[] = [];
    try {
      const store = await openStore({ url: `file:${folder}/weir.db`, boot: "after", now: 9, idempotencyMs: () => 1 });
      answered.push(...await askAgain(store, told).finally(() => store.close()));
    } catch (error) {
      return { broken: [], refused: (error as Error).message };
    }
    return { broken: [...findBroken(`${folder}/weir.db`, told), ...answered] };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the senders remember. */
function readTold(image: Map<string, Uint8Array>): Told[] {
  const lines = new TextDecoder().decode(image.get("acks") ?? new Uint8Array()).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}
