/**
 * What is recorded: a log that takes events in groups, claims and settles them, and a line in a file of its own for every
 * event that was acknowledged. Run under the recorder; the file of acknowledgements stands for the senders' memory.
 *
 * With `NORMAL` as its third argument SQLite is told, behind the engine's back, to use synchronous=NORMAL; for that it runs
 * on this thread.
 */

import { DatabaseSync } from "node:sqlite";
import { openStore, ownLog } from "../../../core/store/open.ts";
import { openSqlite } from "../../../core/store/sqlite.ts";
import type { NewRequest } from "../../../core/store/store.ts";
import { createRandom } from "../../support/seeded_random.ts";

const [folder, seed, mode] = Deno.args as [string, string, string | undefined];

if (mode === "NORMAL") {
  const { prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function (sql, ...rest) {
    // The pragmas have been read back by now.
    if (sql.startsWith("BEGIN")) this.exec("PRAGMA synchronous = NORMAL");
    return prepare.call(this, sql, ...rest);
  };
}

const { next: random } = createRandom(Number(seed));
const acks = Deno.openSync(`${folder}/acks`, { append: true, create: true });
const file = `${folder}/weir.db`;
const options = { boot: "b", now: 1, idempotencyMs: () => 1_000_000 };
const store = mode === "NORMAL"
  ? await ownLog(openSqlite(file), options)
  : await openStore({ ...options, url: `file:${file}` });
const [queue] = await store.registerQueues([{ route: "work", target: "" }]);

let count = 0;
function makeRequest(): NewRequest {
  const n = ++count;
  const id = `evt_${String(n).padStart(8, "0")}`;
  return {
    id: `req_${n}`,
    source: "s",
    query: "",
    headers: {},
    raw: new Uint8Array(Math.floor(random() * 6_000)).fill(n & 255),
    receivedAt: n,
    configHash: "c",
    events: [{
      id,
      type: "t",
      idempotencyKey: `key-${n}`,
      sha256: "0".repeat(64),
      deliveries: [{ id: `dlv_${n}`, queue: queue!, lane: `lane-${n % 5}` }],
    }],
  };
}

async function appendGroup(): Promise<void> {
  const size = 1 + Math.floor(random() * 8);
  await Promise.all(Array.from({ length: size }, async () => {
    const request = makeRequest();
    await store.append(request);
    acks.writeSync(new TextEncoder().encode(`${request.events[0]!.id}\n`));
  }));
}

async function workSome(): Promise<void> {
  const { deliveries } = await store.claim([{ queue: queue!, limit: 4 }], { token: crypto.randomUUID(), now: 1e12 });
  for (const delivery of deliveries) {
    const { failures, deaths, executions: n } = delivery;
    const attempt = { n, startedAt: 1, finishedAt: 2, outcome: "succeeded" } as const;
    if (await store.settle({ delivery, transition: { state: "succeeded", failures, deaths }, attempt })) {
      acks.writeSync(new TextEncoder().encode(`done ${delivery.id}\n`));
    }
  }
}

// Enough for several checkpoints, so that the database file itself is being written when the power goes.
for (let round = 0; round < 250; round++) {
  await appendGroup();
  if (round % 2 === 0) await workSome();
}
// No close: the machine went off.
Deno.exit(0);
