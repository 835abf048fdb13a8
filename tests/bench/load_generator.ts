/**
 * Sends signed requests over raw keep-alive sockets, in a process of its own: as fast as a number of connections allows
 * (closed loop, no pipelining), or at a fixed rate whatever the answers do (open loop). Requests are built beforehand.
 */

import { preciseNow, serveLines } from "./line_server.ts";
import { buildRequest } from "./signed_request.ts";

/** One run, as it is ordered. */
export interface LoadOrder {
  readonly port: number;
  /** Begins every id, so that no two runs share one. */
  readonly prefix: string;
  readonly count: number;
  readonly connections: number;
  /** Distinct ordering keys. */
  readonly keys: number;
  /** Requests per second; without it, as fast as the connections allow. */
  readonly rate?: number;
}

/** What came of a run. Times are epoch milliseconds with a fraction. */
export interface LoadReport {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly accepted: number;
  readonly refused: number;
  /** By request: when it was written, and how long the answer took. */
  readonly sentAt: readonly number[];
  readonly answeredMs: readonly number[];
}

/** A socket that waits for nothing, or for one answer. */
class Connection {
  readonly #conn: Deno.Conn;
  readonly #chunk = new Uint8Array(16_384);

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  static async open(port: number): Promise<Connection> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    return new Connection(conn);
  }

  /** Sends a request and reads its answer to the last byte; returns the status. */
  async exchange(request: Uint8Array): Promise<number> {
    for (let at = 0; at < request.length;) at += await this.#conn.write(at === 0 ? request : request.subarray(at));
    let filled = 0;
    for (;;) {
      const count = await this.#conn.read(this.#chunk.subarray(filled));
      if (count === null) throw new Error("the server closed the connection");
      filled += count;
      const status = readAnswer(this.#chunk, filled);
      if (status !== undefined) return status;
    }
  }

  close(): void {
    this.#conn.close();
  }
}

/** The status of a complete answer with a Content-Length; undefined while bytes are missing. */
function readAnswer(chunk: Uint8Array, filled: number): number | undefined {
  let head = "";
  for (let at = 0; at < filled; at++) {
    const byte = chunk[at]!;
    if (byte === 13 && chunk[at + 1] === 10 && chunk[at + 2] === 13 && chunk[at + 3] === 10 && at + 4 <= filled) {
      head = latin1.decode(chunk.subarray(0, at));
      break;
    }
  }
  if (head === "") return undefined;
  const length = /content-length: (\d+)/i.exec(head);
  if (length === null) throw new Error(`an answer without Content-Length: ${head}`);
  return filled >= head.length + 4 + Number(length[1]) ? Number(head.slice(9, 12)) : undefined;
}

const latin1 = new TextDecoder("latin1");
let prepared: Uint8Array[] = [];

function prepare({ prefix, count, keys }: LoadOrder): void {
  prepared = Array.from({ length: count }, (_, at) => buildRequest(`${prefix}${at}`, `key-${at % keys}`));
}

async function run(order: LoadOrder): Promise<LoadReport> {
  const { count, port } = order;
  const sentAt = new Float64Array(count);
  const answeredMs = new Float64Array(count);
  let accepted = 0;
  let endedAt = 0;

  async function send(connection: Connection, at: number): Promise<void> {
    sentAt[at] = preciseNow();
    const status = await connection.exchange(prepared[at]!);
    endedAt = preciseNow();
    answeredMs[at] = endedAt - sentAt[at]!;
    if (status >= 200 && status <= 299) accepted++;
  }

  const pool = await Promise.all(Array.from({ length: order.connections }, () => Connection.open(port)));
  const startedAt = preciseNow();
  if (order.rate === undefined) {
    let next = 0;
    await Promise.all(pool.map(async (connection) => {
      while (next < count) await send(connection, next++);
    }));
  } else await sendAtRate(order.rate, { count, port, pool, send });
  for (const connection of pool) connection.close();
  return { startedAt, endedAt, accepted, refused: count - accepted, sentAt: [...sentAt], answeredMs: [...answeredMs] };
}

/** Begins a request when its time has come, on a free connection or a new one: a slow answer delays no other request. */
async function sendAtRate(rate: number, run: {
  count: number;
  port: number;
  pool: Connection[];
  send: (connection: Connection, at: number) => Promise<void>;
}): Promise<void> {
  const free = [...run.pool];
  const sending: Promise<void>[] = [];
  const begin = performance.now();
  for (let at = 0; at < run.count; at++) {
    const waitMs = begin + at * 1_000 / rate - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    let connection = free.pop();
    if (connection === undefined) run.pool.push(connection = await Connection.open(run.port));
    const used = connection;
    sending.push(run.send(used, at).then(() => void free.push(used)));
  }
  await Promise.all(sending);
}

if (import.meta.main) {
  await serveLines({ ready: true }, (request) => {
    const order = request as unknown as LoadOrder & { step: "prepare" | "run" };
    return order.step === "prepare" ? prepare(order) : run(order);
  });
}
