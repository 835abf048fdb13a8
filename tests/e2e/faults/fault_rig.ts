/**
 * One fault each on a flooded local log: made, looked at, ended, and judged by the history of the whole. Short in
 * `*_test.ts`, long in `soak_faults.ts`.
 */

import { createHash, createHmac } from "node:crypto";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { HistoryReport, StartRecord } from "../../support/history.ts";
import { type FloodedLog, floodLog, type LiveEngine } from "../many_engines/flooded_log.ts";
import { findProcesses } from "../process_table.ts";
import { senders } from "../flood.ts";
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

/** Requests acknowledged after a failure that show that it harmed nobody: more than were under way. */
const workingOn = 50;

/** How often a sync is made to fail: only one in many is a checkpoint's, so that hardly two in a row are. */
const syncFailuresMax = 5;

/** Within this a second engine is to be refused (RELIABILITY F15); a busy machine may take longer, and it is told. */
export const refusedMsMax = 2_000;

/** Beyond this it is not the machine. */
const refusedAtLastMsMax = 15_000;

/** What was seen of an engine whose disk failed. */
export interface DiskFailure {
  /** From the first failure to its end. */
  readonly endedAfterMs: number;
  /** Requests whose 2xx was read after the first failure was seen: those that were under way. */
  readonly acknowledgedAfter: number;
}

/** The disk fails under an engine: it acknowledges nothing more, says why, ends with 75, and the next one has it all. */
export async function failDisk(log: FaultyLog, order: FaultOrder): Promise<DiskFailure> {
  const engine = await log.start(log.faults.environment);
  await log.flow(30);
  let code: number | undefined;
  log.ended(engine).then((ended) => code = ended);
  let failedAt = 0;
  let acknowledged = 0;
  for (let tries = 1; code === undefined; tries++) {
    const failuresBefore = await log.faults.failures();
    await log.faults.order(order);
    await until("the disk has failed", async () => await log.faults.failures() > failuresBefore);
    failedAt = performance.now();
    acknowledged = log.acknowledged();
    await until("it ends or works on", () => code !== undefined || log.acknowledged() > acknowledged + workingOn);
    if (code !== undefined) break;
    // One sync that only kept a checkpoint from its work harms nobody: every commit before it has had one of its own.
    const forgivable = order.operation === "sync" && order.times !== undefined;
    assert(
      forgivable && tries < syncFailuresMax,
      `the disk failed (${Deno.inspect(order)}, ${tries}. time), and the engine acknowledged more than ${workingOn} ` +
        `requests afterwards:\n${engine.process.lastWords()}`,
    );
  }
  const endedAfterMs = performance.now() - failedAt;
  const acknowledgedAfter = log.acknowledged() - acknowledged;
  assert(
    acknowledgedAfter <= senders,
    `${acknowledgedAfter} acknowledged after the disk failed, and only ${senders} sent`,
  );
  assertEquals(code, logFailed, engine.process.lastWords());
  assert(engine.process.lastWords().includes("the log has failed"), engine.process.lastWords());
  if (order.times === undefined) {
    // The disk is as it was: the next one cannot even start, and says so.
    await log.faults.order({ ...order, after: 0 });
    const error = await assertRejects(() => log.start(log.faults.environment), Error);
    assert(/ended \([1-9]\d*\) before it listened:\n[^]*disk I\/O error/.test(error.message), error.message);
  }
  await log.faults.clear();
  await log.start(log.faults.environment);
  await log.flow(30);
  return { endedAfterMs, acknowledgedAfter };
}

/** What was seen while the log could not be written. */
export interface Withheld {
  /** From its beginning to the first refusal. */
  readonly refusedAfterMs: number;
  /** Requests acknowledged between the first refusal and its end: what still had a place on the disk. */
  readonly acknowledgedMeanwhile: number;
  /** From its end to the next request acknowledged. */
  readonly resumedAfterMs: number;
}

/**
 * Something keeps the log from being written for a while: 503 and no more, reading goes on, and the same engine works
 * again afterwards. What it acknowledged then is on the disk: it is killed, and the next one must have it all.
 */
export async function withholdLog(
  log: FaultyLog,
  engine: LiveEngine,
  withheld: { begin(): Promise<void>; end(): Promise<void>; forMs?: number },
): Promise<Withheld> {
  await log.flow(30);
  const began = performance.now();
  await withheld.begin();
  const answer = await until("a request is refused", async () => {
    const response = await post(log, engine.ingestUrl);
    return response.ok ? undefined : response;
  });
  const refusedAfterMs = performance.now() - began;
  assertEquals([answer.status, Number(answer.headers.get("retry-after")) > 0], [503, true]);
  const acknowledged = log.acknowledged();
  await log.look();
  await new Promise((resolve) => setTimeout(resolve, withheld.forMs ?? 0));
  await log.look();
  const acknowledgedMeanwhile = log.acknowledged() - acknowledged;
  const ended = performance.now();
  await withheld.end();
  await log.flow(1);
  const resumedAfterMs = performance.now() - ended;
  await log.flow(30);
  assertEquals(log.engines, [engine]);
  await log.kill(engine);
  await log.start(log.faults.environment);
  await log.flow(30);
  return { refusedAfterMs, acknowledgedMeanwhile, resumedAfterMs };
}

/** Lets the log lie on another disk; for engines that are started from now on. */
export async function placeLog(log: FaultyLog, on: { folder: string; minFree: string }): Promise<void> {
  const routes = await Deno.readTextFile(log.routesFile);
  const url = `url: file:${on.folder}/weir.db\n  min_free: ${on.minFree}`;
  await Deno.writeTextFile(log.routesFile, routes.replace("url: ${RIG_LOG}", url));
}

/** Writes a file until the disk has no space left. */
export async function fillDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const bytes = new Uint8Array(65_536);
  try {
    for (;;) await file.write(bytes);
  } catch {
    // It is full: that was the point.
  }
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
  assert(tookMs <= refusedAtLastMsMax, `a second engine was refused only after ${tookMs} ms`);
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
export async function freeze(log: FloodedLog, engine: LiveEngine, forMs: number): Promise<void> {
  await log.flow(30);
  const engines = log.engines;
  // Something is to be under way, so that its end comes late.
  await until("it has begun something", () => openRuns(log, engine).length > 0);
  let alive = handlersOf(log);
  Deno.kill(engine.process.pid, "SIGSTOP");
  // Alone it comes back to its own work; beside another, what it had under way is taken over.
  if (engines.length > 1) log.records.push({ kind: "pause", boot: engine.boot });
  const overAt = performance.now() + forMs;
  while (performance.now() < overAt) {
    const now = handlersOf(log);
    for (const proc of alive) if (!now.includes(proc)) log.records.push({ kind: "exit", proc });
    alive = now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // What it had sent before it stopped may have been heard of after that: whoever reads it was busy.
  if (engines.length > 1) log.records.push({ kind: "resume", boot: engine.boot });
  Deno.kill(engine.process.pid, "SIGCONT");
  await log.flow(30);
  assertEquals(log.engines, engines);
}

/** What was seen of an engine that stood still for so long that another took its work over. */
export interface Overtaken {
  /** Deliveries that it had begun and that the other one began again meanwhile. */
  readonly takenOver: number;
  /** Results that it brought too late and that counted no more. */
  readonly refusedLate: number;
}

/** Stops one of two engines for longer than a takeover: the other one runs its work, and what it brings then is refused. */
export async function freezeBeside(log: FloodedLog, engine: LiveEngine, forMs: number): Promise<Overtaken> {
  const lostBefore = await leasesLost(log, engine);
  await freeze(log, engine, forMs);
  const refusedLate = await until("a late result is refused", async () => await leasesLost(log, engine) - lostBefore);
  const pausedAt = log.records.findLastIndex((each) => each.kind === "pause" && each.boot === engine.boot);
  const own = new Set(openRuns({ records: log.records.slice(0, pausedAt) }, engine).map(({ delivery }) => delivery));
  const again = new Set(
    log.records.slice(pausedAt).flatMap((each) =>
      each.kind === "start" && each.boot !== engine.boot && own.has(each.delivery) ? each.delivery : []
    ),
  );
  assert(again.size > 0, `none of ${own.size} deliveries of the engine that stood still was taken over`);
  return { takenOver: again.size, refusedLate };
}

/** Attempts of an engine that have begun and not ended. */
function openRuns({ records }: Pick<FloodedLog, "records">, { boot }: LiveEngine): StartRecord[] {
  const open = new Map<string, StartRecord>();
  for (const record of records) {
    if (record.kind === "start" && record.boot === boot) open.set(record.run, record);
    else if (record.kind === "end") open.delete(record.run);
  }
  return [...open.values()];
}

/** How many results an engine says that it had to discard. */
async function leasesLost({ environment }: FloodedLog, { adminUrl }: LiveEngine): Promise<number> {
  const authorization = `Bearer ${environment.WEIR_ADMIN_TOKEN}`;
  const metrics = await (await fetch(`${adminUrl}/metrics`, { headers: { authorization } })).text();
  const [, count] = /^weir_leases_lost_total(?:\{[^}]*\})? (\d+)/m.exec(metrics) ?? [];
  return Number(count ?? 0);
}

/** Processes of handlers, by the names that the history has for them. */
function handlersOf(log: FloodedLog): string[] {
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
