/**
 * A log in one local file whose SQLite has a thread of its own, so that neither a commit nor a slow disk nor somebody
 * else's lock ever holds up a request that is being verified.
 *
 * On the thread of the engine an event would cost less CPU, 0.88 of this without handlers and 0.97 with a script, and yet
 * 0.95 and 0.92 as many would go through: who waits for the disk verifies nothing (medians of eleven and nine pairs).
 */

import { ConstraintBroken, type Database, NotTried, type Result, type Value } from "./database.ts";
import type { SqliteOptions } from "./sqlite.ts";
import type { ColumnResult, Order, Report } from "./sqlite_worker.ts";
import { DiskFull, StoreUnavailable } from "./store.ts";

/**
 * Opens or makes the file, on a new thread.
 *
 * @param path absolute; made with mode 600 when it is not there
 * @throws StoreUnavailable when SQLite is too old, the file cannot be opened, or a pragma does not hold
 */
export async function openSqliteThread(path: string, options: SqliteOptions = {}): Promise<ThreadedDatabase> {
  const thread = new SqliteThread(path, options);
  try {
    await thread.ask({ kind: "open", path, readOnly: options.readOnly });
  } catch (error) {
    thread.end();
    throw error;
  }
  return thread;
}

/** A database on a thread of its own. */
export interface ThreadedDatabase extends Database {
  /** Nothing will be answered any more. */
  readonly isBroken: boolean;
  /**
   * Opens the same file on one more thread, to read only, so that a long look never holds up a commit. A disk that fails
   * there has failed here too; a thread that breaks there is no concern of this one.
   */
  openReading(): Promise<ThreadedDatabase>;
}

interface Waiting {
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: Error) => void;
}

class SqliteThread implements ThreadedDatabase {
  readonly keepsOrder = true;
  readonly #worker = new Worker(new URL("./sqlite_worker.ts", import.meta.url), { type: "module", name: "weir-log" });
  readonly #path: string;
  readonly #onFailure: (error: Error) => void;
  /** In the order of the orders, which is the order of the answers. */
  readonly #waiting: Waiting[] = [];
  #failed: Error | undefined;
  #closed = false;

  constructor(path: string, { onFailure = () => {}, readOnly = false }: SqliteOptions) {
    this.#path = path;
    this.#onFailure = onFailure;
    this.#worker.onmessage = ({ data }: MessageEvent<Report>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // it would end the whole process, past every orderly way
      const error = new Error(`its thread broke: ${event.message}`);
      if (readOnly) this.#failed = error;
      else this.#fail(error);
      this.#refuseWaiting(error.message);
    };
  }

  async read(statement: Parameters<Database["read"]>[0]): Promise<Result> {
    return (await this.ask({ kind: "read", statement }))[0]!;
  }

  write(batch: Parameters<Database["write"]>[0], { isAhead }: { isAhead?: boolean } = {}): Promise<Result[]> {
    return this.ask({ kind: "write", batch, isAhead });
  }

  async checkpoint(): Promise<boolean> {
    return (await this.ask({ kind: "checkpoint" }))[0]!.changes === 1;
  }

  async close(): Promise<void> {
    // The end of a thread closes its database and with that takes the WAL into the file, which after a disk failure could
    // be a broken one: then the thread stays until the process ends, and the next start recovers.
    if (this.#failed !== undefined || this.#closed) return;
    const closed = this.ask({ kind: "close" });
    this.#closed = true; // what comes after it would be told to a thread that is about to end
    await closed.finally(() => this.end());
  }

  get isBroken(): boolean {
    return this.#failed !== undefined;
  }

  openReading(): Promise<ThreadedDatabase> {
    return openSqliteThread(this.#path, { readOnly: true, onFailure: (error) => this.#fail(error) });
  }

  end(): void {
    this.#closed = true;
    this.#worker.terminate();
    this.#refuseWaiting("it is closed");
  }

  #refuseWaiting(reason: string): void {
    for (const { reject } of this.#waiting.splice(0)) {
      reject(new StoreUnavailable(`the log cannot be used: ${reason}`));
    }
  }

  ask(order: Order): Promise<Result[]> {
    if (this.#closed) return Promise.reject(new StoreUnavailable("the log is closed"));
    if (this.#failed !== undefined) {
      return Promise.reject(new StoreUnavailable(`the log has failed: ${this.#failed.message}; restart`));
    }
    return new Promise((resolve, reject) => {
      try {
        this.#worker.postMessage(order);
      } catch (cause) {
        // A value that cannot even be sent is one that cannot be bound; nobody may wait for an answer to it.
        return reject(new ConstraintBroken((cause as Error).message, { cause }));
      }
      this.#waiting.push({ resolve, reject });
    });
  }

  #hear(report: Report): void {
    const { resolve, reject } = this.#waiting.shift()!;
    if (report.ok) return resolve(report.results.map(toRows));
    if (report.failure !== undefined) this.#fail(new Error(report.failure));
    const Failure = failures[report.kind];
    reject(new Failure(report.message));
  }

  #fail(error: Error): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#onFailure(error);
  }
}

const failures = {
  constraint: ConstraintBroken,
  untried: NotTried,
  full: DiskFull,
  unavailable: StoreUnavailable,
} as const;

function toRows({ names, columns, changes }: ColumnResult): Result {
  const rows = (columns[0] ?? []).map((_, at) => {
    const row: Record<string, Value> = {};
    for (let column = 0; column < names.length; column++) row[names[column]!] = columns[column]![at]!;
    return row;
  });
  return { rows, changes };
}
