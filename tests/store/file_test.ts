/**
 * The Store suite on a local file.
 */

import type { Store } from "../../core/store/store.ts";
import { openStore } from "../../core/store/open.ts";
import { type StoreFixture, uniqueId } from "./fixture.ts";
import { testStore } from "./suite.ts";

async function makeFileFixture(): Promise<StoreFixture> {
  const folder = await Deno.makeTempDir({ prefix: "weir-store-" });
  const opened: Store[] = [];
  return {
    async open({ boot = uniqueId("boot"), now = 1_000, idempotencyMs = 60_000 } = {}) {
      for (const store of opened) await store.close(); // one engine at a time: the lock would refuse a second
      const store = await openStore({ url: `file:${folder}/weir.db`, boot, now, idempotencyMs: () => idempotencyMs });
      opened.push(store);
      return store;
    },
    async [Symbol.asyncDispose]() {
      for (const store of opened) await store.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

testStore({ storage: "file", make: makeFileFixture });
