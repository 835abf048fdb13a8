/**
 * The thread that owns a local log's file: it opens it, does what it is told in the order in which it is told, and
 * answers each order once. Its other end is sqlite_thread.ts.
 */

import { ConstraintBroken, type Database, NotTried, type Result, type Statement, type Value } from "./database.ts";
import { openSqlite } from "./sqlite.ts";
import { DiskFull } from "./store.ts";

/** What the thread is told to do. `open` comes first, and once. */
export type Order =
  | { readonly kind: "open"; readonly path: string; readonly readOnly?: boolean }
  | { readonly kind: "read"; readonly statement: Statement }
  /** `isAhead`: as {@link Database.write} says; false from whoever has heard of all that came before. */
  | { readonly kind: "write"; readonly batch: readonly Statement[]; readonly isAhead?: boolean }
  | { readonly kind: "checkpoint" }
  | { readonly kind: "close" };

/**
 * A result column by column: between two threads 64 deliveries cost 1.3 us each like this, 7.8 as one object a row, and 4.6
 * as one list a row.
 */
export interface ColumnResult {
  readonly names: readonly string[];
  readonly columns: readonly (readonly Value[])[];
  readonly changes: number;
}

/** Whose fault it is, as far as the other end has to know. */
export type FailureKind = "constraint" | "untried" | "full" | "unavailable";

/** What it answers. `failure` is in the one answer after which nothing more may be promised. */
export type Report =
  | { readonly ok: true; readonly results: readonly ColumnResult[]; readonly failure?: undefined }
  | { readonly ok: false; readonly kind: FailureKind; readonly message: string; readonly failure?: string };

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(report: Report): void;
}

const scope = globalThis as unknown as WorkerScope;
let database: Database | undefined;
let failure: string | undefined;
/** A batch broke a rule, and nobody who has heard of that has come yet. */
let isBroken = false;

async function obey(order: Order): Promise<readonly Result[]> {
  switch (order.kind) {
    case "open":
      database = openSqlite(order.path, { readOnly: order.readOnly, onFailure: (error) => failure = error.message });
      return [];
    case "read":
      return [await database!.read(order.statement)];
    case "write":
      if (order.isAhead && isBroken) throw new NotTried("the batch before it broke a rule");
      if (order.isAhead === false) isBroken = false;
      return await database!.write(order.batch);
    case "checkpoint":
      return [{ rows: [], changes: await database!.checkpoint!() ? 1 : 0 }];
    case "close":
      await database!.close();
      return [];
  }
}

async function follow(order: Order): Promise<void> {
  try {
    scope.postMessage({ ok: true, results: (await obey(order)).map(toColumns) });
  } catch (error) {
    const { message } = error as Error;
    const kind = kindOf(error);
    if (kind === "constraint") isBroken = true;
    scope.postMessage({ ok: false, kind, message, failure });
    failure = undefined;
  }
}

// One after the other: what became of an order is known before the next one is looked at.
let followed = Promise.resolve();
scope.onmessage = ({ data }) => void (followed = followed.then(() => follow(data)));

function kindOf(error: unknown): FailureKind {
  if (error instanceof ConstraintBroken) return "constraint";
  if (error instanceof NotTried) return "untried";
  return error instanceof DiskFull ? "full" : "unavailable";
}

function toColumns({ rows, changes }: Result): ColumnResult {
  const names = Object.keys(rows[0] ?? {});
  return { names, columns: names.map((name) => rows.map((row) => row[name]!)), changes };
}
