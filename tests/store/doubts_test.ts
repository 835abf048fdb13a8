/**
 * A claim that was made and could not be read: on a file nobody else takes it back.
 */

import { assertEquals, assertRejects } from "@std/assert";
import type { Database } from "../../core/store/database.ts";
import { ownLog } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { StoreUnavailable } from "../../core/store/store.ts";
import { newRequest, states, uniqueId } from "./fixture.ts";
import { testInFolder } from "./temporary_log.ts";

testInFolder("claim: when the bodies cannot be read afterwards the next beat gives the work back", async (folder) => {
  const sqlite = openSqlite(`${folder}/weir.db`);
  let isReadable = true;
  const database: Database = {
    write: (batch) => sqlite.write(batch),
    close: () => sqlite.close(),
    read: (statement) => isReadable ? sqlite.read(statement) : Promise.reject(new StoreUnavailable("out of memory")),
  };
  const store = await ownLog(database, { boot: "b", now: 1, idempotencyMs: () => 60_000 });
  const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
  for (const lane of ["a", "b", "c"]) {
    await store.append(newRequest({ queues: [queue!], lane }, { raw: new Uint8Array(2_000_000) }));
  }
  const claim = (now: number) => store.claim([{ queue: queue!, limit: 100 }], { token: uniqueId("tok"), now });
  isReadable = false;
  await assertRejects(() => claim(10_000), StoreUnavailable, "out of memory");
  isReadable = true;
  assertEquals(await states(store), ["running", "running", "running"]);
  assertEquals(await store.beat({ now: 11_000, monotonic: 0 }), 3);
  const { deliveries } = await claim(12_000);
  assertEquals(deliveries.map(({ lane, failures }) => [lane, failures]), [["a", 0], ["b", 0], ["c", 0]]);
  assertEquals(await store.beat({ now: 13_000, monotonic: 0 }), 0); // these are known, and stay
  await store.close();
});
