/**
 * The sandboxed worker: it closes the doors, loads the handler and runs it once per attempt. What it needs from the
 * runtime is taken before the handler is loaded, so that a handler that rewrites a prototype harms only itself.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import {
  askedOutcome,
  type Handler,
  type HandlerContext,
  type HandlerEvent,
  Rejection,
  resultText,
  RetryLater,
  toHandlerEvent,
} from "../../core/plugin.ts";
import { type AttemptOutput, captureConsole, createAttemptOutput } from "./attempt_output.ts";
import { describeFailure, type HandlerPlace } from "./failure.ts";
import { closeDoors, guardImports } from "./sandbox.ts";
import type { AttemptHead, Verdict, WorkerCommand, WorkerReport, WorkerSetup } from "./script_protocol.ts";

/** One attempt in this worker. */
interface Running {
  readonly nonce: string;
  readonly output: AttemptOutput;
  readonly abort: AbortController;
  /** Set when it has failed although its handler may still return. */
  doomed?: string;
}

globalThis.addEventListener("message", (message) => {
  message.stopImmediatePropagation();
  serveAttempts((message as MessageEvent<WorkerSetup>).data);
}, { once: true });

function serveAttempts(setup: WorkerSetup): void {
  const running = new Map<string, Running>();
  const current = new AsyncLocalStorage<Running>();
  const getCurrent = current.getStore.bind(current);
  const place: HandlerPlace = setup;
  const post = setup.port.postMessage.bind(setup.port);
  const report = batch((reports: WorkerReport[]) => post(reports));
  let handler: Promise<Handler> | undefined;

  captureConsole((text) => getCurrent()?.output.write(text));
  if (setup.guarded && !guardImports(setup.sources)) {
    handler = Promise.reject(
      new Error(
        "scripts need Deno 2.8.2 or later: this one cannot guard imports (WEIR_UNGUARDED_IMPORTS=1 runs them unguarded)",
      ),
    );
    handler.catch(() => {});
  }
  closeDoors((call) => {
    doom(`called ${call}`);
    throw new Error(`${call} ends nothing but this attempt`);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    doom(`unhandled rejection: ${describeFailure(event.reason, place)}`);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    doom(`uncaught: ${describeFailure(event.error, place)}`);
  });
  setup.port.onmessage = (message) => {
    const command = message.data as WorkerCommand;
    if (command.kind === "run") run(command.nonce, command.head, command.payload);
    else abort(command.nonce, command.reason);
  };

  async function run(nonce: string, head: AttemptHead, payload: Uint8Array): Promise<void> {
    const attempt: Running = { nonce, output: createAttemptOutput(), abort: new AbortController() };
    running.set(nonce, attempt);
    const verdict = await current.run(attempt, () => call(attempt, head, payload));
    running.delete(nonce);
    const sound = attempt.doomed === undefined ? verdict : { outcome: "failed" as const, text: attempt.doomed };
    report({ kind: "done", nonce, ...sound, output: attempt.output.read() });
  }

  async function call(attempt: Running, head: AttemptHead, payload: Uint8Array): Promise<Omit<Verdict, "output">> {
    try {
      const handle = await load();
      const { text, note } = resultText(await handle(readEvent(head, payload), createContext(attempt, head)));
      if (note !== undefined) attempt.output.write(`${note}\n`);
      return { outcome: "succeeded", text };
    } catch (thrown) {
      const asked = askedOutcome(thrown);
      if (asked?.kind === "rejected") return { outcome: "rejected", text: asked.reason };
      if (asked?.kind === "failed") return { outcome: "failed", text: asked.reason, retryAfterMs: asked.retryAfterMs };
      return { outcome: "failed", text: describeFailure(thrown, place) };
    }
  }

  /** The module is evaluated once, in the first attempt; if that fails the process is given up. */
  function load(): Promise<Handler> {
    return handler ??= importHandler(setup.fileUrl).catch((thrown) => {
      report({ kind: "broken" });
      throw thrown;
    });
  }

  function abort(nonce: string, reason: string): void {
    const attempt = running.get(nonce);
    if (attempt === undefined) return;
    report({ kind: "output", nonce, output: attempt.output.read() });
    attempt.abort.abort(new DOMException(reason, "AbortError"));
  }

  /** Fails the attempt that the error belongs to, or all of them when it cannot be told. */
  function doom(reason: string): void {
    const attempt = getCurrent();
    // An attempt that is over cannot fail any more, and its stray error is no one else's.
    if (attempt !== undefined && !running.has(attempt.nonce)) return;
    for (const each of attempt === undefined ? running.values() : [attempt]) {
      each.doomed ??= reason;
      report({ kind: "doomed", nonce: each.nonce, reason: each.doomed });
    }
  }
}

async function importHandler(url: string): Promise<Handler> {
  const module = await import(url);
  if (module.default === undefined) throw new Error("the handler file has no default export: write `export default`");
  if (typeof module.default !== "function") {
    throw new Error(`the default export of the handler file is ${typeof module.default}: expected a function`);
  }
  return module.default;
}

function readEvent(head: AttemptHead, payload: Uint8Array): HandlerEvent {
  const raw = payload.subarray(0, head.rawBytes);
  const item = head.hasItem ? new TextDecoder().decode(payload.subarray(head.rawBytes)) : undefined;
  return toHandlerEvent({ ...head.event, query: "", raw, item }, head.orderingKey);
}

function createContext(attempt: Running, head: AttemptHead): HandlerContext {
  return {
    deliveryId: head.deliveryId,
    idempotencyKey: head.idempotencyKey,
    attempt: head.attempt,
    signal: attempt.abort.signal,
    log: (...values) => console.log(...values),
    reject: (message) => new Rejection(String(message)),
    retryAfter: (duration, message) => new RetryLater(String(duration), message),
  };
}

/** Reports made in one turn leave in one message. */
function batch<Item>(send: (items: Item[]) => void): (item: Item) => void {
  let queued: Item[] = [];
  const flush = () => {
    const items = queued;
    queued = [];
    send(items);
  };
  return (item) => {
    queued.push(item);
    if (queued.length === 1) queueMicrotask(flush);
  };
}
