/**
 * The guard on the log's disk: with free space that the test chooses, and once on a disk that is really small.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { createWeir, type Observation } from "weir";
import { standard } from "weir/plugins";
import { createDiskGuard, diskCheckMs, walBytesWarned } from "../../core/engine/disk_guard.ts";
import { type NewRequest, StoreUnavailable } from "../../core/store/store.ts";
import { startEngine } from "../support/engine.ts";
import { adminToken, callAdmin } from "./admin_fixture.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { smallDisk, whyNoSmallDisk } from "../support/small_disk.ts";

const needed = 1_000;

async function createRig(options: { walBytes?: number; freeBytesMin?: number } = {}) {
  const folder = await Deno.makeTempDir({ prefix: "weir-guard-" });
  const clock = createFakeClock();
  const observed: Observation[] = [];
  const disk = { free: 10_000 as number | Error, looks: 0 };
  const setWal = async (bytes: number) => {
    await Deno.writeTextFile(`${folder}/weir.db-wal`, "");
    await Deno.truncate(`${folder}/weir.db-wal`, bytes); // a hole: it has the size and takes no space
  };
  if (options.walBytes !== undefined) await setWal(options.walBytes);
  const guard = createDiskGuard({
    file: `${folder}/weir.db`,
    freeBytesMin: () => options.freeBytesMin ?? needed,
    clock,
    observe: (observation) => void observed.push(observation),
    readFree(asked) {
      assertEquals(asked, folder);
      disk.looks++;
      return disk.free instanceof Error ? Promise.reject(disk.free) : Promise.resolve(disk.free);
    },
  });
  return {
    clock,
    disk,
    guard,
    setWal,
    said: () => observed.map((o) => o.kind === "engine" && `${o.level}: ${o.message.split(":")[0]}`),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const request = { raw: new Uint8Array(10) } as NewRequest;

Deno.test("disk guard: closes below the limit, opens a tenth above it, and says each once", async () => {
  await using rig = await createRig();
  const { guard, disk } = rig;
  const seen: boolean[] = [];
  for (const free of [1_000, 999, 500, 1_000, 1_099, 1_100, 1_000, 999]) {
    disk.free = free;
    await guard.check();
    seen.push(guard.full !== undefined);
  }
  assertEquals(seen, [false, true, true, true, true, false, false, true]);
  assertEquals(rig.said(), [
    "error: the log's disk is nearly full",
    "info: the log's disk has room again",
    "error: the log's disk is nearly full",
  ]);
});

Deno.test("disk guard: a large WAL needs twice its size free", async () => {
  await using rig = await createRig({ walBytes: 3_000 });
  for (const [free, full] of [[6_000, false], [5_999, true]] as const) {
    rig.disk.free = free;
    await rig.guard.check();
    assertEquals(rig.guard.full !== undefined, full, `${free} bytes free`);
  }
});

Deno.test("disk guard: a WAL that grows without end is said once, and when it is over", async () => {
  await using rig = await createRig({ walBytes: walBytesWarned });
  rig.disk.free = 1e12;
  await rig.guard.check();
  await rig.guard.check();
  await rig.setWal(0);
  await rig.guard.check();
  assertEquals(rig.said(), ["warn: the log's WAL has grown to 256 MiB", "info: the log's WAL is back to 0 MiB"]);
});

Deno.test("disk guard: append is refused while it is full, and a failed append makes it look", async () => {
  await using rig = await createRig();
  const { guard, disk } = rig;
  let outcome: Error | undefined;
  const append = guard.guard((_: NewRequest) => outcome === undefined ? Promise.resolve([]) : Promise.reject(outcome));
  assertEquals(await append(request), []);
  assertEquals(disk.looks, 0);
  outcome = new TypeError("not the disk's fault");
  await assertRejects(() => append(request), TypeError);
  assertEquals(disk.looks, 0);
  outcome = new StoreUnavailable("database or disk is full");
  disk.free = 0;
  await assertRejects(() => append(request), StoreUnavailable, "database or disk");
  await until("it has looked", () => guard.full !== undefined);
  outcome = undefined;
  await assertRejects(() => append(request), StoreUnavailable, "nearly full: 0 MiB free");
});

Deno.test("disk guard: many bytes make it look before its time, fewer where little is to stay free", async () => {
  const table: [freeBytesMin: number, bodyBytes: number][] = [[268_435_456, 20_000_000], [8_388_608, 1_200_000]];
  for (const [freeBytesMin, bodyBytes] of table) {
    await using rig = await createRig({ freeBytesMin });
    rig.disk.free = 1e12;
    const append = rig.guard.guard((_: NewRequest) => Promise.resolve([]), ({ raw }) => raw.length);
    const large = { raw: new Uint8Array(bodyBytes) } as NewRequest;
    await append(large);
    assertEquals(rig.disk.looks, 0);
    await append(large);
    await until("it has looked", () => rig.disk.looks === 1);
    await rig.guard.stop();
  }
});

Deno.test("disk guard: looks on its clock until it is stopped", async () => {
  await using rig = await createRig();
  const { guard, clock, disk } = rig;
  guard.start();
  for (let n = 1; n <= 3; n++) {
    await until("the next look is due", () => clock.isDueIn(diskCheckMs));
    clock.advance(diskCheckMs);
    await until("it has looked", () => disk.looks === n);
  }
  await guard.stop();
  assertEquals(clock.waiting, 0);
});

Deno.test("disk guard: a disk that cannot be asked is not watched, and that is said once", async () => {
  await using rig = await createRig();
  rig.disk.free = 0;
  await rig.guard.check();
  rig.disk.free = new Error("function not implemented");
  await rig.guard.check();
  await rig.guard.check();
  assertEquals(rig.guard.full, undefined);
  assertEquals(rig.said(), [
    "error: the log's disk is nearly full",
    "warn: cannot tell how full the log's disk is, so it is not watched",
  ]);
});

Deno.test("disk guard: a remote log has no disk to watch", async () => {
  const clock = createFakeClock();
  const guard = createDiskGuard({ file: undefined, freeBytesMin: () => 1e15, clock, observe: () => {} });
  guard.start();
  await guard.check();
  assertEquals([guard.full, clock.waiting], [undefined, 0]);
  await guard.stop();
});

Deno.test("createWeir: on a disk that is nearly full nothing is redelivered or replayed, and what frees or stops work goes on", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const routes = { work: { from: "app" } };
  const first = await startEngine({ folder, routes, handlers: { work: () => {} } });
  for (let n = 0; n < 3; n++) await first.weir.publish({ source: "app", type: "t", body: n });
  await first.seen("delivery.attempted", undefined, 3);
  await first.weir.stop();
  const weir = await createWeir({
    ...standard(),
    config: {
      version: 1,
      storage: { url: `file:${folder}/weir.db`, min_free: "8000000MiB" },
      sources: { app: { publish: true } },
      routes,
    },
    handlers: { work: () => {} },
    environment: {},
    adminToken,
  });
  const call = (path: string, body?: unknown) => callAdmin({ weir }, path, body);
  try {
    await weir.start();
    const [, { rows }] = await call("/deliveries");
    const [{ id }] = rows as [{ id: string }];
    const redelivery = { filter: { state: "succeeded" } };
    for (
      const [path, body] of [
        [`/deliveries/${id}/redeliver`, {}],
        ["/deliveries/redeliver", redelivery],
        ["/events/replay", { filter: {} }],
      ] as const
    ) {
      const [status, { detail }] = await call(path, body);
      assertEquals([status, String(detail).split(":")[0]], [503, "the log's disk is nearly full"], path);
    }
    assertEquals((await call("/deliveries/redeliver", { ...redelivery, dryRun: true }))[1].matched, 3);
    assertEquals((await call("/events/replay", { filter: {}, dryRun: true }))[1].events, 3);
    assertEquals((await call("/queues/pause", { route: "work" }))[0], 200);
    assertEquals((await call("/deliveries/cancel", { filter: {} }))[0], 200);
    assertEquals((await call("/events/purge", { filter: {} }))[1].deliveries, 3, "no more than there were");
  } finally {
    await weir.stop({ graceMs: 0 });
    await Deno.remove(folder, { recursive: true });
  }
});

const noSmallDisk = await whyNoSmallDisk();
if (noSmallDisk !== undefined) console.warn(`skipped, small disk: ${noSmallDisk}`);

Deno.test({
  name: "createWeir: on a disk that is nearly full events get 503, work goes on, and with room again they are taken",
  ignore: noSmallDisk !== undefined,
  async fn() {
    await using disk = await smallDisk("24m");
    const clock = createFakeClock();
    const released = Promise.withResolvers<void>();
    const weir = await createWeir({
      ...standard(),
      config: {
        version: 1,
        storage: { url: `file:${disk.folder}/weir.db`, min_free: "12MiB" },
        sources: { app: { provider: "none" } },
        routes: { work: { from: "app" } },
      },
      handlers: { work: () => released.promise },
      environment: {},
      clock,
    });
    const observed: Observation[] = [];
    weir.observe((observation) => void observed.push(observation));
    const ask = async (path: string, init?: RequestInit) => {
      const response = await weir.fetch(new Request(`http://127.0.0.1${path}`, init));
      await response.body?.cancel();
      return response;
    };
    const body = JSON.stringify("x".repeat(500_000));
    const post = () => ask("/hooks/app", { method: "POST", body, headers: { "content-type": "application/json" } });
    try {
      await weir.start();
      let accepted = 0;
      await until("the guard has closed", async () => {
        const { status } = await post();
        if (status === 202) accepted++;
        clock.advance(diskCheckMs);
        return status === 503;
      });
      const refused = await post();
      assertEquals([refused.status, refused.headers.has("retry-after")], [503, true]);
      assertEquals((await ask("/readyz")).status, 503);
      assertEquals((await ask("/healthz")).status, 200);

      released.resolve(); // every end is written down although nothing more is taken
      await until("all work is done", () => {
        clock.advance(1);
        return observed.filter((o) => o.kind === "delivery.attempted" && o.state === "succeeded").length === accepted;
      });
      await disk.grow("64m");
      await until("it is open again", async () => {
        clock.advance(diskCheckMs);
        return (await post()).status === 202;
      });
      assertEquals((await ask("/readyz")).status, 200);
      const told = observed.flatMap((o) =>
        o.kind === "engine" && o.message.includes("the log's disk") ? [o.level] : []
      );
      assertEquals(told, ["error", "info"]);
    } finally {
      await weir.stop({ graceMs: 0 });
    }
  },
});
