/**
 * The sandboxed worker: it closes the doors, loads the handler and runs it once per attempt. What it needs from the
 * runtime is taken before the handler is loaded, so that a handler that rewrites a prototype harms only itself.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers";
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
import { createRingWriter } from "./report_ring.ts";
import { closeDoors, guardImports } from "./sandbox.ts";
import type {
  AttemptHead,
  AttemptSizes,
  Verdict,
  WorkerCommand,
  WorkerOrders,
  WorkerReport,
  WorkerSetup,
} from "./script_protocol.ts";

/** One attempt in this worker. */
interface Running {
  readonly nonce: string;
  readonly output: AttemptOutput;
  readonly abort: AbortController;
  readonly sizes: AttemptSizes;
  readonly place: number;
  /** Head, request and item end to end. */
  readonly bytes: Uint8Array;
  ended: boolean;
  /** Set when it has failed although its handler may still return. */
  doomed?: string;
}

/** Something to do, and what comes after it: a list of our own, because a handler can rewrite those of the language. */
interface Order {
  readonly command: WorkerCommand;
  readonly bytes: Uint8Array;
  next?: Order;
}

/** How long attempts that came together are started in one turn. */
const turnMsMax = 5;

/** Steps of the microtask queue that a handler is given to end in before the next one starts. */
const hopsMax = 16;

// Taken before the handler is loaded: what it rewrites must neither see nor change what is another attempt's.
const decode = TextDecoder.prototype.decode.bind(new TextDecoder());
const { apply } = Reflect;
const { store } = Atomics;
const { subarray, slice } = Uint8Array.prototype;
const part = (bytes: Uint8Array, from: number, to: number): Uint8Array => apply(subarray, bytes, [from, to]);
const { parse, stringify } = JSON;
const now = performance.now.bind(performance);
const nextTurn = setImmediate;
const endOfTurn = queueMicrotask;
const Turn = Promise<void>;

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
  const write = createRingWriter(setup.ring);
  const begun = new Uint8Array(setup.begun);
  /** What has not been done yet, the next first. */
  let first: Order | undefined;
  let last: Order | undefined;
  /** It is being done. */
  let busy = false;
  /** The host has not been woken since the last report. */
  let isDue = false;
  let handler: Promise<Handler> | undefined;
  let loaded: Handler | undefined;

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
    const { commands, bytes } = message.data as WorkerOrders;
    let at = 0;
    for (const command of commands) {
      const from = at;
      if (command.kind === "run") at += command.headBytes + command.rawBytes + (command.itemBytes ?? 0);
      const order: Order = { command, bytes: part(bytes, from, at) };
      if (last === undefined) first = order;
      else last.next = order;
      last = order;
    }
    if (!busy) obey();
  };

  /**
   * Does what was asked for, in its order. Whoever ends without waiting is reported before the next one starts, who may
   * spin or die; and whoever is told to stop has had time to listen for it.
   */
  async function obey(): Promise<void> {
    busy = true;
    let turnAt = now();
    try {
      while (first !== undefined) {
        const { command, bytes } = first;
        first = first.next;
        if (first === undefined) last = undefined;
        await follow(command, bytes);
        if (now() - turnAt < turnMsMax) continue;
        // Others have timers and answers to attend to.
        ring();
        await new Turn((resolve) => void nextTurn(resolve));
        turnAt = now();
      }
    } finally {
      busy = false;
      ring();
    }
  }

  async function follow(command: WorkerCommand, bytes: Uint8Array): Promise<void> {
    const { nonce } = command;
    if (command.kind === "abort") return abort(nonce, command.reason);
    const fresh = { output: createAttemptOutput(), abort: new AbortController(), ended: false };
    const attempt: Running = { nonce, sizes: command, place: command.place, bytes, ...fresh };
    run(attempt);
    for (let hop = 0; hop < hopsMax && !attempt.ended; hop++) await undefined;
  }

  /** Reports wait where the host finds them; it is woken for several at once. */
  function report(item: WorkerReport): void {
    // Without a prototype no handler can lend it a toJSON.
    if (!write(stringify({ __proto__: null, ...item }))) return post(item);
    isDue = true;
    if (!busy) endOfTurn(ring);
  }

  function ring(): void {
    if (!isDue) return;
    isDue = false;
    post(null);
  }

  async function run(attempt: Running): Promise<void> {
    running.set(attempt.nonce, attempt);
    const verdict = await current.run(attempt, () => call(attempt));
    running.delete(attempt.nonce);
    attempt.ended = true;
    const sound = attempt.doomed === undefined ? verdict : { outcome: "failed" as const, text: attempt.doomed };
    report({ kind: "done", nonce: attempt.nonce, ...sound, output: attempt.output.read() });
  }

  async function call(attempt: Running): Promise<Omit<Verdict, "output">> {
    try {
      const handle = loaded ?? await load();
      const { head, event } = readAttempt(attempt);
      store(begun, attempt.place, 1);
      const { text, note } = resultText(await handle(event, createContext(attempt, head)));
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
    return handler ??= importHandler(setup.fileUrl).then((imported) => loaded = imported, (thrown) => {
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

function readAttempt({ bytes, sizes: { headBytes, rawBytes, itemBytes } }: Running): {
  head: AttemptHead;
  event: HandlerEvent;
} {
  const itemAt = headBytes + rawBytes;
  const head = parse(decode(part(bytes, 0, headBytes))) as AttemptHead;
  const item = itemBytes === undefined ? undefined : decode(part(bytes, itemAt, itemAt + itemBytes));
  // A copy: around it lie the bodies of others.
  const raw: Uint8Array = apply(slice, bytes, [headBytes, itemAt]);
  return { head, event: toHandlerEvent({ ...head.event, query: "", raw, item }, head.orderingKey) };
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
