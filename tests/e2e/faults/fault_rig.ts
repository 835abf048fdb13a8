/**
 * One fault each on a flooded local log: made, looked at, ended, and judged by the history of the whole. Short in
 * `*_test.ts`, long in `soak_faults.ts`.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { HistoryReport } from "../../support/history.ts";
import { type FloodedLog, floodLog } from "../many_engines/flooded_log.ts";
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
  assertEquals(await log.stop(), log.engines.map(() => 0));
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
    const error = await assertRejects(() => log.start(log.faults.environment), Error);
    assert(/ended \([1-9]\d*\) before it listened:\n[^]*disk I\/O error/.test(error.message), error.message);
  }
  await log.faults.clear();
  await log.start(log.faults.environment);
  await log.flow(30);
  return { endedAfterMs };
}

/** The disk is full for a while: nothing is acknowledged, and the same engine goes on when there is space again. */
export async function fillDisk(log: FaultyLog, full: () => Promise<void>, free: () => Promise<void>): Promise<void> {
  const engine = await log.start(log.faults.environment);
  await log.flow(30);
  await full();
  const refused = await until("a request is refused", () => refuse(engine.ingestUrl));
  assertEquals(refused.status, 503);
  assert(Number(refused.headers.get("retry-after")) > 0);
  await free();
  await log.flow(30);
  assertEquals(log.engines, [engine]);
}

/** Posts a request that the engine answers from its log's state alone; undefined while that is well. */
async function refuse(ingestUrl: string): Promise<Response | undefined> {
  const response = await fetch(`${ingestUrl}/readyz`);
  await response.body?.cancel();
  return response.ok ? undefined : response;
}
