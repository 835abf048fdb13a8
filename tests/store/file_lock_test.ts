/**
 * The two locks beside a log: one engine at a time, and none before the handlers of the last one have ended.
 */

import { assertEquals } from "@std/assert";
import { lockFile, waitForHolders } from "../../core/store/file_lock.ts";
import { childLockFile, openStore } from "../../core/store/open.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "weir-lock-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Holds a shared lock as a handler's process does. */
async function hold(path: string): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { read: true, write: true, create: true });
  await file.lock(false);
  return file;
}

Deno.test("lockFile: one holder at a time, the next when it lets go", () =>
  inFolder(async (folder) => {
    const first = await lockFile(`${folder}/lock`);
    assertEquals(await lockFile(`${folder}/lock`), undefined);
    first!.release();
    const second = await lockFile(`${folder}/lock`);
    second!.release();
  }));

Deno.test("waitForHolders: waits for every handler, and gives up at its limit", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    assertEquals(await waitForHolders(path, 0), true);
    const [first, second] = [await hold(path), await hold(path)];
    assertEquals(await waitForHolders(path, 0), false);
    first.close();
    assertEquals(await waitForHolders(path, 0), false);
    const waiting = waitForHolders(path, 20_000);
    second.close();
    assertEquals(await waiting, true);
  }));

Deno.test("openStore: takes work back only when no handler of the last engine lives", () =>
  inFolder(async (folder) => {
    const options = { url: `file:${folder}/weir.db`, now: 1_000, idempotencyMs: () => 1_000 };
    const handler = await hold(childLockFile(options.url)!);
    const order: string[] = [];
    const opening = openStore({ ...options, boot: "b1" }).then((store) => {
      order.push("opened");
      return store;
    });
    await waitForHolders(childLockFile(options.url)!, 200); // in vain; the engine has looked several times meanwhile
    order.push("the handler ends");
    handler.close();
    await (await opening).close();
    assertEquals(order, ["the handler ends", "opened"]);
  }));

Deno.test("childLockFile: beside a file, nowhere for a server", () => {
  assertEquals(childLockFile("file:/data/weir.db"), "/data/weir.db.children.lock");
  assertEquals(childLockFile("file:///data/we%20ir.db"), "/data/we ir.db.children.lock");
  assertEquals(childLockFile("libsql://db.example.com"), undefined);
});
