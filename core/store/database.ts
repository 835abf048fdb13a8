/**
 * The least that the log needs of a database: one statement read, many statements written atomically. A local file and
 * a remote server differ below this line and nowhere above it.
 */

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
  /** Does everything in the order in which it was asked, so that a batch need not wait until the one before is answered. */
  readonly keepsOrder?: boolean;
  read(statement: Statement): Promise<Result>;
  /**
   * All or nothing, durable when it resolves. One result per statement.
   *
   * @param options `isAhead`: whether a batch before it is not answered yet; if that one breaks a rule, this one is not
   *   tried. Without it, this one goes with no other.
   * @throws NotTried then, where the database keeps the order
   */
  write(batch: readonly Statement[], options?: { readonly isAhead?: boolean }): Promise<Result[]>;
  /**
   * Takes the WAL of a local file into it, so that pages which were given back leave the disk; a server sees to that
   * itself and has none. It waits for nobody: false while somebody reads what would have to go.
   */
  checkpoint?(): Promise<boolean>;
  close(): Promise<void>;
}

/** A statement broke a rule of the schema or carried a value that none can bind: the batch is undone, the database is fine. */
export class ConstraintBroken extends Error {
  override readonly name = "ConstraintBroken";
}

/** The batch before it broke a rule: whoever sent it has to know that first, because what is tried again goes before it. */
export class NotTried extends Error {
  override readonly name = "NotTried";
}
