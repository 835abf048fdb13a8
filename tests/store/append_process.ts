/**
 * An engine's log under load that says which events it has acknowledged, made to be killed.
 */

import { openStore } from "../../core/store/open.ts";
import { newRequest } from "./fixture.ts";

const [url, round] = Deno.args;
const store = await openStore({ url: url!, boot: round!, now: 1_000, idempotencyMs: () => 60_000 });
const encoder = new TextEncoder();

for (let n = 0;; n++) {
  const requests = Array.from(
    { length: 1 + n % 7 },
    (_, i) => newRequest({ id: `evt_${round}_${n}_${i}`, key: `${round}-${n}-${i}` }, { id: `req_${round}_${n}_${i}` }),
  );
  await Promise.all(requests.map(async (request) => {
    const [appended] = await store.append(request);
    Deno.stdout.writeSync(encoder.encode(`${appended!.eventId}\n`)); // only after the acknowledgement, and not buffered
  }));
}
