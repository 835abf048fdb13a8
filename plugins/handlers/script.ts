/**
 * Runs the attempts of one route's script: one warm process for all of them, a fresh one for the suspect and for changed
 * code. An attempt is reported only when its handler has returned or its process is gone, so that none overlaps the next.
 */

import {
  type Attempt,
  type AttemptReport,
  formatDuration,
  type Outcome,
  type Runner,
  type RunnerHost,
  type ScriptSpec,
} from "../../core/plugin.ts";
import { stampFile } from "./module_source.ts";
import { createPlaces } from "./places.ts";
import { type ProcessEnd, type ScriptProcess, startScriptProcess } from "./script_process.ts";
import type { AttemptHead, AttemptSizes, HostMessage, LoadedFile, Verdict } from "./script_protocol.ts";

/** How long a handler may still return after its timeout, or after it has failed behind its own back. */
const lastMomentMs = 200;
/** How long a handler may still return after the engine has asked it to stop. */
const stopGraceMs = 2_000;
const doomedGraceMs = 1_000;
/** Deliveries that are remembered to need a process of their own. */
const aloneMax = 10_000;
/** Attempts that have a process each; more of them wait for their turn. */
const aloneAtOnceMax = 8;
const encoder = new TextEncoder();

/** One process and the attempts in it. */
interface Slot {
  readonly process: ScriptProcess;
  readonly running: Map<number, Running>;
  /** What it has loaded; the handler's file alone until it says more. */
  files: readonly LoadedFile[];
  codeHash?: string;
  /** Found unchanged on disk in this turn. */
  checked: boolean;
  /** Takes no further attempt and ends with its last one. */
  retired: boolean;
  /** We killed it for the sake of something in it, so that its end says nothing about the others. */
  condemned?: boolean;
}

interface Running {
  readonly attempt: Attempt;
  readonly finish: (outcome: Outcome, codeHash: string | undefined) => void;
  output?: string;
  /** Decided already, although its handler may still be running. */
  verdict?: Outcome;
  timedOut?: boolean;
  /** Its handler has been called; known of all in a process as soon as one of them is told to stop. */
  begun?: boolean;
  /** Its worker has heard that it is to stop, so nothing spins there. */
  heard?: boolean;
  stopping?: boolean;
  cancelTimer: () => void;
}

/**
 * Makes the runner of one route's script.
 *
 * @param spec the handler file, its permissions and its timeout
 * @param host the engine's clock and the lock file that every child process holds
 */
export function createScriptRunner(spec: ScriptSpec, host: RunnerHost): Runner {
  const slots = new Set<Slot>();
  // Deliveries for which a process had to be killed, and whether it was surely their doing; they harm only themselves now.
  const alone = new Map<string, { readonly proven: boolean }>();
  const alonePlaces = createPlaces(aloneAtOnceMax);
  // A handler is warned shortly before its time is over.
  const graceMs = Math.min(2_000, spec.timeoutMs / 10);
  const timedOut = failed(`timed out after ${formatDuration(spec.timeoutMs)}`);
  let shared: Slot | undefined;
  let lastId = 0;
  let closed = false;

  return { run, close };

  function run(attempt: Attempt, stop: AbortSignal): Promise<AttemptReport> {
    if (attempt.suspect || alone.has(attempt.deliveryId)) return runAlone(attempt, stop);
    if (closed || stop.aborted) return Promise.resolve(notBegun);
    const slot = shared = freshSlot(shared);
    return new Promise((resolve) => begin(slot, attempt, { stop, resolve }));
  }

  async function runAlone(attempt: Attempt, stop: AbortSignal): Promise<AttemptReport> {
    // Who is only suspected need not wait for those who spin.
    await alonePlaces.take(!alone.get(attempt.deliveryId)?.proven);
    if (closed || stop.aborted) {
      alonePlaces.giveBack();
      return notBegun;
    }
    const slot = openSlot();
    slot.retired = true;
    slot.process.ended.then(() => alonePlaces.giveBack());
    return await new Promise((resolve) => begin(slot, attempt, { stop, resolve }));
  }

  async function close(): Promise<void> {
    closed = true;
    await Promise.all([...slots].map((slot) => {
      slot.process.kill();
      return slot.process.ended;
    }));
  }

  function freshSlot(slot: Slot | undefined): Slot {
    if (slot !== undefined && !slot.retired && isUnchanged(slot)) return slot;
    if (slot !== undefined) retire(slot);
    return openSlot();
  }

  /** Attempts that begin in one turn were claimed together: one look at the disk serves them all. */
  function isUnchanged(slot: Slot): boolean {
    if (slot.checked) return true;
    if (!slot.files.every(({ path, stamp }) => stampFile(path) === stamp)) return false;
    slot.checked = true;
    queueMicrotask(() => slot.checked = false);
    return true;
  }

  function openSlot(): Slot {
    const stamp = stampFile(spec.file);
    const slot: Slot = {
      process: startScriptProcess(spec, {
        childLockFile: host.childLockFile,
        onMessage: (message) => hear(slot, message),
      }),
      running: new Map(),
      files: stamp === undefined ? [] : [{ path: spec.file, stamp }],
      checked: false,
      retired: false,
    };
    slots.add(slot);
    slot.process.ended.then((end) => mourn(slot, end));
    return slot;
  }

  function retire(slot: Slot): void {
    slot.retired = true;
    if (slot.running.size === 0) slot.process.kill();
  }

  function begin(slot: Slot, attempt: Attempt, { stop, resolve }: {
    stop: AbortSignal;
    resolve: (report: AttemptReport) => void;
  }): void {
    const id = ++lastId;
    const onStop = () => {
      running.stopping = true;
      abort(slot, id, "the engine is stopping");
      arm(stopGraceMs, () => condemn(slot, id, interrupted("the engine stopped before the handler returned")));
    };
    const running: Running = {
      attempt,
      cancelTimer: () => {},
      finish(outcome, codeHash) {
        running.cancelTimer();
        stop.removeEventListener("abort", onStop);
        slot.running.delete(id);
        if (outcome.kind === "succeeded") alone.delete(attempt.deliveryId);
        resolve({ outcome, output: running.output || undefined, codeHash });
        if (slot.retired) retire(slot);
      },
    };
    const arm = (delayMs: number, wake: () => void) => {
      running.cancelTimer();
      running.cancelTimer = host.clock.timer(delayMs, wake);
    };

    slot.running.set(id, running);
    stop.addEventListener("abort", onStop);
    const parts = partsOf(attempt);
    slot.process.send({ kind: "run", id, ...sizesOf(parts) }, parts);
    arm(spec.timeoutMs - graceMs, () => {
      running.timedOut = true;
      abort(slot, id, `the attempt times out in ${formatDuration(graceMs)}`);
      arm(graceMs, () => {
        const [begun, ...others] = begunIn(slot);
        if (running.heard || (begun?.[1] === running && others.length === 0)) running.verdict ??= timedOut;
        arm(lastMomentMs, () => running.heard ? condemn(slot, id, timedOut) : breakUp(slot, id));
      });
    });
  }

  function abort(slot: Slot, id: number, reason: string): void {
    slot.process.send({ kind: "abort", id, reason });
  }

  /** Kills the process for the sake of one attempt; the rest is told when it is gone. */
  function condemn(slot: Slot, id: number, verdict: Outcome): void {
    const running = slot.running.get(id);
    if (running === undefined) return;
    running.verdict ??= verdict;
    if (running.verdict.kind === "failed") runsAlone(running, { proven: true });
    kill(slot);
  }

  /**
   * Kills a process whose worker does not hear us any more: one of the handlers in it spins, and the time of the others
   * went by without them. If several have begun, nobody knows which it is, and each has a process to itself the next time.
   */
  function breakUp(slot: Slot, id: number): void {
    const begun = begunIn(slot);
    if (begun.length === 0) return condemn(slot, id, timedOut); // it never came so far
    if (begun.length === 1 && begun[0]![1].timedOut) return condemn(slot, begun[0]![0], timedOut);
    for (const [, running] of begun) {
      running.verdict ??= interrupted("its process stood still and was killed; the next time it runs alone");
      runsAlone(running, { proven: false });
    }
    kill(slot);
  }

  function kill(slot: Slot): void {
    slot.retired = true;
    slot.condemned = true;
    slot.process.kill();
  }

  function runsAlone({ attempt: { deliveryId } }: Running, how: { proven: boolean }): void {
    if (alone.size >= aloneMax) alone.delete(alone.keys().next().value!);
    alone.set(deliveryId, how);
  }

  function hear(slot: Slot, message: HostMessage): void {
    if (message.kind === "loaded") {
      slot.files = message.files;
      slot.codeHash = message.codeHash;
    } else if (message.kind === "broken") slot.retired = true;
    else if (message.kind === "begun") {
      for (const id of message.ids) {
        const running = slot.running.get(id);
        if (running !== undefined) running.begun = true;
      }
    } else if (message.kind === "output" || message.kind === "doomed" || message.kind === "done") {
      const running = slot.running.get(message.id);
      if (running === undefined) return;
      if (message.kind === "output") {
        running.output = message.output;
        running.heard = true;
      } else if (message.kind === "doomed") doom(slot, message.id, message.reason);
      else {
        running.output = message.output;
        running.finish(running.verdict ?? judge(message, running), slot.codeHash);
      }
    }
  }

  function doom(slot: Slot, id: number, reason: string): void {
    const running = slot.running.get(id)!;
    running.verdict ??= failed(reason);
    running.cancelTimer();
    running.cancelTimer = host.clock.timer(doomedGraceMs, () => condemn(slot, id, running.verdict!));
  }

  function judge(verdict: Verdict, running: Running): Outcome {
    const text = verdict.text ?? "";
    if (verdict.outcome === "succeeded") return { kind: "succeeded", result: verdict.text };
    if (verdict.outcome === "rejected") return { kind: "rejected", reason: text };
    if (running.stopping) return interrupted(`the engine is stopping: ${text}`);
    if (running.timedOut) return failed(`timed out after ${formatDuration(spec.timeoutMs)} (${text})`);
    return verdict.retryAfterMs === undefined
      ? failed(text)
      : { kind: "failed", reason: text, retryAfterMs: verdict.retryAfterMs };
  }

  /** The process is gone: everything that was in it gets its outcome now. */
  function mourn(slot: Slot, end: ProcessEnd): void {
    slots.delete(slot);
    const wasKilled = closed || slot.condemned === true;
    slot.retired = true;
    for (const running of [...slot.running.values()]) {
      running.finish(running.verdict ?? outcomeOfDeath(end, wasKilled), slot.codeHash);
    }
  }
}

function begunIn({ running }: Slot): [id: number, running: Running][] {
  return [...running].filter(([, { begun }]) => begun);
}

function outcomeOfDeath(end: ProcessEnd, wasKilled: boolean): Outcome {
  if (wasKilled) return interrupted("its process was killed because of another attempt");
  if (end.engineLost) return interrupted(end.reason);
  if (!end.started) return failed(`could not start the handler's process: ${end.reason}`);
  return { kind: "failed", reason: end.reason, died: true };
}

const notBegun: AttemptReport = { outcome: interrupted("the engine is stopping") };

function failed(reason: string): Outcome {
  return { kind: "failed", reason };
}

function interrupted(reason: string): Outcome {
  return { kind: "interrupted", reason };
}

/** Head, request and, where the event is only a part of it, the event's own body. */
function partsOf(attempt: Attempt): Uint8Array[] {
  const { raw, item } = attempt.event;
  const parts = [encoder.encode(JSON.stringify(describeAttempt(attempt))), raw];
  if (item !== undefined) parts.push(encoder.encode(item));
  return parts;
}

function sizesOf([head, raw, item]: readonly Uint8Array[]): AttemptSizes {
  return { headBytes: head!.length, rawBytes: raw!.length, itemBytes: item?.length };
}

function describeAttempt({ event, ...attempt }: Attempt): AttemptHead {
  const { id, source, type, idempotencyKey, time, receivedAt, headers } = event;
  return {
    deliveryId: attempt.deliveryId,
    idempotencyKey: attempt.idempotencyKey,
    attempt: attempt.attempt,
    orderingKey: attempt.orderingKey,
    event: { id, source, type, idempotencyKey, time, receivedAt, headers },
  };
}
