/**
 * The port for senders, on sockets of our own: how many connections are open is limited, each of them may be silent only
 * for so long, and running out of file descriptors closes nothing. `Deno.serve` has none of this, and a request that is
 * verified and parsed takes 62 us of CPU behind it, against 46 here (medians of seven runs in turns).
 */

import type { Clock } from "../domain/clock.ts";
import type { Address } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import type { Observer } from "../engine/observer.ts";
import { Connection, type ConnectionLimits } from "./connection.ts";
import type { Door } from "./door.ts";
import { ingressLimits } from "./ingress.ts";
import { cannotListen, type Listener, written } from "./listener.ts";

/** What a port takes. */
export interface PortLimits extends ConnectionLimits {
  /** Open connections. Beyond it the longest idle one is closed for a new one, which else has to wait. */
  readonly connectionsMax: number;
}

/** The limits that hold unless others are given. */
export const portLimits: PortLimits = {
  connectionsMax: 4_096,
  headerBytesMax: ingressLimits.headerBytesMax + ingressLimits.urlLengthMax, // so that the ingress says which is too large
  headTimeoutMs: 10_000,
  idleTimeoutMs: 620_000, // longer than proxies keep theirs (Caddy: 2 min, load balancers up to 10), so that they close it
  answerTimeoutMs: 10_000,
};

/** How exactly silence is measured. */
const tickMs = 1_000;

/** Pauses between attempts to accept a connection when there are no file descriptors: the first, doubling up to the last. */
const acceptAgainMs = { first: 10, last: 1_000 };

/** How soon a shortage of file descriptors is told again after one that is over. */
const quietMs = 60_000;

/** How long `close` waits for the requests in flight. */
export const closeGraceMs = 5_000;

/** What a port is wired to. */
export interface PortOptions {
  readonly clock: Clock;
  readonly observe: Observer;
  readonly limits?: Partial<PortLimits>;
}

/**
 * Opens a port.
 *
 * @param address where; port 0 takes any free one
 * @throws Error saying what to change when the port cannot be opened
 */
export function openPort(address: Address, door: Door, options: PortOptions): Listener {
  const { clock, observe } = options;
  const limits: PortLimits = { ...portLimits, ...options.limits };
  const connections = new Set<Connection>();
  const stopping = new AbortController();
  /** Ends the wait for a change: of the accept loop, and once that has ended of `close`. */
  let notify = doNothing;
  let now = 0;
  let cancelTick = doNothing;
  let date = "";

  let server: Deno.TcpListener;
  try {
    server = Deno.listen({ ...address, transport: "tcp" });
  } catch (error) {
    throw cannotListen(address, error);
  }
  const actual: Address = { hostname: address.hostname, port: server.addr.port };

  function tick(): void {
    now += tickMs;
    date = "";
    for (const connection of connections) connection.expire();
    cancelTick = connections.size > 0 ? clock.timer(tickMs, tick) : doNothing;
  }

  function take(conn: Deno.TcpConn): void {
    const connection = new Connection(conn, {
      door,
      limits,
      coarseNow: () => now,
      date: () => date ||= new Date(clock.now()).toUTCString(),
      isClosing: () => stopping.signal.aborted,
      onIdle: () => notify(),
    });
    if (connections.size === 0) cancelTick = clock.timer(tickMs, tick);
    connections.add(connection);
    void connection.converse().then(() => {
      connections.delete(connection);
      if (connections.size === 0) {
        cancelTick();
        date = "";
      }
      notify();
    });
  }

  /** Closes the connection that nobody has needed for longest, if there is one. */
  function evict(): void {
    let idlest: Connection | undefined;
    for (const connection of connections) {
      if (connection.isNew) continue; // its request may be on its way
      if ((connection.idleSince ?? Infinity) < (idlest?.idleSince ?? Infinity)) idlest = connection;
    }
    idlest?.close();
  }

  async function waitForRoom(): Promise<void> {
    while (connections.size >= limits.connectionsMax && !stopping.signal.aborted) {
      evict();
      await waitForChange(tickMs);
    }
  }

  /** Resolves when a connection has ended or nobody waits for it any more, when the port closes, or after a while. */
  function waitForChange(afterMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.timer(afterMs, resolve);
      notify = () => {
        notify = doNothing;
        cancel();
        resolve();
      };
    });
  }

  /** Resolves when the time is up or the port closes. */
  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        stopping.signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = clock.timer(delayMs, end);
      stopping.signal.addEventListener("abort", end);
    });
  }

  /** The next connection; undefined when the port is closed. */
  async function accept(): Promise<Deno.TcpConn | undefined> {
    for (let pauseMs = acceptAgainMs.first; !stopping.signal.aborted;) {
      try {
        return await server.accept();
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (hasHungUp(error)) continue;
        shortage.begins(error);
        evict();
        await pause(pauseMs);
        pauseMs = Math.min(acceptAgainMs.last, pauseMs * 2);
      }
    }
  }

  async function acceptAll(): Promise<void> {
    for (let conn = await accept(); conn !== undefined; conn = await accept()) {
      shortage.ends();
      await waitForRoom();
      take(conn);
    }
  }

  function report(level: "info" | "error", message: string): void {
    observe({ kind: "engine", at: clock.now(), level, message });
  }

  /** Said once when it begins and once when it ends, however often a few descriptors come and go. */
  const shortage = {
    isTold: false,
    quietUntil: -Infinity,
    begins(error: unknown): void {
      if (this.isTold || clock.monotonic() < this.quietUntil) return;
      this.isTold = true;
      report("error", `${written(actual)} accepts no connection: ${describeError(error)}; trying again`);
    },
    ends(): void {
      if (!this.isTold) return;
      this.isTold = false;
      this.quietUntil = clock.monotonic() + quietMs;
      report("info", `${written(actual)} accepts connections again`);
    },
  };

  async function closeOnce(): Promise<void> {
    stopping.abort();
    server.close();
    notify();
    for (const connection of connections) if (connection.idleSince !== undefined) connection.close();
    const endsAt = clock.monotonic() + closeGraceMs;
    for (let leftMs = closeGraceMs; connections.size > 0 && leftMs > 0; leftMs = endsAt - clock.monotonic()) {
      await waitForChange(leftMs);
    }
    for (const connection of connections) connection.close();
    connections.clear(); // an answer that never comes keeps nothing alive
    cancelTick();
    await accepting;
  }

  const accepting = acceptAll();
  let closed: Promise<void> | undefined;
  return { address: actual, close: () => closed ??= closeOnce() };
}

/** Whether whoever had called hung up before the connection was taken: the port itself is fine. */
function hasHungUp(error: unknown): boolean {
  const { NotConnected, ConnectionReset, ConnectionAborted } = Deno.errors;
  return error instanceof NotConnected || error instanceof ConnectionReset || error instanceof ConnectionAborted;
}

function doNothing(): void {}
