/**
 * Backups: a copy that is taken while the log is written is a clean beginning of it, and a backup that fails leaves
 * nothing behind and hurts nothing.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { createBackups } from "../../core/store/backup.ts";
import { openSqlite } from "../../core/store/sqlite.ts";
import { smallDisk, whyNoSmallDisk } from "../support/small_disk.ts";
import { until } from "../support/until.ts";
import { allDeliveries, claimAll, newRequest, settlement, uniqueId } from "./fixture.ts";
import { open, readOne, statement, testInFolder } from "./temporary_log.ts";

const lanes = 7;

/** A copy may take the last byte. */
const noSpare = { freeBytesMin: () => 0 };

async function filesOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names.sort();
}

testInFolder(
  "backup: taken under load it is a clean beginning of the log, and an engine goes on with it",
  async (folder) => {
    await Deno.mkdir(`${folder}/copies`);
    const store = await open(folder);
    const [queue] = await store.registerQueues([{ route: "orders", target: "" }]);
    const acked: string[] = [];
    const append = async () => {
      const request = newRequest([{ key: uniqueId("k"), queues: [queue!], lane: `lane${acked.length % lanes}` }], {
        raw: new Uint8Array(2_000).fill(acked.length % 256),
      });
      await store.append(request);
      acked.push(request.events[0]!.id);
    };
    while (acked.length < 500) await append();
    for (const delivery of await claimAll(store, queue!)) await store.settle(settlement(delivery, "succeeded"));
    const [running] = await claimAll(store, queue!);
    const ackedBefore = acked.length;

    const copy = `${folder}/copies/weir.db`;
    let copying = true;
    const backup = createBackups(`${folder}/weir.db`, noSpare).make(copy).finally(() => copying = false);
    while (copying) {
      await append();
      await new Promise((resolve) => setTimeout(resolve)); // the answer of the process is to be heard too
    }
    const made = await backup;
    assertEquals(made, { ok: true, bytes: (await Deno.stat(copy)).size, durationMs: made.ok ? made.durationMs : 0 });
    assertEquals(acked.length > ackedBefore, true);
    assertEquals(await filesOf(`${folder}/copies`), ["weir.db"]);
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(copy)).mode! & 0o777, 0o600);

    // The original goes on as if nothing had been.
    await append();
    assertEquals(await store.settle(settlement(running!, "succeeded")), true);
    await store.close();
    const original = openSqlite(`${folder}/weir.db`);
    assertEquals(await readOne(original, "SELECT count(*) FROM events"), acked.length);
    await original.close();

    const restored = await open(`${folder}/copies`);
    assertEquals(restored.recovered, lanes); // the heads that were running when the copy was taken
    const deliveries = await allDeliveries(restored);
    const [first] = await claimAll(restored, queue!, 50_000);
    assertEquals([first!.id, first!.executions], [running!.id, 2]);
    assertEquals(first!.event.raw, new Uint8Array(2_000).fill(acked.indexOf(first!.event.id) % 256));
    assertEquals(await restored.settle(settlement(first!, "succeeded", { finishedAt: 60_000 })), true);
    assertEquals((await restored.append(newRequest({ key: "new" })))[0]!.status, "accepted");
    await restored.close();
    const database = openSqlite(`${folder}/copies/weir.db`);
    const { rows } = await database.read(statement("SELECT id FROM events ORDER BY seq"));
    const kept = rows.map(({ id }) => String(id)).slice(0, -1);
    assertEquals(kept, acked.slice(0, kept.length));
    assertEquals(kept.length >= ackedBefore, true);
    assertEquals(deliveries.length, 500);
    assertEquals(await readOne(database, "SELECT count(*) FROM deliveries"), kept.length);
    assertEquals(await readOne(database, "PRAGMA integrity_check"), "ok");
    assertEquals((await database.read(statement("PRAGMA foreign_key_check"))).rows, []);
    await database.close();
  },
);

testInFolder("backup: overwrites nothing, and says why it cannot be made", async (folder) => {
  const store = await open(folder);
  const backups = createBackups(`${folder}/weir.db`, noSpare);
  await Deno.writeTextFile(`${folder}/there`, "mine");
  await Deno.symlink(`${folder}/nowhere`, `${folder}/link`);
  const refusals: [file: string, reason: string][] = [
    [`${folder}/there`, "is there already"],
    [`${folder}/link`, "is there already"],
    [`${folder}/weir.db`, "is there already"],
    ["relative.db", "must be absolute"],
    [`${folder}/there/x.db`, "cannot write"],
    [`${folder}/no/such/folder/x.db`, "No such file or directory"],
  ];
  const before = await filesOf(folder);
  for (const [file, reason] of refusals) {
    const made = await backups.make(file);
    assertEquals([made.ok, !made.ok && made.reason.includes(reason)], [false, true], JSON.stringify(made));
  }
  assertEquals(await Deno.readTextFile(`${folder}/there`), "mine");
  assertEquals(await filesOf(folder), before);
  await store.close();

  const remote = await createBackups(undefined, noSpare).make(`${folder}/x.db`);
  assertEquals(!remote.ok && remote.reason.startsWith("the log is on a libSQL server"), true);
});

testInFolder("backup: without room for it, it is refused beforehand and leaves no trace", async (folder) => {
  const store = await open(folder);
  const before = await filesOf(folder);
  const backups = createBackups(`${folder}/weir.db`, { freeBytesMin: () => Number.MAX_SAFE_INTEGER });
  const made = await backups.make(`${folder}/copy.db`);
  assertMatch(
    made.ok ? "" : made.reason,
    /^there is no room for the copy in \S+: it takes [\d,]+ bytes, [\d,]+ are free, and [\d,]+ are to stay free \(storage\.min_free\)$/,
  );
  assertEquals(await filesOf(folder), before);
  await store.close();
});

const noSmallDisk = await whyNoSmallDisk();
if (noSmallDisk !== undefined) console.warn(`skipped, backup to a small disk: ${noSmallDisk}`);

Deno.test({
  name: "backup: the disk that it goes to keeps what is to stay free, wherever the log is",
  ignore: noSmallDisk !== undefined,
  async fn() {
    await using home = await smallDisk("32m");
    await using disk = await smallDisk("8m");
    const store = await open(home.folder);
    await store.append(newRequest({}, { raw: new Uint8Array(2_000_000) }));
    const make = (freeBytesMin: number) =>
      createBackups(`${home.folder}/weir.db`, { freeBytesMin: () => freeBytesMin }).make(`${disk.folder}/copy.db`);
    assertEquals((await make(7_000_000)).ok, false);
    assertEquals((await make(6_000_000)).ok, true);
    await store.close();
  },
});

testInFolder("backup: a log that is not whole makes no copy", async (folder) => {
  await Deno.writeFile(`${folder}/weir.db`, new Uint8Array(8_192).fill(0xa5));
  const made = await createBackups(`${folder}/weir.db`, noSpare).make(`${folder}/copy.db`);
  assertEquals(made, { ok: false, reason: "file is not a database" });
  assertEquals(await filesOf(folder), ["weir.db"]);
});

testInFolder("backup: a copy that does not hold together is not kept", async (folder) => {
  const database = openSqlite(`${folder}/weir.db`);
  await database.write([
    statement("CREATE TABLE t (n INTEGER CHECK (n > 0))"),
    statement("PRAGMA ignore_check_constraints = ON"),
    statement("INSERT INTO t VALUES (-1)"),
  ]);
  await database.close();
  const made = await createBackups(`${folder}/weir.db`, noSpare).make(`${folder}/copy.db`);
  assertEquals(made, { ok: false, reason: "the copy is not whole: CHECK constraint failed in t" });
  assertEquals((await filesOf(folder)).filter((name) => name.startsWith("copy")), []);
});

testInFolder("backup: one at a time, and a stop ends it without a trace", async (folder) => {
  const store = await open(folder);
  for (let i = 0; i < 20; i++) await store.append(newRequest({}, { raw: new Uint8Array(1_000_000).fill(i) }));
  const backups = createBackups(`${folder}/weir.db`, noSpare);
  const first = backups.make(`${folder}/a.db`);
  const second = await backups.make(`${folder}/b.db`);
  assertEquals(second, { ok: false, reason: "another backup is being made; try again when it is done" });
  await backups.stop();
  assertEquals(await first, { ok: false, reason: "the engine is shutting down" });
  assertEquals(await backups.make(`${folder}/c.db`), { ok: false, reason: "the engine is shutting down" });
  await store.append(newRequest({}));
  await store.close();
  assertEquals((await filesOf(folder)).filter((name) => /^[abc]/.test(name)), []);
});

/** SQLite's locks on a file, as the system knows them. */
async function locksOn(file: string): Promise<string[]> {
  const { ino } = await Deno.stat(file);
  const lines = (await Deno.readTextFile("/proc/locks")).split("\n").filter((line) => line.includes(`:${ino} `));
  return lines.map((line) => line.replace(/^\d+: /, "")).sort();
}

// Whoever finds no lock takes itself for the last one, and may remove the WAL under the engine.
if (Deno.build.os === "linux") {
  testInFolder("backup: the locks of the engine outlive it", async (folder) => {
    const file = `${folder}/weir.db`;
    const store = await open(folder);
    await store.append(newRequest({}));
    const before = await locksOn(file);
    assertEquals(before.length > 0, true);
    assertEquals((await createBackups(file, noSpare).make(`${folder}/copy.db`)).ok, true);
    // The system's list may lack a line while others come and go; a lock that is lost does not come back.
    await until("they are there", async () => `${await locksOn(file)}` === `${before}`);
    await store.close();
  });
} else console.warn("skipped, backup: the locks of the engine outlive it: only Linux tells which locks there are");
