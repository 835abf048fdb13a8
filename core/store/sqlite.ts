/**
 * A log in one local file, through Deno's built-in node:sqlite. The pragmas are what makes "2xx means durable" true;
 * they are set on opening and read back, and a database that does not obey is refused.
 *
 * Never open the file by other means than SQLite in this process, not even to copy it: closing such a handle drops SQLite's
 * locks. A second connection of SQLite's own keeps them.
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { isOlder } from "../domain/version.ts";
import { ConstraintBroken, type Database, type Result, type Statement, type Value } from "./database.ts";
import { describeFullDisk } from "./free_space.ts";
import { DiskFull, StoreUnavailable } from "./store.ts";

/** Oldest SQLite without the WAL-reset corruption bug (sqlite.org/wal.html#walresetbug). */
const versionMin = "3.51.3";

/** Prepared statements kept; each distinct SQL text is one. */
const preparedMax = 256;

/** Most that is told of the tables of another program, in characters. */
const namesLengthMax = 100;

/** How long a write waits for somebody else's lock. The whole thread waits with it. */
const busyMs = 2_000;

/** The same for the writes after one that has waited in vain: requests are to be refused now, not in half a minute. */
const lockedOutBusyMs = 10;

/** `synchronous=FULL` is the promise: NORMAL lost acknowledged rows in 371 of 500 simulated power cuts, FULL in none. */
const pragmas: Readonly<Record<string, string | number>> = {
  busy_timeout: busyMs, // first: someone's shell may be reading while the others are set
  journal_mode: "wal",
  synchronous: 2,
  foreign_keys: 1,
  wal_autocheckpoint: 1_000, // 4,000 and 16,000 write 17.6 and 16.0 KB an event instead of 20.6, and are no faster
  journal_size_limit: 67_108_864,
  mmap_size: 0,
  trusted_schema: 0,
  cell_size_check: 1,
  temp_store: 2,
};

/** A connection that only reads can neither choose how the log is written nor need to know. */
const readingPragmas = ["busy_timeout", "mmap_size", "trusted_schema", "cell_size_check", "temp_store"];

/** Options of {@link openSqlite}. */
export interface SqliteOptions {
  /** Only reads, beside the connection that writes; the log is there already. */
  readonly readOnly?: boolean;
  /** Called once when the disk has failed and nothing more may be promised; the process should end and start again. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * Opens or makes the file.
 *
 * @param path absolute; made with mode 600 when it is not there
 * @throws StoreUnavailable when SQLite is too old, the file cannot be opened, or a pragma does not hold
 */
export function openSqlite(path: string, options: SqliteOptions = {}): Database {
  let db: DatabaseSync | undefined;
  const { readOnly = false } = options;
  try {
    // Its owner's alone: bodies and keys of real events are in there. WAL and SHM take over the mode.
    if (!readOnly) Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
    db = new DatabaseSync(path, { readOnly });
    if (!readOnly) refuseForeign(db);
    if (!readOnly) db.exec("PRAGMA auto_vacuum = INCREMENTAL"); // only holds when the file is being made
    configure(db, readOnly ? readingPragmas : Object.keys(pragmas));
    if (!readOnly) checkpoint(db);
  } catch (cause) {
    db?.close();
    const { message } = cause as Error;
    const reason = spaceMessages.test(message) ? describeFullDisk(path) ?? message : message;
    throw new StoreUnavailable(`cannot open the log ${path}: ${reason}`, { cause });
  }
  return new SqliteFile(db, path, options);
}

/** Whoever has named the file of another program must find it as it was: without our tables, and not in WAL mode. */
function refuseForeign(db: DatabaseSync): void {
  db.exec(`PRAGMA busy_timeout = ${busyMs}`);
  const tables = db.prepare(
    `SELECT group_concat(name, ', ' ORDER BY name) AS names, count(*) AS n, max(name = 'meta') AS hasMeta FROM sqlite_schema
      WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'`,
  ).get()!;
  if (tables.n === 0 || tables.hasMeta === 1 && isOurs(db, tables.n === 1)) return;
  const names = String(tables.names).slice(0, namesLengthMax);
  throw new RangeError(`it holds the tables of another program (${names}); give storage.url a file of its own`);
}

/** Many programs have a table of that name. Ours is alone only where its engine died before it made the others. */
function isOurs(db: DatabaseSync, isAlone: boolean): boolean {
  const columns = db.prepare("SELECT name FROM pragma_table_info('meta') ORDER BY name").all().map(({ name }) => name);
  if (columns.join() !== "key,value") return false;
  return isAlone || db.prepare("SELECT 1 FROM meta WHERE key = 'schema'").get() !== undefined;
}

function configure(db: DatabaseSync, names: readonly string[]): void {
  const version = String(db.prepare("SELECT sqlite_version() AS v").get()!.v);
  if (isOlder(version, versionMin)) {
    throw new RangeError(`SQLite ${version} is too old, expected ${versionMin} or newer`);
  }
  for (const name of names) {
    const value = pragmas[name]!;
    db.exec(`PRAGMA ${name} = ${value}`);
    const [got] = Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {});
    if (got !== undefined && got !== value) throw new RangeError(`PRAGMA ${name} is ${got}, expected ${value}`);
  }
}

/**
 * Takes the WAL into the file. At the start too: where an fsync failed under the engine before us, the kernel takes what
 * was not written for clean, and syncing that WAL again would promise what is not on the disk.
 */
function checkpoint(db: DatabaseSync): void {
  try {
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // It is as durable as it was. If it cannot be written at all, the next commit says so.
  }
}

class SqliteFile implements Database {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #readOnly: boolean;
  readonly #onFailure: (error: Error) => void;
  readonly #prepared = new Map<string, { statement: StatementSync; returnsRows: boolean }>();
  /** Prepared, because an error of `exec` does not say its code, and an fsync that failed is an error of COMMIT. */
  readonly #transaction: Readonly<Record<"begin" | "commit" | "rollback", StatementSync>>;
  #failed: Error | undefined;
  #lockedOut = false;
  #closed = false;

  constructor(db: DatabaseSync, path: string, options: SqliteOptions) {
    this.#db = db;
    this.#path = path;
    this.#transaction = {
      begin: db.prepare("BEGIN IMMEDIATE"),
      commit: db.prepare("COMMIT"),
      rollback: db.prepare("ROLLBACK"),
    };
    this.#readOnly = options.readOnly ?? false;
    this.#onFailure = options.onFailure ?? (() => {});
  }

  // async so that a throw is a rejection, as it is for a server
  // deno-lint-ignore require-await
  async read(statement: Statement): Promise<Result> {
    this.#refuse();
    try {
      return this.#run(statement);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  // deno-lint-ignore require-await
  async write(batch: readonly Statement[]): Promise<Result[]> {
    this.#refuse();
    try {
      this.#transaction.begin.run();
      if (this.#lockedOut) this.#setLockedOut(false);
      const results = batch.map((statement) => this.#run(statement));
      this.#transaction.commit.run();
      return results;
    } catch (error) {
      if (this.#db.isTransaction) this.#rollback();
      throw this.#translate(error);
    }
  }

  // deno-lint-ignore require-await
  async checkpoint(): Promise<boolean> {
    this.#refuse();
    try {
      this.#db.exec("PRAGMA busy_timeout = 0"); // every commit would wait with it for whoever reads, a backup above all
      return this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()!.busy === 0;
    } catch {
      return false; // it is as durable as it was, and the next commit says if nothing can be written at all
    } finally {
      this.#setLockedOut(this.#lockedOut);
    }
  }

  close(): Promise<void> {
    // After a disk failure a checkpoint could carry a broken WAL into the file; the next start recovers instead.
    if (this.#failed !== undefined) return Promise.resolve();
    this.#closed = true;
    this.#prepared.clear();
    if (!this.#readOnly) checkpoint(this.#db);
    this.#db.close();
    return Promise.resolve();
  }

  #run({ sql, parameters }: Statement): Result {
    const { statement, returnsRows } = this.#prepare(sql);
    if (returnsRows) {
      const rows = statement.all(...(parameters as Value[])) as Record<string, Value>[];
      return { rows, changes: rows.length };
    }
    return { rows: [], changes: Number(statement.run(...(parameters as Value[])).changes) };
  }

  #prepare(sql: string): { statement: StatementSync; returnsRows: boolean } {
    let known = this.#prepared.get(sql);
    if (known === undefined) {
      const statement = this.#db.prepare(sql);
      // A pragma that works in steps names no columns, and does one step only unless all of its rows are asked for.
      known = { statement, returnsRows: statement.columns().length > 0 || sql.startsWith("PRAGMA") };
      if (this.#prepared.size >= preparedMax) this.#prepared.delete(this.#prepared.keys().next().value!);
    } else this.#prepared.delete(sql);
    this.#prepared.set(sql, known); // at the end of the map: the first is always the one unused for longest
    return known;
  }

  #rollback(): void {
    try {
      this.#transaction.rollback.run();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #setLockedOut(lockedOut: boolean): void {
    this.#lockedOut = lockedOut;
    this.#db.exec(`PRAGMA busy_timeout = ${lockedOut ? lockedOutBusyMs : busyMs}`);
  }

  #translate(error: unknown): Error {
    const { errcode, message } = error as Error & { errcode?: number };
    const code = (errcode ?? 0) & 0xff;
    if (code === busy && !this.#lockedOut && !this.#readOnly) this.#setLockedOut(true);
    // A TypeError is a value that cannot be bound.
    if (refused.has(code) || error instanceof TypeError) return new ConstraintBroken(message, { cause: error });
    const full = code === noSpace || code === ioError ? describeFullDisk(this.#path, code === noSpace) : undefined;
    // After a failed write or fsync nobody knows what is on the disk: only a new start may read it again.
    if (fatal.has(code)) this.#fail(full === undefined ? error as Error : new Error(full, { cause: error }));
    if (full !== undefined) return new DiskFull(`the log cannot be written: ${full}`, { cause: error });
    return new StoreUnavailable(`the log cannot be used: ${message}`, { cause: error });
  }

  #fail(error: Error): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#onFailure(error);
  }

  #refuse(): void {
    if (this.#closed) throw new StoreUnavailable("the log is closed");
    if (this.#failed === undefined) return;
    throw new StoreUnavailable(`the log has failed: ${this.#failed.message}; restart`, { cause: this.#failed });
  }
}

/** What SQLite says, without a code, when it finds no room while it opens a file. */
const spaceMessages = /disk I\/O error|disk is full|unable to open database file/;

/** Primary result codes: sqlite.org/rescode.html. */
const busy = 5;
const ioError = 10;
const noSpace = 13;
const refused: ReadonlySet<number> = new Set([18, /* TOOBIG */ 19 /* CONSTRAINT */]);
const fatal: ReadonlySet<number> = new Set([ioError, 11, /* CORRUPT */ 26 /* NOTADB */]);
