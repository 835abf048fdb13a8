/**
 * A log on a libSQL server (sqld, Turso). Writes are single batches, because the server cuts an interactive transaction
 * after five seconds; a reply that is lost is unknown, so every batch is safe to repeat.
 */

import { type Client, createClient, type InValue, LibsqlError, type ResultSet } from "@libsql/client/web";
import { ConstraintBroken, type Database, type Result, type Statement, type Value } from "./database.ts";
import { StoreUnavailable } from "./store.ts";

/** Longest wait for one answer. The server gives up waiting for its own lock after five seconds. */
export const answerLimitMs = 15_000;

/** Where the server is. */
export interface LibsqlOptions {
  /** `libsql:`, `http:` or `https:`. */
  readonly url: string;
  readonly authToken?: string;
}

/** Connects to a server; the first statement shows whether it is there. */
export function openLibsql(options: LibsqlOptions): Database {
  const { url, authToken } = options;
  return new LibsqlServer(createClient({ url, authToken, intMode: "number", fetch: fetchWithin }));
}

/** Without a limit, one server that never answers would hold up every append behind it for ever. */
function fetchWithin(request: Request): Promise<Response> {
  return fetch(request, { signal: AbortSignal.timeout(answerLimitMs), redirect: "error" });
}

class LibsqlServer implements Database {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async read(statement: Statement): Promise<Result> {
    try {
      return toResult(await this.#client.execute(toLibsql(statement)));
    } catch (error) {
      throw translate(error);
    }
  }

  async write(batch: readonly Statement[]): Promise<Result[]> {
    if (batch.length === 0) return [];
    try {
      return (await this.#client.batch(batch.map(toLibsql), "write")).map(toResult);
    } catch (error) {
      throw translate(error);
    }
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}

function toLibsql({ sql, parameters }: Statement): { sql: string; args: InValue[] } {
  return { sql, args: parameters as InValue[] };
}

function toResult(set: ResultSet): Result {
  const rows = set.rows.map((row) =>
    Object.fromEntries(set.columns.map((column, at) => {
      const value = row[at];
      return [column, value instanceof ArrayBuffer ? new Uint8Array(value) : value as Value];
    }))
  );
  return { rows, changes: set.columns.length > 0 ? rows.length : set.rowsAffected };
}

function translate(error: unknown): Error {
  const message = (error as Error).message;
  if (error instanceof LibsqlError && isOwnFault(error.code)) {
    return new ConstraintBroken(message, { cause: error });
  }
  return new StoreUnavailable(`the log's server cannot be used: ${message}`, { cause: error });
}

/** Whether the batch itself is at fault, by a rule that it breaks or a value that is too large for the server. */
function isOwnFault(code: string): boolean {
  return code.startsWith("SQLITE_CONSTRAINT") || code === "ARGS_INVALID";
}
