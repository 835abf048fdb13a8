/**
 * Kysely over whatever the log is in: it builds the queries whose shape depends on what was asked for, and hands them to
 * the {@link Database} as statements.
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
import type { Database, Value } from "./database.ts";
import type { Tables } from "./schema.ts";

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
        // Without the query's tree, which is ten times as large and would go to the log's thread with it.
        const { rows } = await database.read({ sql: query.sql, parameters: query.parameters as Value[] });
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
