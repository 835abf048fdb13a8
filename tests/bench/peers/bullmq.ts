/**
 * The front of BullMQ: a job is added before the answer, and a worker of the same process takes it. Its argument is the
 * port of the Redis server.
 */

import { concurrency } from "../bench_routes.ts";
import type { BenchEvent } from "../verified_event.ts";
import { importPackage, serveFront } from "./front.ts";

/** What is used of ioredis. */
interface Redis {
  config(verb: "GET", pattern: string): Promise<string[]>;
}
interface IoRedis {
  readonly Redis: new (options: { host: string; port: number; maxRetriesPerRequest: null }) => Redis;
}

/** What is used of BullMQ. */
interface Job {
  readonly data: BenchEvent;
}
interface Queue {
  add(name: string, data: BenchEvent): Promise<Job>;
  getJobCounts(...states: string[]): Promise<Record<string, number>>;
}
interface Worker {
  on(event: "completed", hear: (job: Job) => void): void;
  on(event: "failed", hear: (job: Job, error: Error) => void): void;
  on(event: "error", hear: (error: Error) => void): void;
  waitUntilReady(): Promise<unknown>;
}
interface BullMq {
  readonly Queue: new (name: string, options: { connection: Redis }) => Queue;
  readonly Worker: new (
    name: string,
    handle: (job: Job) => Promise<void>,
    options: { connection: Redis; concurrency: number },
  ) => Worker;
}

const { Redis } = await importPackage<IoRedis>("npm:ioredis@5.9.3");
const { Queue, Worker } = await importPackage<BullMq>("npm:bullmq@6.4.0");
const port = Number(Deno.args[0]);
const name = "bench";

await serveFront(async ({ started, finished, failed }) => {
  const connect = (): Redis => new Redis({ host: "127.0.0.1", port, maxRetriesPerRequest: null });
  const connection = connect();
  const queue = new Queue(name, { connection });
  const worker = new Worker(name, (job) => Promise.resolve(started(job.data.id)), {
    connection: connect(),
    concurrency,
  });
  worker.on("completed", finished);
  worker.on("failed", (_, error) => failed(error));
  worker.on("error", failed);
  await worker.waitUntilReady();
  return {
    enqueue: (event) => queue.add(event.type, event),
    async unfinished() {
      const counts = await queue.getJobCounts("waiting", "active", "delayed", "prioritized", "paused", "failed");
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    async durability() {
      const [, appendonly] = await connection.config("GET", "appendonly");
      const [, appendfsync] = await connection.config("GET", "appendfsync");
      return `appendonly ${appendonly}, appendfsync ${appendfsync}`;
    },
  };
});
