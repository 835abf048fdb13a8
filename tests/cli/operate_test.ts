/** A person at work on a running engine: pause, look, explain, skip, resume, repeat, replay, erase, copy. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createProject } from "../support/project.ts";
import { runWeir, startWeir } from "./command_line.ts";

const routes = `version: 1
server: { listen: 127.0.0.1:0, admin: 127.0.0.1:0 }
sources:
  door:
    provider: none
    id: headers["x-id"]
routes:
  work:
    from: door
    order_by: body.key
    handler: plugins/work.ts
    retry: { attempts: 1 }
    on_exhausted: park
  never: { from: door, on: nothing.like.it, handler: plugins/work.ts }
`;
const failing = `export default () => { throw new Error("ledger is closed"); };\n`;
const fine = `export default () => "fine";\n`;

Deno.test("weir lanes, explain, pause, replay, purge, backup: what a person sees and does", async () => {
  await using project = await createProject({ "routes.yaml": routes, "plugins/work.ts": failing });
  const cwd = project.path(".");
  await using engine = await startWeir(["serve"], { cwd });
  const weir = (...args: string[]) => runWeir(args, { cwd, env: engine.env });
  const json = async (...args: string[]) => JSON.parse((await weir(...args, "--json")).out);
  const post = async (id: string) => {
    const answer = await fetch(`${engine.ingestUrl}/hooks/door`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-id": id },
      body: JSON.stringify({ key: "k", id }),
    });
    return { status: answer.status, id: (await answer.json()).id as string };
  };

  const { id: first } = await post("1");
  const { id: second } = await post("2");
  await engine.line(/"state":"parked"/);

  const [lanes, lane, explained, listed] = await Promise.all([
    weir("lanes", "list", "--state", "parked"),
    weir("lanes", "show", "work", "k"),
    weir("explain", second),
    json("deliveries", "list", "--source", "door", "--since", "1h"),
  ]);
  assertMatch(lanes.out, /work +k +2 +dlv_\w+ .*parked: failed 1 of 1 attempts; ledger is closed/);
  const [blocked, head] = listed.rows;
  assertMatch(lane.out, new RegExp(`${head.id}[^]*${blocked.id} .* behind ${head.id}`));
  assertMatch(explained.out, /work matched: lane k\n +never unmatched: on: is nothing\.like\.it/);
  assertStringIncludes(explained.out, `behind ${head.id}, parked: failed 1 of 1 attempts; ledger is closed`);

  await Deno.writeTextFile(project.path("plugins/work.ts"), fine);
  assertEquals((await weir("lanes", "resume", "work", "k")).out, `${head.id} resumed\n`);
  await engine.line(new RegExp(`${blocked.id}.*"state":"succeeded"`));
  assertEquals((await weir("lanes", "skip", "work", "k")).code, 1);

  const [pausedQueue, pausedSource, unclear] = await Promise.all([
    weir("pause", "work", "--reason", "lunch"),
    weir("pause", "--source", "door"),
    weir("pause"),
  ]);
  assertEquals([pausedQueue.out, pausedSource.code, unclear.code], ["work paused\n", 0, 2]);
  assertEquals((await post("3")).status, 503);
  const status = await weir("status");
  assertMatch(status.out, /paused +source door, paused \S+ ago: paused by a person/);
  assertMatch(status.out, /work .*paused \S+ ago: lunch/);

  const [dry, asked, replayed] = await Promise.all([
    weir("events", "replay", "--source", "door", "--since", "1h", "--dry-run"),
    weir("events", "replay", "--source", "door"),
    weir("events", "replay", first, "--route", "work"),
  ]);
  assertEquals([dry.out, asked.code], ["2 events would become deliveries: work 2\n", 2]);
  assertEquals(replayed.out, "1 event became deliveries: work 1\n");
  const [row] = (await json("deliveries", "list", "--limit", "1")).rows;
  assertEquals([row.origin, row.waiting.kind], ["replay", "paused"]);

  const [count, unsure] = await Promise.all([
    weir("deliveries", "cancel", "--route", "work", "--dry-run"),
    weir("deliveries", "cancel", "--route", "work"),
  ]);
  assertEquals([count.out, unsure.code], ["1 would be cancelled\n", 2]);
  assertEquals((await weir("deliveries", "cancel", "--route", "work", "--all")).out, "1 of 1 cancelled\n");
  const many = await weir("deliveries", "redeliver", "--state", "succeeded", "--until", "0s", "--all");
  assertEquals([many.code, many.out], [0, "2 of 2 redelivered\n"]);
  const [again] = (await json("deliveries", "list", "--limit", "1")).rows;
  const shown = await weir("deliveries", "show", again.id);
  assertMatch(shown.out, /order +others of its lane may have passed before it was made/);
  const [queue, source] = await Promise.all([weir("resume", "work"), weir("resume", "--source", "door")]);
  assertEquals([queue.out, source.out], ["work goes on\n", "source door goes on\n"]);
  const third = await post("3");
  assertEquals(third.status, 202);
  await engine.line(new RegExp(`${third.id}.*"state":"succeeded"`)); // and with it all that was before it in the lane
  assertEquals((await weir("deliveries", "list", "--since", "yesterday")).code, 2);

  const copied = await weir("backup", "copy.db");
  assertEquals([copied.code, copied.err], [0, ""]);
  assert((await Deno.stat(project.path("copy.db"))).size > 0);
  assertEquals((await weir("backup", "copy.db")).code, 1);
  assertEquals((await weir("events", "purge", first, second)).out, "2 events with 5 deliveries erased\n");
  await weir("pause", "work");
  const { id: waiting } = await post("4");
  const purge = async (...args: string[]) => (await weir("events", "purge", waiting, ...args)).out;
  assertEquals(await purge("--dry-run"), "1 event with 1 delivery, 1 of them not finished, would be erased\n");
  assertEquals(await purge(), "1 event with 1 delivery, 1 of them not finished, erased\n");
  assertEquals((await weir("explain", first)).code, 1);
});

const stuck = `version: 1
server: { listen: 127.0.0.1:0, admin: 127.0.0.1:0 }
sources:
  door:
    provider: none
    id: headers["x-id"]
  tick: { cron: "@yearly" }
  own: { publish: true }
routes:
  halter:
    from: door
    order_by: body.key
    handler: plugins/work.ts
    retry: { attempts: 1 }
    on_exhausted: halt
  mirror:
    from: door
    order_by: body.key
    send:
      - { name: ci, url: "http://127.0.0.1:1/" }
      - { name: chat, url: "http://127.0.0.1:1/" }
  other: { from: tick, handler: plugins/work.ts }
`;

Deno.test("weir lanes, pause, cancel, events: a wrong name is told, and so is what holds a queue up", async () => {
  await using project = await createProject({ "routes.yaml": stuck, "plugins/work.ts": failing });
  const cwd = project.path(".");
  await using engine = await startWeir(["serve"], { cwd });
  const weir = (...args: string[]) => runWeir(args, { cwd, env: engine.env });
  const post = async (id: string, body: unknown) => {
    const headers = { "content-type": "application/json", "x-id": id };
    const answer = await fetch(`${engine.ingestUrl}/hooks/door`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    await answer.body?.cancel();
  };
  assertEquals((await weir("pause", "mirror")).code, 0);
  await post("1", { key: "k" });
  await post("1", { key: "other body" });
  await post("2", { key: "k" });
  const parked = await engine.line(/"queue":"halter".*"state":"parked"/);
  const { deliveryId: head } = JSON.parse(parked);

  const refused = async (...args: string[]) => {
    const { code, out, err } = await weir(...args);
    assertEquals([code, out], [1, ""], args.join(" "));
    return err.trimEnd().replace(/^weir: /, "");
  };
  const [unqueued, untold, misspelt, untargeted, bulk, ofSource, erased] = await Promise.all([
    refused("lanes", "show", "mirror", "k"),
    refused("lanes", "resume", "mirror", "nowhere"),
    refused("lanes", "skip", "mirro", "k"),
    refused("lanes", "show", "mirror/cj", "k"),
    refused("deliveries", "cancel", "--route", "mirro", "--all"),
    refused("deliveries", "redeliver", "--source", "dor", "--dry-run"),
    refused("events", "purge", "--source", "dor", "--all"),
  ]);
  assertEquals(unqueued, 'there is nothing open in lane "k" of mirror; it is open in mirror/ci, mirror/chat');
  assertEquals(untold, 'there is nothing open in lane "nowhere" of mirror; its queues are mirror/chat, mirror/ci');
  const noRoute = 'there is no route mirro; expected one of halter, mirror, other; did you mean "mirror"?';
  assertEquals([misspelt, bulk], [noRoute, noRoute]);
  assertEquals(untargeted, 'there is no target of mirror named cj; expected one of chat, ci; did you mean "ci"?');
  const noSource = 'there is no source dor; expected one of door, tick, own; did you mean "door"?';
  assertEquals([ofSource, erased], [noSource, noSource]);

  const [shown, listed, checked] = await Promise.all([
    weir("lanes", "show", "halter", "k"),
    weir("events", "list"),
    weir("check"),
  ]);
  assertMatch(shown.out, new RegExp(`head +${head}, parked: failed 1 of 1 attempts; ledger is closed`));
  const [, second, first] = listed.out.split("\n");
  assertMatch(first!, /1 duplicate, 1 with another body$/);
  assertMatch(second!, / {2}replays evt_\w+$/);
  assertMatch(checked.out, /source tick: cron @yearly UTC\n +source own: publish\n/);

  const resumed = await weir("lanes", "resume", "halter", "k");
  assertEquals([resumed.code, resumed.out], [0, `${head} resumed\n`]);
  const why = `halter is paused, and nothing of it runs until \`weir resume halter\`: halted by ${head}: failed 1 of 1`;
  assertStringIncludes(resumed.err, why);
  assertStringIncludes((await weir("lanes", "skip", "halter", "k")).err, "halter is paused");

  const [clock, door, own, none] = await Promise.all([
    weir("pause", "--source", "tick"),
    weir("pause", "--source", "door"),
    refused("pause", "--source", "own"),
    refused("pause", "--source", "tikc"),
  ]);
  assertEquals(
    clock.out,
    "source tick paused: it does not tick; of what it misses, the last tick runs when it goes on\n",
  );
  assertEquals(door.out, "source door paused: its requests are answered 503\n");
  assertEquals(own, "the program itself publishes under own; pause the routes that take from it");
  assertMatch(none, /did you mean "tick"\?$/);
  assertEquals((await weir("resume", "--source", "tick")).out, "source tick goes on, within a minute\n");

  const [toClock, toOwn] = await Promise.all([refused("send", "tick"), refused("send", "own")]);
  assertEquals(toClock, "source tick is a cron source: nobody sends to it, it ticks by itself, @yearly UTC");
  assertEquals(toOwn, "source own has no path: only the program itself publishes under it");
});
