/**
 * The front of pg-boss: a job is sent before the answer, and a worker of the same process takes it. Its arguments are
 * the address of the PostgreSQL server and whether a new job wakes the worker through NOTIFY.
 */

import { concurrency } from "../bench_routes.ts";
import type { BenchEvent } from "../verified_event.ts";
import { importPackage, serveFront } from "./front.ts";
import type { PostgresAddress } from "./postgres_server.ts";

/** What is used of pg-boss. */
interface Job {
  readonly data: BenchEvent;
}
interface Boss {
  on(event: "error", hear: (error: Error) => void): void;
  start(): Promise<unknown>;
  createQueue(name: string, options: { notify: boolean }): Promise<void>;
  send(name: string, data: BenchEvent): Promise<string | null>;
  work(name: string, options: Record<string, unknown>, handle: (jobs: Job[]) => Promise<void>): Promise<string>;
  getDb(): { executeSql(sql: string): Promise<{ rows: Record<string, unknown>[] }> };
}
interface PgBossPackage {
  readonly PgBoss: new (options: PostgresAddress & { max: number; useListenNotify: boolean }) => Boss;
}

/** Connections of the pool: one for each connection of the load, so that no request waits for one. */
const poolMax = 64;

const { PgBoss } = await importPackage<PgBossPackage>("npm:pg-boss@12.38.0");
const address = JSON.parse(Deno.args[0]!) as PostgresAddress;
const notify = Deno.args[1] === "notify";
const name = "bench";

await serveFront(async ({ started, finished, failed }) => {
  const boss = new PgBoss({ ...address, max: poolMax, useListenNotify: notify });
  boss.on("error", failed);
  await boss.start();
  await boss.createQueue(name, { notify });
  // pollingIntervalSeconds is the shortest that it allows. It tells nobody when it has marked a batch as completed, so
  // an event counts as finished when its handler is.
  const options = { batchSize: concurrency, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
  await boss.work(name, options, (jobs) => {
    for (const { data } of jobs) {
      started(data.id);
      finished();
    }
    return Promise.resolve();
  });
  const query = async (sql: string): Promise<unknown> => {
    const { rows } = await boss.getDb().executeSql(sql);
    return Object.values(rows[0]!)[0];
  };
  return {
    async enqueue(event) {
      if (await boss.send(name, event) === null) throw new Error(`pg-boss did not take ${event.id}`);
    },
    async unfinished() {
      return Number(await query(`SELECT count(*) FROM pgboss.job WHERE name = '${name}' AND state <> 'completed'`));
    },
    durability: async () =>
      `fsync ${await query("SHOW fsync")}, synchronous_commit ${await query("SHOW synchronous_commit")}`,
  };
});
