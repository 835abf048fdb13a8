/**
 * What is recorded: a log that takes events in groups, some of them twice, claims and settles them, and a line in a file
 * of its own for everything that was told to the outside. Run under the recorder; that file stands for the senders'
 * memory. With a third argument a defect is planted below the log; see `defects.ts`.
 */

import { openStore, ownLog } from "../../../core/store/open.ts";
import { openSqlite } from "../../../core/store/sqlite.ts";
import { createRandom } from "../../support/seeded_random.ts";
import { type Defect, plant } from "./defects.ts";
import { digest, makeRequest, registerQueues, type Told } from "./promises.ts";

const [folder, seed, defect] = Deno.args as [string, string, Defect | undefined];

const random = createRandom(Number(seed));
const acks = Deno.openSync(`${folder}/acks`, { append: true, create: true });
const file = `${folder}/weir.db`;
const options = { boot: "b", now: 1, idempotencyMs: () => 1_000_000 };
const store = defect === undefined
  ? await openStore({ ...options, url: `file:${file}` })
  : await ownLog(plant(defect, () => openSqlite(file)), options);
const queues = await registerQueues(store);

let count = 0;
const taken: { readonly key: string; readonly event: string }[] = [];

async function append(): Promise<void> {
  const n = ++count;
  const repeats = taken.length > 0 && random.chance(0.1) ? taken[random.below(taken.length)] : undefined;
  // Every byte has its say: a sector that is missing, or stands elsewhere, makes another body.
  const raw = Uint8Array.from({ length: random.below(6_000) }, (_, at) => at * 31 + n * 17 + (at >> 8));
  const keys = repeats === undefined ? Array.from({ length: 1 + random.below(3) }, (_, at) => `key-${n}-${at}`) : [];
  const request = makeRequest(`${n}`, repeats === undefined ? keys : [repeats.key], { raw, queues, receivedAt: n });
  const answers = await store.append(request);
  if (repeats === undefined) {
    answers.forEach(({ eventId }, at) => {
      tell({ kind: "taken", event: eventId, key: keys[at]!, sha256: digest(raw) });
      taken.push({ key: keys[at]!, event: eventId });
    });
  } else if (answers[0]!.status === "duplicate") tell({ kind: "again", key: repeats.key });
}

async function appendGroup(): Promise<void> {
  await Promise.all(Array.from({ length: 1 + random.below(8) }, append));
}

async function workSome(): Promise<void> {
  const credits = queues.map((queue) => ({ queue, limit: 4 }));
  const { deliveries } = await store.claim(credits, { token: crypto.randomUUID(), now: 1e12 });
  for (const delivery of deliveries) {
    const { failures, deaths, executions: n } = delivery;
    const attempt = { n, startedAt: 1, finishedAt: 2, outcome: "succeeded" } as const;
    if (await store.settle({ delivery, transition: { state: "succeeded", failures, deaths }, attempt })) {
      tell({ kind: "done", delivery: delivery.id });
    }
  }
}

function tell(told: Told): void {
  acks.writeSync(new TextEncoder().encode(`${JSON.stringify(told)}\n`));
}

// Enough for several checkpoints, so that the database file itself is being written when the power goes.
for (let round = 0; round < 250; round++) {
  await appendGroup();
  if (round % 2 === 0) await workSome();
}
// No close: the machine went off.
Deno.exit(0);
