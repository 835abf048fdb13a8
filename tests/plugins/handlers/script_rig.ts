/**
 * A route's script in a folder of its own, and a look at the system for processes that it may have left behind.
 */

import { assert } from "@std/assert";
import type { Attempt, AttemptReport, Clock, Outcome, Permissions, Runner } from "../../../core/plugin.ts";
import { createScriptRunner } from "../../../plugins/handlers/script.ts";

/** A handler under test. */
export interface Rig {
  /** Folder of the handler; files beside it may be written at any time. */
  readonly folder: string;
  readonly runner: Runner;
  run(attempt?: Partial<Attempt>, options?: { body?: unknown; stop?: AbortSignal }): Promise<AttemptReport>;
  /** Process ids of all living processes of this rig. */
  pids(): number[];
}

/** What a rig is made of. */
export interface RigOptions {
  /** File name to content; `handler.ts` is the handler. */
  readonly files: Record<string, string>;
  readonly permissions?: Partial<Permissions>;
  readonly env?: Record<string, string>;
  readonly timeoutMs?: number;
  readonly childLockFile?: string;
  /** Default: the time of day. */
  readonly clock?: Clock;
}

const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(delayMs, wake) {
    const timer = setTimeout(wake, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Runs a test on a handler, closes its runner, and fails if a process is still there. */
export async function withHandler(options: RigOptions, test: (rig: Rig) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "handler-" });
  await Deno.mkdir(`${folder}/plugins`);
  for (const [name, text] of Object.entries(options.files)) await Deno.writeTextFile(`${folder}/plugins/${name}`, text);
  const mark = crypto.randomUUID();
  const runner = createScriptRunner({
    route: "payments",
    file: `${folder}/plugins/handler.ts`,
    permissions: { net: [], env: [], read: [], ...options.permissions },
    timeoutMs: options.timeoutMs ?? 20_000,
    env: { ...options.env, RIG_MARK: mark },
  }, { clock: options.clock ?? realClock, childLockFile: options.childLockFile });
  let count = 0;
  try {
    await test({
      folder: `${folder}/plugins`,
      runner,
      run(attempt, { body = { n: 1 }, stop = new AbortController().signal } = {}) {
        const n = ++count;
        return runner.run({
          deliveryId: `dlv_${n}`,
          idempotencyKey: `key_${n}`,
          attempt: 1,
          route: "payments",
          suspect: false,
          event: {
            id: `evt_${n}`,
            source: "stripe",
            type: "charge.paid",
            receivedAt: Date.parse("2025-06-01T00:00:00Z"),
            headers: { "content-type": "application/json" },
            query: "",
            raw: new TextEncoder().encode(JSON.stringify(body)),
          },
          ...attempt,
        }, stop);
      },
      pids: () => processesWith(mark),
    });
  } finally {
    await runner.close();
    const left = processesWith(mark);
    await Deno.remove(folder, { recursive: true });
    assert(left.length === 0, `processes left behind: ${left.join(", ")}`);
  }
}

/** The failure that a report must hold. */
export function failureOf({ outcome }: AttemptReport): Extract<Outcome, { kind: "failed" }> {
  if (outcome.kind === "failed") return outcome;
  throw new Error(`expected a failure: ${JSON.stringify(outcome)}`);
}

/** The result that a report must hold. */
export function resultOf({ outcome }: AttemptReport): string | undefined {
  if (outcome.kind === "succeeded") return outcome.result;
  throw new Error(`expected a success: ${JSON.stringify(outcome)}`);
}

/** Waits until something holds, with a limit. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (const from = performance.now(); !holds();) {
    if (performance.now() - from > 30_000) throw new Error(`waited 30 s in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Living processes that have `mark` in their environment. */
export function processesWith(mark: string): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/environ`).includes(mark)) found.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Whether a process has used a third of a second of processor time: a handler takes far less to load. */
export function isSpinning(pid: number): boolean {
  return Number(Deno.readTextFileSync(`/proc/${pid}/stat`).split(" ")[13]) > 33;
}
