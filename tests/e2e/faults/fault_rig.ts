/**
 * One fault each on a flooded local log: made, looked at, ended, and judged by the history of the whole. Short in
 * `*_test.ts`, long in `soak_faults.ts`.
 */

import { createHash, createHmac } from "node:crypto";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { HistoryReport } from "../../support/history.ts";
import { type FloodedLog, floodLog, type LiveEngine } from "../many_engines/flooded_log.ts";
import { findProcesses } from "../process_table.ts";
import { until } from "../../support/until.ts";
import { createFaults, type FaultOrder, type Faults } from "./faults.ts";

/** EX_TEMPFAIL: a service manager starts the engine anew. */
const logFailed = 75;

/** A flooded log in a file, and what can be done to it. */
export interface FaultyLog extends FloodedLog {
  readonly faults: Faults;
  /** Path of the log. */
  readonly file: string;
}

/** Runs `test` on a flooded log whose engines meet faults. */
export async function withFaultyLog(
  options: { library?: string; seed: number },
  test: (log: FaultyLog) => Promise<void>,
): Promise<void> {
  await using log = await floodLog({ seed: options.seed });
  const project = `${log.folder}/project`;
  const faults = await createFaults({ library: options.library ?? "", folder: project, control: log.folder });
  await test(Object.assign(log, { faults, file: `${project}/weir.db` }));
}

/** Everything came to rest, and no promise was broken. */
export async function assertSound(log: FaultyLog): Promise<HistoryReport> {
  const report = await log.finish();
  assertEquals(report.anomalies, []);
  assertEquals(log.refusals, []);
  const living = log.engines.length;
  assertEquals(await log.stop(), Array(living).fill(0));
  return report;
}

/** The disk fails under an engine: it acknowledges nothing more, says why, ends with 75, and the next one has it all. */
export async function failDisk(log: FaultyLog, order: FaultOrder): Promise<{ endedAfterMs: number }> {
  const engine = await log.start(log.faults.environment);
  await log.flow(30);
  const from = performance.now();
  await log.faults.order(order);
  const code = await log.ended(engine);
  const endedAfterMs = performance.now() - from;
  assertEquals(code, logFailed, engine.process.lastWords());
  assert(engine.process.lastWords().includes("the log has failed"), engine.process.lastWords());
  assert(await log.faults.failures() > 0);
  if (order.times === undefined) {
    // The disk is as it was: the next one cannot even start, and says so.
    await log.faults.order({ ...order, after: 0 });
    const error = await assertRejects(() => log.start(log.faults.environment), Error);
    assert(/ended \([1-9]\d*\) before it listened:\n[^]*disk I\/O error/.test(error.message), error.message);
  }
  await log.faults.clear();
  await log.start(log.faults.environment);
  await log.flow(30);
  return { endedAfterMs };
}

/** Something keeps the log from being written for a while: 503 and no more, and the same engine goes on afterwards. */
export async function withholdLog(
  log: FaultyLog,
  engine: LiveEngine,
  withheld: { begin(): Promise<void>; end(): Promise<void> },
): Promise<void> {
  await log.flow(30);
  await withheld.begin();
  const answer = await until("a request is refused", async () => {
    const response = await post(log, engine.ingestUrl);
    return response.ok ? undefined : response;
  });
  assertEquals([answer.status, Number(answer.headers.get("retry-after")) > 0], [503, true]);
  await withheld.end();
  await log.flow(30);
  assertEquals(log.engines, [engine]);
}

/** Starts a second engine under another name of the log; it ends by itself. Returns how long that took. */
export async function startSecond(log: FaultyLog, file: string): Promise<number> {
  const from = performance.now();
  const error = await assertRejects(() => log.start({ RIG_LOG: `file:${file}` }), Error);
  const tookMs = performance.now() - from;
  assert(
    /ended \(1\) before it listened:\nweir: the log .* is in use by another engine; stop it/.test(error.message),
    error.message,
  );
  return tookMs;
}

/** A process of its own takes the log's write lock. */
export async function holdLock(file: string): Promise<{ release(): Promise<void> }> {
  const script = fileURLToPath(new URL("../../store/hold_lock_process.ts", import.meta.url));
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, file],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.getReader();
  const { done } = await reader.read(); // it says when it holds the lock
  if (done) throw new Error(`the lock of ${file} cannot be had`);
  return {
    async release() {
      await process.stdin.close();
      while (!(await reader.read()).done);
      await process.status;
    },
  };
}

/** The engine alone is stopped in its tracks, and goes on later; its handlers' processes live, or end by themselves. */
export async function freeze(log: FaultyLog, engine: LiveEngine, forMs: number): Promise<void> {
  await log.flow(30);
  const before = handlersOf(log);
  Deno.kill(engine.process.pid, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, forMs));
  const after = new Set(handlersOf(log));
  for (const proc of before) if (!after.has(proc)) log.records.push({ kind: "exit", proc });
  Deno.kill(engine.process.pid, "SIGCONT");
  await log.flow(30);
  assertEquals(log.engines, [engine]);
}

/** Processes of handlers, by the names that the history has for them. */
function handlersOf(log: FaultyLog): string[] {
  const engines = new Set(log.engines.map(({ process }) => process.pid));
  return findProcesses(log.environment.TMPDIR!).filter(({ pid }) => !engines.has(pid)).map(({ name }) => name);
}

let posted = 0;

/** One request of our own beside the flood, which only tells apart what was and was not acknowledged. */
async function post(log: FaultyLog, ingestUrl: string): Promise<Response> {
  const op = -(++posted);
  const key = `own${op}`;
  const body = JSON.stringify({ key, lane: "own" });
  const digest = createHash("sha256").update(body).digest("hex");
  const signature = createHmac("sha256", log.environment.RIG_SECRET!).update(body).digest("hex");
  log.records.push({ kind: "ingest", step: "invoke", op, key, lane: "own", digest, queues: ["work", "mirror/rig"] });
  const response = await fetch(`${ingestUrl}/hooks/github`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-github-event": "push",
      "x-github-delivery": key,
      "x-hub-signature-256": `sha256=${signature}`,
    },
    body,
  });
  const answer = await response.json();
  log.records.push(
    response.ok
      ? { kind: "ingest", step: "ok", op, eventId: answer.id, status: answer.status }
      : { kind: "ingest", step: "info", op },
  );
  return response;
}
