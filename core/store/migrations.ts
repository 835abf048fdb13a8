/**
 * The schema, as the ordered list of steps that make it. Each step is one atomic batch that ends by writing its number,
 * so a process that dies in the middle finds either the old schema or the new one.
 */

import type { Database, Statement } from "./database.ts";
import { StoreUnavailable } from "./store.ts";

/** The schema version that this program reads and writes. */
export const schemaVersion = 5;

/**
 * What a key has counted goes to its event when the key leaves it: it expires long before its event does, or the next
 * event takes it over. A trigger, so that an append without duplicates does nothing for it.
 */
const keepCounts = `UPDATE events SET duplicates = duplicates + old.seen - 1, mismatches = mismatches + old.mismatches,
    last_duplicate_at = max(coalesce(last_duplicate_at, old.last_at), old.last_at)
  WHERE id = old.event_id AND idem_key = old.key`;

/** The same, and all that a refused replay's key has counted: it is a repeat of that event from the first time on. */
const keepAllCounts =
  `UPDATE events SET duplicates = duplicates + old.seen - (old.guarded <> 2), mismatches = mismatches + old.mismatches,
    last_duplicate_at = max(coalesce(last_duplicate_at, old.last_at), old.last_at)
  WHERE id = old.event_id AND (idem_key = old.key OR old.guarded = 2)`;

/**
 * Constraints repeat the state machine: a wrong query fails here instead of breaking order.
 * `deliveries_lane_head` is what makes "one live delivery per lane" a fact: a second one cannot be written.
 * Followers are `blocked` and in none of the indexes that a claim reads, so a million of them cost it nothing.
 * `created_at` and `finished_at` at the end of an index let a question be answered from it without reading the row.
 */
const migrations: readonly (readonly string[])[] = [[
  `CREATE TABLE requests (
    id TEXT PRIMARY KEY NOT NULL,
    source TEXT NOT NULL,
    query TEXT NOT NULL,
    headers TEXT NOT NULL,
    raw BLOB NOT NULL
  ) STRICT`,
  `CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    idem_key TEXT CHECK (idem_key <> ''),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    time INTEGER,
    received_at INTEGER NOT NULL,
    config_hash TEXT NOT NULL,
    item TEXT,
    replay_of TEXT
  ) STRICT`,
  `CREATE TABLE idempotency (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    event_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    seen INTEGER NOT NULL CHECK (seen >= 1),
    mismatches INTEGER NOT NULL DEFAULT 0 CHECK (mismatches < seen),
    last_at INTEGER NOT NULL,
    guarded INTEGER NOT NULL,
    PRIMARY KEY (source, key)
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX idempotency_content ON idempotency (source, sha256) WHERE guarded = 1`,
  `CREATE INDEX idempotency_expiry ON idempotency (expires_at)`,
  `CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    paused_at INTEGER,
    paused_reason TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    open_until INTEGER,
    rate_at REAL NOT NULL DEFAULT 0,
    UNIQUE (route, target),
    CHECK ((paused_at IS NULL) = (paused_reason IS NULL))
  ) STRICT`,
  `CREATE TABLE sources (
    name TEXT PRIMARY KEY NOT NULL,
    paused_at INTEGER,
    paused_reason TEXT,
    cron_at INTEGER,
    CHECK ((paused_at IS NULL) = (paused_reason IS NULL))
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    event_seq INTEGER NOT NULL REFERENCES events (seq),
    queue INTEGER NOT NULL REFERENCES queues (id),
    lane TEXT CHECK (lane <> ''),
    version REAL,
    state TEXT NOT NULL CHECK (state IN ('blocked', 'ready', 'running', 'parked', 'succeeded', 'dead', 'cancelled', 'skipped')),
    due_at INTEGER NOT NULL,
    executions INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    token TEXT,
    boot TEXT,
    claimed_at INTEGER,
    reason TEXT,
    result TEXT,
    lineage TEXT NOT NULL,
    redelivery_of TEXT,
    origin TEXT NOT NULL DEFAULT 'event' CHECK (origin IN ('event', 'redelivery', 'replay')),
    out_of_order INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    CHECK ((state = 'running') = (token IS NOT NULL)),
    CHECK ((token IS NULL) = (boot IS NULL) AND (token IS NULL) = (claimed_at IS NULL)),
    CHECK ((state IN ('succeeded', 'dead', 'cancelled', 'skipped')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'blocked' OR lane IS NOT NULL),
    CHECK (state <> 'parked' OR reason IS NOT NULL),
    CHECK (executions >= failures AND failures >= deaths)
  ) STRICT`,
  `CREATE INDEX deliveries_event ON deliveries (event_seq)`,
  `CREATE INDEX deliveries_ready ON deliveries (queue, due_at, seq, created_at) WHERE state = 'ready'`,
  `CREATE INDEX deliveries_running ON deliveries (queue, token) WHERE state = 'running'`,
  `CREATE INDEX deliveries_lane ON deliveries (queue, lane, seq, finished_at) WHERE lane IS NOT NULL AND finished_at IS NULL`,
  `CREATE UNIQUE INDEX deliveries_lane_head ON deliveries (queue, lane)
    WHERE lane IS NOT NULL AND state IN ('ready', 'running', 'parked')`,
  `CREATE INDEX deliveries_version ON deliveries (queue, lane, version) WHERE version IS NOT NULL AND state = 'blocked'`,
  `CREATE INDEX deliveries_parked ON deliveries (queue) WHERE state = 'parked'`,
  `CREATE INDEX deliveries_dead ON deliveries (queue) WHERE state = 'dead'`,
  `CREATE INDEX deliveries_finished ON deliveries (finished_at, seq, state) WHERE finished_at IS NOT NULL`,
  `CREATE TABLE attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries (seq),
    n INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'rejected', 'interrupted')),
    reason TEXT,
    output TEXT,
    code_hash TEXT,
    PRIMARY KEY (delivery, n)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE marks (
    queue INTEGER NOT NULL REFERENCES queues (id),
    lane TEXT NOT NULL,
    version REAL NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (queue, lane)
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX marks_at ON marks (at)`,
  `CREATE TABLE engines (
    boot TEXT PRIMARY KEY NOT NULL,
    beat INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
], [
  `ALTER TABLE events ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0`,
  `ALTER TABLE events ADD COLUMN mismatches INTEGER NOT NULL DEFAULT 0`,
  `ALTER TABLE events ADD COLUMN last_duplicate_at INTEGER`,
  `CREATE TRIGGER idempotency_deleted AFTER DELETE ON idempotency WHEN old.seen > 1 BEGIN ${keepCounts}; END`,
  `CREATE TRIGGER idempotency_moved AFTER UPDATE OF event_id ON idempotency
    WHEN old.seen > 1 AND old.event_id <> new.event_id BEGIN ${keepCounts}; END`,
], [
  `ALTER TABLE queues ADD COLUMN inline INTEGER NOT NULL DEFAULT 0`,
  `CREATE INDEX deliveries_suspect ON deliveries (queue, due_at, seq) WHERE state = 'ready' AND deaths > 0`,
], [
  // By which rule the versions until now were made, nobody knows: they are held against nothing any more.
  `ALTER TABLE deliveries ADD COLUMN version_rule INTEGER`,
  `DROP INDEX deliveries_version`,
  `CREATE INDEX deliveries_version ON deliveries (queue, lane, version_rule, version)
    WHERE version IS NOT NULL AND state = 'blocked'`,
  `DROP TABLE marks`,
  `CREATE TABLE marks (
    queue INTEGER NOT NULL REFERENCES queues (id),
    lane TEXT NOT NULL,
    rule INTEGER NOT NULL,
    version REAL NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (queue, lane, rule)
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX marks_at ON marks (at)`,
  `CREATE INDEX idempotency_refused ON idempotency (event_id) WHERE guarded = 2`,
  `DROP TRIGGER idempotency_deleted`,
  `DROP TRIGGER idempotency_moved`,
  `CREATE TRIGGER idempotency_deleted AFTER DELETE ON idempotency
    WHEN old.seen > 1 OR old.guarded = 2 BEGIN ${keepAllCounts}; END`,
  `CREATE TRIGGER idempotency_moved AFTER UPDATE OF event_id ON idempotency
    WHEN (old.seen > 1 OR old.guarded = 2) AND old.event_id <> new.event_id BEGIN ${keepAllCounts}; END`,
], [
  `ALTER TABLE engines ADD COLUMN at INTEGER NOT NULL DEFAULT 0`,
  `ALTER TABLE engines ADD COLUMN claims INTEGER NOT NULL DEFAULT 0`,
  `DROP INDEX idempotency_refused`,
  `CREATE INDEX idempotency_refused ON idempotency (event_id, seen, mismatches, last_at) WHERE guarded = 2`,
]];

/**
 * Brings a database to {@link schemaVersion}.
 *
 * @param upTo stops at an older version, for tests of what comes after it
 * @throws StoreUnavailable when the database was written by a newer program
 */
export async function migrate(database: Database, upTo: number = schemaVersion): Promise<void> {
  await database.write([{
    sql: `CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
    parameters: [],
  }]);
  const found = await readVersion(database);
  if (found > schemaVersion) {
    throw new StoreUnavailable(
      `cannot open the log: its schema is version ${found}, this program knows up to ${schemaVersion}; use a newer weir`,
    );
  }
  for (let version = found + 1; version <= upTo; version++) {
    const steps: Statement[] = migrations[version - 1]!.map((sql) => ({ sql, parameters: [] }));
    try {
      await database.write([...steps, {
        sql:
          `INSERT INTO meta (key, value) VALUES ('schema', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        parameters: [String(version)],
      }]);
    } catch (error) {
      // Another engine that starts on the same server at the same moment may have been first.
      if (await readVersion(database) < version) throw error;
    }
  }
}

async function readVersion(database: Database): Promise<number> {
  const { rows } = await database.read({ sql: `SELECT value FROM meta WHERE key = 'schema'`, parameters: [] });
  return Number(rows[0]?.value ?? 0);
}
