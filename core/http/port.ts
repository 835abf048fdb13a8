/**
 * The port for senders, on sockets of our own: how many connections are open is limited, each of them may be silent only
 * for so long, and running out of file descriptors closes nothing. `Deno.serve` has none of this, and a request that is
 * verified and parsed takes 62 us of CPU behind it, against 46 here (medians of seven runs in turns).
 */

import type { Clock } from "../domain/clock.ts";
import type { Address } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import type { Observer } from "../engine/observer.ts";
import { Connection, type ConnectionLimits, type Door } from "./connection.ts";
import { cannotListen, type Listener, written } from "./listener.ts";

/** What a port takes. */
export interface PortLimits extends ConnectionLimits {
  /** Open connections. Beyond it the longest idle one is closed for a new one, which else has to wait. */
  readonly connectionsMax: number;
}

/** The limits that hold unless others are given. */
export const portLimits: PortLimits = {
  connectionsMax: 4_096,
  headerBytesMax: 65_536 + 8_192, // so that the ingress can say which of the two is too large
  headTimeoutMs: 10_000,
  idleTimeoutMs: 620_000, // longer than proxies keep theirs (Caddy: 2 min, load balancers up to 10), so that they close it
  answerTimeoutMs: 10_000,
};

/** How exactly silence is measured. */
const tickMs = 1_000;

/** Pauses between attempts to accept a connection when there are no file descriptors: the first, doubling up to the last. */
const acceptAgainMs = { first: 10, last: 1_000 };

/** What a port is wired to. */
export interface PortOptions {
  readonly clock: Clock;
  readonly observe: Observer;
  /** How long `close` waits for the requests in flight. Default 5 s. */
  readonly closeGraceMs?: number;
  readonly limits?: Partial<PortLimits>;
}

/**
 * Opens a port.
 *
 * @param address where; port 0 takes any free one
 * @throws Error saying what to change when the port cannot be opened
 */
export function openPort(address: Address, door: Door, options: PortOptions): Listener {
  const { clock, observe, closeGraceMs = 5_000 } = options;
  const limits: PortLimits = { ...portLimits, ...options.limits };
  const connections = new Set<Connection>();
  const stopping = new AbortController();
  /** Called when a connection has ended or nobody waits for it any more, and when the port closes. */
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
      if (connection.isNew(now)) continue;
      if ((connection.idleSince ?? Infinity) < (idlest?.idleSince ?? Infinity)) idlest = connection;
    }
    idlest?.close();
  }

  /** Holds a new connection back until there is room for it. */
  async function hasRoom(conn: Deno.TcpConn): Promise<Deno.TcpConn> {
    while (connections.size >= limits.connectionsMax && !stopping.signal.aborted) {
      evict();
      await change(tickMs);
    }
    return conn;
  }

  /** Resolves when something has changed, or after a while. */
  function change(afterMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.timer(afterMs, resolve);
      notify = () => {
        notify = doNothing;
        cancel();
        resolve();
      };
    });
  }

  async function acceptAll(): Promise<void> {
    let pauseMs = acceptAgainMs.first;
    let isShort = false;
    while (!stopping.signal.aborted) {
      try {
        take(await hasRoom(await server.accept()));
        if (isShort) report("info", `${written(actual)} accepts connections again`);
        isShort = false;
        pauseMs = acceptAgainMs.first;
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (hasHungUp(error)) continue;
        if (!isShort) {
          report("error", `${written(actual)} accepts no connection: ${describeError(error)}; trying again`);
        }
        isShort = true;
        evict();
        await change(pauseMs);
        pauseMs = Math.min(acceptAgainMs.last, pauseMs * 2);
      }
    }
  }

  function report(level: "info" | "error", message: string): void {
    observe({ kind: "engine", at: clock.now(), level, message });
  }

  async function closeOnce(): Promise<void> {
    stopping.abort();
    server.close();
    notify();
    for (const connection of connections) if (connection.idleSince !== undefined) connection.close();
    let isOver = false;
    const cancel = clock.timer(closeGraceMs, () => {
      isOver = true;
      notify();
    });
    while (connections.size > 0 && !isOver) await change(closeGraceMs);
    cancel();
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
