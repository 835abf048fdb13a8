/**
 * The port for operators, and on a Deno whose HTTP parser cannot be used also the one for senders. `Deno.serve` gives up
 * for good when the process runs out of file descriptors; here it is opened again, with growing pauses, until somebody
 * closes it.
 *
 * Unlike port.ts it cannot cap how many connections are open, and how long one may stay silent or take over its headers,
 * because `Deno.serve` hands out requests, not connections. Each connection costs some 25 KiB and one descriptor.
 */

import type { Clock } from "../domain/clock.ts";
import type { Address } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import type { Observer } from "../engine/observer.ts";
import { problem } from "./problem.ts";

/** Pauses between attempts to open the port again: the first, doubling up to the last. */
const reopenMs = { first: 50, last: 5_000 };

/** An open port. */
export interface Listener {
  /** With the port that was really opened, when 0 was asked for. */
  readonly address: Address;
  /** Lets the requests in flight finish, then closes; those that take longer than the grace are not waited for. */
  close(): Promise<void>;
}

/** What a listener is wired to. */
export interface ListenOptions {
  readonly clock: Clock;
  readonly observe: Observer;
  /** How long `close` waits for the requests in flight. Default 5 s. */
  readonly closeGraceMs?: number;
}

/** Answers requests. */
export type Fetch = (request: Request, info: { remoteAddr: Deno.Addr }) => Response | Promise<Response>;

/**
 * Opens a port and keeps it open.
 *
 * @param address where; port 0 takes any free one
 * @throws Error saying what to change when the port cannot be opened the first time
 */
export function listen(address: Address, fetch: Fetch, options: ListenOptions): Promise<Listener> {
  const { clock, observe, closeGraceMs = 5_000 } = options;
  const stopping = new AbortController();
  let answering = 0;
  let allAnswered = (): void => {};
  let actual = address;
  let server: Deno.HttpServer<Deno.NetAddr>;

  function open(): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve({ ...actual, onListen() {}, onError }, answer);
  }

  async function answer(request: Request, info: { remoteAddr: Deno.Addr }): Promise<Response> {
    answering++;
    try {
      return await fetch(request, info);
    } finally {
      if (--answering === 0) allAnswered();
    }
  }

  function onError(error: unknown): Response {
    report("error", `a request to ${written(actual)} could not be handled: ${describeError(error)}`);
    return problem({ status: 500, detail: "the request could not be handled" });
  }

  function report(level: "info" | "error", message: string): void {
    observe({ kind: "engine", at: clock.now(), level, message });
  }

  async function supervise(): Promise<void> {
    while (!stopping.signal.aborted) {
      const reason = await server.finished.then(() => "it stopped by itself", describeError);
      if (stopping.signal.aborted) return;
      report("error", `${written(actual)} is closed: ${reason}; opening it again`);
      await reopen();
    }
  }

  async function reopen(): Promise<void> {
    for (let pauseMs = reopenMs.first;; pauseMs = Math.min(reopenMs.last, pauseMs * 2)) {
      const { over, cancel } = pause(pauseMs);
      stopping.signal.addEventListener("abort", cancel, { once: true });
      await over;
      if (stopping.signal.aborted) return;
      try {
        server = open();
        return report("info", `${written(actual)} is open again`);
      } catch (error) {
        report("error", `${written(actual)} could not be opened again: ${describeError(error)}`);
      }
    }
  }

  /** Ends by itself, or at once when it is cancelled. */
  function pause(delayMs: number): { over: Promise<void>; cancel: () => void } {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const stopTimer = clock.timer(delayMs, resolve);
    return {
      over,
      cancel() {
        stopTimer();
        resolve();
      },
    };
  }

  try {
    server = open();
  } catch (error) {
    return Promise.reject(cannotListen(address, error));
  }
  actual = { hostname: address.hostname, port: server.addr.port };
  const supervised = supervise();
  return Promise.resolve({
    address: actual,
    async close() {
      stopping.abort();
      const given = pause(closeGraceMs);
      // `shutdown` breaks off the bodies that are still being read (seen on Deno 2.9.6), so what is being answered ends
      // first. Aborting it later throws where nobody can catch it: after the grace, what is left ends by itself.
      const answered = answering > 0 && new Promise<void>((resolve) => allAnswered = resolve);
      await Promise.race([answered, given.over]);
      await Promise.race([Promise.all([server.shutdown(), supervised]), given.over]);
      given.cancel();
    },
  });
}

/** An address as it is written. */
export function written({ hostname, port }: Address): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Says what to change. */
export function cannotListen(address: Address, error: unknown): Error {
  const where = written(address);
  if (error instanceof Deno.errors.AddrInUse) {
    return new Error(`cannot listen on ${where}: another program has this port; stop it, or choose another port`, {
      cause: error,
    });
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new Error(
      `cannot listen on ${where}: not permitted; ports below 1024 need privileges, choose a higher one`,
      {
        cause: error,
      },
    );
  }
  return new Error(`cannot listen on ${where}: ${describeError(error)}; choose an address of this machine`, {
    cause: error,
  });
}
