/**
 * Records a log at work, cuts the power at random moments, and opens what is left: every event that had been acknowledged
 * by then must be there, every settled delivery settled, and SQLite must find nothing wrong.
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { openStore } from "../../../core/store/open.ts";
import { createRandom } from "../../support/seeded_random.ts";
import { createDisk, type Operation, parseTrace } from "./images.ts";

/** What a run of cuts came to. */
export interface PowerCutReport {
  readonly cuts: number;
  /** Cuts after which something acknowledged was gone. */
  readonly lossy: number;
  /** The most acknowledged things that one cut lost. */
  readonly worstLoss: number;
  /** Images that the engine refused to open, or in which SQLite found something wrong. */
  readonly refused: number;
  readonly operations: number;
  readonly firstLoss?: string;
}

/** Options of {@link cutPower}. */
export interface PowerCutOptions {
  readonly cuts: number;
  readonly seed: number;
  readonly synchronous?: "FULL" | "NORMAL";
  readonly progress?: (done: number) => void;
}

/** The recorder as a shared library in `folder`, or why it cannot be had here. */
export async function buildRecorder(folder: string): Promise<{ library: string } | { reason: string }> {
  if (Deno.build.os !== "linux") return { reason: "the recorder is for Linux" };
  const library = `${folder}/recorder.so`;
  const source = fileURLToPath(new URL("./recorder.c", import.meta.url));
  const compiled = await new Deno.Command("cc", { args: ["-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"] })
    .output().catch(() => undefined);
  if (compiled === undefined) return { reason: "there is no C compiler" };
  return compiled.success ? { library } : { reason: new TextDecoder().decode(compiled.stderr) };
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
      options.synchronous ?? "FULL",
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
    const report = { cuts: 0, lossy: 0, worstLoss: 0, refused: 0, operations: operations.length };
    let firstLoss: string | undefined;
    for (const moment of moments.sort((a, b) => a - b)) {
      disk.advance(moment);
      const verdict = await examine(`${folder}/image`, disk.cut(random));
      report.cuts++;
      if (verdict.refused !== undefined) report.refused++;
      if (verdict.lost.length > 0) report.lossy++;
      report.worstLoss = Math.max(report.worstLoss, verdict.lost.length);
      if (firstLoss === undefined && (verdict.refused !== undefined || verdict.lost.length > 0)) {
        firstLoss = `cut before operation ${moment}: ${
          verdict.refused ?? `lost ${verdict.lost.slice(0, 5).join(", ")}`
        }`;
      }
      options.progress?.(report.cuts);
    }
    return { ...report, firstLoss };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Verdict {
  readonly lost: readonly string[];
  readonly refused?: string;
}

async function examine(folder: string, image: Map<string, Uint8Array>): Promise<Verdict> {
  await Deno.mkdir(folder);
  try {
    for (const [path, bytes] of image) {
      // Shared memory and locks are not on the disk that the power was cut from.
      if (!path.endsWith("-shm") && !path.endsWith(".lock")) await Deno.writeFile(`${folder}/${path}`, bytes);
    }
    const acked = new TextDecoder().decode(image.get("acks") ?? new Uint8Array()).split("\n").filter((id) => id !== "");
    try {
      const store = await openStore({ url: `file:${folder}/weir.db`, boot: "after", now: 9, idempotencyMs: () => 1 });
      await store.close();
    } catch (error) {
      return { lost: [], refused: (error as Error).message };
    }
    return inspect(`${folder}/weir.db`, acked);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function inspect(path: string, acked: readonly string[]): Verdict {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const [checked] = Object.values(db.prepare("PRAGMA integrity_check").get()!);
    if (checked !== "ok") return { lost: [], refused: String(checked) };
    const events = new Set(
      db.prepare("SELECT e.id FROM events AS e JOIN requests AS r ON r.id = e.request_id").all().map((row) => row.id),
    );
    const done = new Set(db.prepare("SELECT id FROM deliveries WHERE state = 'succeeded'").all().map((row) => row.id));
    const lost = acked.filter((id) => id.startsWith("done ") ? !done.has(id.slice(5)) : !events.has(id));
    return { lost };
  } finally {
    db.close();
  }
}
