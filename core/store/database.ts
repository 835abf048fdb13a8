/**
 * The least that the log needs of a database: one statement read, many statements written atomically. A local file and
 * a remote server differ below this line and nowhere above it.
 */

import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Tables } from "./schema.ts";

/** A value that SQLite can bind and return. */
export type Value = null | number | string | Uint8Array;

/** SQL text with its values. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly Value[];
}

/** What one statement gave. */
export interface Result {
  readonly rows: readonly Record<string, Value>[];
  readonly changes: number;
}

/** Statements to run, and how to read what they gave. */
export interface Plan<Answer> {
  readonly statements: readonly Statement[];
  read(results: readonly Result[]): Answer;
}

/** A database that can be read one statement at a time and written one atomic batch at a time. */
export interface Database {
  read(statement: Statement): Promise<Result>;
  /** All or nothing, durable when it resolves. One result per statement. */
  write(batch: readonly Statement[]): Promise<Result[]>;
  close(): Promise<void>;
}

/** A statement broke a rule of the schema or carried a value that none can bind: the batch is undone, the database is fine. */
export class ConstraintBroken extends Error {
  override readonly name = "ConstraintBroken";
}

/**
 * A Kysely whose queries run on `database`. Its transactions are refused: a write is a batch, because an interactive
 * transaction on a remote server is cut after five seconds.
 */
export function createKysely(database: Database): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new StatementDriver(database),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

class StatementDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(database: Database) {
    this.#connection = {
      async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
        const { rows } = await database.read(query as unknown as Statement);
        return { rows: rows as unknown as Row[] };
      },
      streamQuery: () => {
        throw new TypeError("the log's queries are paged, never streamed");
      },
    };
  }

  init(): Promise<void> {
    return Promise.resolve();
  }
  acquireConnection(): Promise<DatabaseConnection> {
    return Promise.resolve(this.#connection);
  }
  beginTransaction(): Promise<void> {
    return Promise.reject(new TypeError("the log is written in batches, never in an interactive transaction"));
  }
  commitTransaction(): Promise<void> {
    return Promise.resolve();
  }
  rollbackTransaction(): Promise<void> {
    return Promise.resolve();
  }
  releaseConnection(): Promise<void> {
    return Promise.resolve();
  }
  destroy(): Promise<void> {
    return Promise.resolve();
  }
}
