/** What waits for a person, and what a person is told about it: which word moves it, and what still holds it then. */

import { assertEquals, assertMatch } from "@std/assert";
import { createProject } from "../support/project.ts";
import { until } from "../support/until.ts";
import { type EngineProcess, runWeir, startWeir } from "./command_line.ts";

const failing = `export default () => { throw new Error("ledger is closed"); };\n`;
const fine = `export default () => "fine";\n`;

/** A project with an engine that runs it, and a way to post to its source `door` and to call commands. */
async function withEngine(
  routes: string,
  use: (at: {
    engine: EngineProcess;
    weir: (...args: string[]) => ReturnType<typeof runWeir>;
    post: (body: unknown) => Promise<void>;
    write: (file: string, text: string) => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const config = `version: 1
server: { listen: 127.0.0.1:0, admin: 127.0.0.1:0 }
sources: { door: { provider: none } }
routes:
${routes}`;
  await using project = await createProject({ "routes.yaml": config, "plugins/work.ts": failing });
  const cwd = project.path(".");
  await using engine = await startWeir(["serve"], { cwd });
  await use({
    engine,
    weir: (...args) => runWeir(args, { cwd, env: engine.env }),
    async post(body) {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${engine.ingestUrl}/hooks/door`, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      await answer.body?.cancel();
      assertEquals(answer.status, 202);
    },
    write: (file, text) => Deno.writeTextFile(project.path(file), text),
  });
}

Deno.test("weir deliveries resume, skip: what is parked without a lane goes on by its id", async () => {
  const routes = `  work: { from: door, handler: plugins/work.ts, retry: { attempts: 1 }, on_exhausted: park }\n`;
  await withEngine(routes, async ({ engine, weir, post, write }) => {
    await post(1);
    const { deliveryId: first } = JSON.parse(await engine.line(/"state":"parked"/));
    await post(2);
    const { deliveryId: second } = JSON.parse(await engine.line(new RegExp(`^(?!.*${first}).*"state":"parked"`)));
    const shown = await weir("deliveries", "show", first);
    assertMatch(shown.out, new RegExp(`waits for +a person: weir deliveries resume ${first}, or skip\n`));

    await write("plugins/work.ts", fine);
    const skipped = await weir("deliveries", "skip", second);
    assertEquals([skipped.code, skipped.out], [0, `${second} skipped\n`]);
    assertEquals((await weir("pause", "work", "--reason", "lunch")).code, 0);
    const resumed = await weir("deliveries", "resume", first, second);
    assertEquals([resumed.code, resumed.out], [1, `${first} resumed; it waits: work is paused: lunch\n`]);
    assertEquals(resumed.err, `${second}: delivery ${second} is skipped; only a parked one can be resumed\n`);
    assertEquals((await weir("resume", "work")).code, 0);
    await engine.line(new RegExp(`${first}.*"state":"succeeded"`));
    assertEquals((await weir("deliveries", "resume")).code, 2);
  });
});

Deno.test("weir serve: what an expression parks on arrival is an error in its log", async () => {
  const routes = `  work: { from: door, when: "body.n > 1", handler: plugins/work.ts }\n`;
  await withEngine(routes, async ({ engine, post }) => {
    await post({ n: 1 });
    const passed = JSON.parse(await engine.line(/"kind":"event.received"/));
    await post({ n: "text" });
    const parked = JSON.parse(await engine.line(/"fault"/));
    assertEquals([passed.level, parked.level, parked.queues], ["info", "error", ["work"]]);
    assertMatch(parked.fault, /^when: body.n > 1: /);
  });
});

Deno.test("weir resume: says what holds a queue although nobody pauses it any more", async () => {
  const routes = `
  halty: { from: door, handler: plugins/work.ts, retry: { attempts: 1 }, on_exhausted: halt, order_by: "body.key" }
  fan:
    from: door
    send: [{ name: down, url: "http://127.0.0.1:1/", breaker: { failures: 1, open: 9m, open_max: 9m } }]
`;
  await withEngine(routes, async ({ engine, weir, post }) => {
    await post({ key: "k" });
    await Promise.all([engine.line(/"queue":"halty".*"state":"parked"/), engine.line(/"queue":"fan\/down".*"failed"/)]);
    const [halty, fan] = await Promise.all([weir("resume", "halty"), weir("resume", "fan/down")]);
    assertEquals(halty.out, "halty goes on; 1 parked: weir deliveries list --state parked --route halty\n");
    assertMatch(fan.out, /^fan\/down goes on; breaker open after 1 failure, for \S+ more\n$/);
    assertMatch((await weir("deliveries", "list", "--state", "parked", "--route", "halty")).out, /ledger is closed/);
  });
});

Deno.test("weir deliveries show, lanes list: what runs says so, and not what it failed with before", async () => {
  const routes = `
  work: { from: door, handler: plugins/work.ts, order_by: body.key, timeout: 5m, retry: { attempts: 3, schedule: [1s] } }
`;
  await withEngine(routes, async ({ engine, weir, post, write }) => {
    await post({ key: "k" });
    const { deliveryId: id } = JSON.parse(await engine.line(/"outcome":"failed"/));
    await write("plugins/work.ts", "export default () => new Promise((done) => setTimeout(done, 200_000));\n");
    const shown = () => weir("deliveries", "show", id);
    await until("it runs again", async () => (await shown()).out.includes("running"));
    const [show, list, lanes, lane] = await Promise.all([
      shown(),
      weir("deliveries", "list"),
      weir("lanes", "list"),
      weir("lanes", "show", "work", "k"),
    ]);
    assertMatch(show.out, /state +running: attempt 2, for \S+ of 5m\n/);
    assertMatch(list.out, / running +2 +attempt 2, for \S+ of 5m\n/);
    assertMatch(lanes.out, / running +1 +attempt 2, for \S+ of 5m\n/);
    assertMatch(lane.out, new RegExp(`head +${id}, running: attempt 2, for \\S+ of 5m\n`));
  });
});

Deno.test("weir dead list, deliveries show: what has been redelivered is left out, and names what was made of it", async () => {
  const routes = `  work: { from: door, handler: plugins/work.ts, retry: { attempts: 1 } }\n`;
  await withEngine(routes, async ({ engine, weir, post, write }) => {
    await post(1);
    const { deliveryId: id } = JSON.parse(await engine.line(/"state":"dead"/));
    assertMatch((await weir("dead", "list")).out, new RegExp(id));
    await write("plugins/work.ts", fine);
    assertEquals((await weir("dead", "redeliver", id)).code, 0);
    const { deliveryId: made } = JSON.parse(await engine.line(/"state":"succeeded"/));
    const [list, all, show] = await Promise.all([
      weir("dead", "list"),
      weir("dead", "list", "--all"),
      weir("deliveries", "show", id),
    ]);
    assertEquals(list.err, "no dead letters\n1 left out that has been redelivered: see --all\n");
    assertMatch(all.out, new RegExp(id));
    assertMatch(show.out, new RegExp(`redelivered +as ${made} \\(succeeded\\)\n`));
  });
});

Deno.test("weir lanes show, skip: a lane whose key has control characters is named as it is shown", async () => {
  const routes = `
  work: { from: door, handler: plugins/work.ts, order_by: body.key, retry: { attempts: 1 }, on_exhausted: park }
`;
  await withEngine(routes, async ({ engine, weir, post }) => {
    await post({ key: "a\tb\x1b" });
    await post({ key: "a\\tb" });
    const { deliveryId: first } = JSON.parse(await engine.line(/"lane":"a\\tb\\u001b".*"state":"parked"/));
    const { deliveryId: second } = JSON.parse(await engine.line(/"lane":"a\\\\tb".*"state":"parked"/));
    const lanes = await weir("lanes", "list");
    assertMatch(lanes.out, / a\\tb\\u001b [^]* a\\tb /);
    assertMatch((await weir("lanes", "show", "work", "a\\tb\\u001b")).out, new RegExp(`head +${first}`));
    assertEquals((await weir("lanes", "skip", "work", "a\\tb")).out, `${second} skipped\n`);
    assertEquals((await weir("lanes", "skip", "work", "a\\tb\\u001b")).out, `${first} skipped\n`);
  });
});
