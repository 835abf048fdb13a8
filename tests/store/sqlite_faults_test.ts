/**
 * What can happen to the file under a log: a broken page, somebody else's lock, kill -9 in the middle of a commit, a
 * full disk.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { openStore } from "../../core/store/open.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { DiskFull, StoreUnavailable } from "../../core/store/store.ts";
import { smallDisk } from "../support/small_disk.ts";
import { until } from "../support/until.ts";
import { newRequest } from "./fixture.ts";
import { open, readOne, testInFolder } from "./temporary_log.ts";

/** Starts a program beside this one that prints lines. */
function startScript(script: string, args: readonly string[]) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(script, import.meta.url).pathname, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines: string[] = [];
  const reading = (async () => {
    let rest = "";
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      lines.push(...parts);
    }
  })();
  return {
    lines,
    async end(signal?: Deno.Signal): Promise<void> {
      if (signal !== undefined) process.kill(signal);
      await process.stdin.close().catch(() => {});
      await process.status;
      await reading;
    },
  };
}

testInFolder("openStore: a log that turns out to be broken says so once and promises nothing more", async (folder) => {
  const before = await open(folder);
  const requests = Array.from({ length: 60 }, () => newRequest({}, { raw: new Uint8Array(9_000).fill(7) }));
  for (const request of requests) await before.append(request);
  await before.close();
  const bytes = await Deno.readFile(`${folder}/weir.db`); // no handle is open, so no lock is lost
  await Deno.writeFile(`${folder}/weir.db`, bytes.fill(0xa5, bytes.length >> 1));

  const failures: string[] = [];
  const store = await openStore({
    url: `file:${folder}/weir.db`,
    boot: "b",
    now: 1_000,
    idempotencyMs: () => 60_000,
    onFailure: (error) => failures.push(error.message),
  });
  const reads = await Promise.allSettled(requests.map(({ events }) => store.event(events[0]!.id)));
  assertEquals(reads.some(({ status }) => status === "rejected"), true);
  assertEquals(failures, ["database disk image is malformed"]);
  await assertRejects(() => store.append(newRequest({})), StoreUnavailable, "malformed; restart");
  await store.close();
});

testInFolder(
  "append: while somebody else holds the write lock the log is unavailable, and afterwards it is as before",
  async (folder) => {
    const store = await open(folder);
    await store.append(newRequest({ key: "before" }));
    const holder = startScript("hold_lock_process.ts", [`${folder}/weir.db`]);
    await until("the other process holds the lock", () => holder.lines.includes("held"));
    const during = [1, 2].map(() => newRequest({ key: crypto.randomUUID() }));
    for (const result of await Promise.allSettled(during.map((request) => store.append(request)))) {
      assertEquals(result.status === "rejected" && result.reason.name, "StoreUnavailable");
    }
    assertEquals((await store.events({ limit: 10 })).rows.length, 1); // reading goes on
    await holder.end();
    const after = Array.from({ length: 20 }, () => newRequest({ key: crypto.randomUUID() }));
    for (const request of after) await store.append(request);
    await store.close();
    const again = await open(folder);
    const ids = new Set((await again.events({ limit: 100 })).rows.map(({ id }) => id));
    assertEquals([ids.size, after.every((request) => ids.has(request.events[0]!.id))], [21, true]);
    await again.close();
  },
);

testInFolder(
  "openSqlite: after one wait in vain for somebody's lock the next writes hardly wait, until one gets through",
  async (folder) => {
    const database = openSqlite(`${folder}/weir.db`);
    const patience = () => readOne(database, "PRAGMA busy_timeout");
    const write = () => database.write([{ sql: "PRAGMA user_version = 7", parameters: [] }]);
    const patient = await patience();
    await write();
    const holder = startScript("hold_lock_process.ts", [`${folder}/weir.db`]);
    await until("the other process holds the lock", () => holder.lines.includes("held"));
    await assertRejects(write, StoreUnavailable, "locked");
    const lockedOut = await patience();
    assertEquals(Number(lockedOut) * 100 < Number(patient), true, `${lockedOut} ms after ${patient} ms`);
    await assertRejects(write, StoreUnavailable, "locked");
    assertEquals(await patience(), lockedOut);
    await holder.end();
    await write();
    assertEquals(await patience(), patient);
    await database.close();
  },
);

testInFolder(
  "append: kill -9 loses nothing that was acknowledged (trap: an acknowledgement kept only in memory)",
  async (folder) => {
    for (let round = 1; round <= 20; round++) {
      const writer = startScript("append_process.ts", [`file:${folder}/weir.db`, `${round}`]);
      await until("the writer has acknowledged some", () => writer.lines.length >= 20 + round * 7);
      await writer.end("SIGKILL");
      const store = await open(folder);
      const kept = new Set<string>();
      for (let before: number | undefined, more = true; more;) {
        const page = await store.events({ limit: 500, before });
        for (const { id } of page.rows) kept.add(id);
        before = page.nextBefore;
        more = before !== undefined;
      }
      const lost = writer.lines.filter((id) => !kept.has(id));
      assertEquals(lost, [], `round ${round}`);
      await store.close();
    }
    const database = openSqlite(`${folder}/weir.db`);
    assertEquals(await readOne(database, "PRAGMA integrity_check"), "ok");
    await database.close();
  },
);

const noSmallDisk = await whyNoSmallDisk();
if (noSmallDisk !== undefined) console.warn(`skipped, full disk: ${noSmallDisk}`);

Deno.test({
  name: "append: on a full disk the log is unavailable, loses nothing, and works again when there is space",
  ignore: noSmallDisk !== undefined,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "weir-full-" });
    try {
      await run("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder);
      await Deno.writeFile(`${folder}/ballast`, new Uint8Array(4_000_000));
      const store = await open(folder);
      const acked: string[] = [];
      const big = (): ReturnType<typeof newRequest> => newRequest({}, { raw: new Uint8Array(65_536).fill(7) });
      let refusal: unknown;
      while (refusal === undefined) {
        await store.append(big()).then(([answer]) => acked.push(answer!.eventId), (error) => refusal = error);
      }
      assertEquals((refusal as Error).name, "StoreUnavailable");
      await assertRejects(() => store.append(big()), StoreUnavailable, "full");
      assertEquals((await store.events({ limit: 500 })).rows.length, acked.length);
      await Deno.remove(`${folder}/ballast`);
      acked.push((await store.append(big()))[0]!.eventId);
      await store.close();
      const again = await open(folder);
      const kept = (await again.events({ limit: 500 })).rows.map(({ id }) => id);
      assertEquals(kept, acked.toReversed());
      assertEquals((await again.event(acked[0]!))?.raw, big().raw);
      await again.close();
    } finally {
      await run("umount", folder);
      await Deno.remove(folder);
    }
  },
});

Deno.test({
  name: "openStore, append, purge: a disk without one free byte is called full, not broken",
  ignore: noSmallDisk !== undefined,
  async fn() {
    await using disk = await smallDisk("6m");
    const fill = () => run("sh", "-c", `cat /dev/zero > ${disk.folder}/ballast || true`);
    const store = await open(disk.folder);
    await store.append(newRequest({}, { raw: new Uint8Array(65_536) }));
    await fill();
    const isFull = "the log cannot be written: the disk is full (0 bytes free)";
    const big = newRequest({}, { raw: new Uint8Array(2_000_000) });
    await assertRejects(() => store.append(big), DiskFull, isFull);
    await assertRejects(() => store.purge({}, { now: 1 }), DiskFull, isFull);
    await Deno.remove(`${disk.folder}/ballast`);
    await store.close();
    await fill();
    const path = `${disk.folder}/weir.db`;
    const error = await assertRejects(() => open(disk.folder), StoreUnavailable);
    assertEquals(error.message, `cannot open the log ${path}: the disk is full (0 bytes free)`);
    await Deno.remove(`${disk.folder}/ballast`);
    const again = await open(disk.folder);
    assertEquals((await again.events({ limit: 9 })).rows.length, 1);
    await again.close();
  },
});

/** A full disk is played on a file system of a few megabytes, and mounting one needs root. */
async function whyNoSmallDisk(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "mounting a small file system is only tried on Linux";
  const folder = await Deno.makeTempDir();
  try {
    await run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder);
    await run("umount", folder);
  } catch (error) {
    return `a small file system cannot be mounted: ${(error as Error).message}`;
  } finally {
    await Deno.remove(folder);
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
}
