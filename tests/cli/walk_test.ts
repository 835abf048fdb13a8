import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { runWeir, startWeir } from "./command_line.ts";

/** A project of `weir init` that listens on free ports, in a folder that is gone afterwards. */
async function withProject(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    assertEquals((await runWeir(["init"], { cwd: dir })).code, 0);
    await edit(dir, (text) => text.replace(/127\.0\.0\.1:808\d/g, "127.0.0.1:0"));
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function edit(dir: string, change: (text: string) => string): Promise<void> {
  const file = join(dir, "routes.yaml");
  await Deno.writeTextFile(file, change(await Deno.readTextFile(file)));
}

/** The first SIGTERM closes this door; only then is another one the second. */
async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`);
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}

Deno.test("weir init: the project passes check, keeps its secrets to itself and is not overwritten", async () => {
  await withProject(async (dir) => {
    const [checked, again] = await Promise.all([
      runWeir(["check"], { cwd: dir }),
      runWeir(["init", "."], { cwd: dir }),
    ]);
    assertEquals([checked.code, checked.err], [0, ""]);
    assertStringIncludes(checked.out, "1 source, 1 route");
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "routes.yaml");
    assertEquals((await Deno.stat(join(dir, ".env"))).mode! & 0o777, 0o600);
    const ignored = (await Deno.readTextFile(join(dir, ".gitignore"))).split("\n");
    for (const file of [".env", ".weir-admin-token*"]) assert(ignored.includes(file));
  });
});

Deno.test("weir check: prints all issues with their places to stderr and exits 1", async () => {
  await withProject(async (dir) => {
    await edit(
      dir,
      (text) => text.replace("handler: plugins/hello.ts", "handlr: plugins/hello.ts").replace("order_by", "when"),
    );
    const [read, parsed] = await Promise.all([
      runWeir(["check"], { cwd: dir }),
      runWeir(["check", "--json"], { cwd: dir }),
    ]);
    assertEquals([read.code, parsed.code, read.out], [1, 1, ""]);
    assertMatch(read.err, /routes\.yaml:\d+:\d+: routes\.hello\.handlr: .*did you mean "handler"/);
    const { ok, issues } = JSON.parse(parsed.out);
    assert(!ok && issues.length >= 2 && issues.every((issue: { line: number }) => issue.line > 0));
  });
});

Deno.test("weir: wrong usage is 2, help and version are 0, an engine that is not there is 1", async () => {
  const cwd = await Deno.makeTempDir();
  const code = async (...args: string[]) =>
    (await runWeir(args, { cwd, env: { WEIR_ADMIN_TOKEN: "x".repeat(43) } })).code;
  const admin = ["--admin", "http://127.0.0.1:1"];
  assertEquals(
    await Promise.all([
      code("serv"),
      code("events", "list", "--limit", "many"),
      code("send"),
      code("dead", "redeliver", ...admin),
      code("status", "--admin", "nowhere"),
      code("--help"),
      code("--version"),
      code("status", ...admin),
      code("check"),
    ]),
    [2, 2, 2, 2, 2, 0, 0, 1, 1],
  );
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("weir secret and weir schema: print what other programs read", async () => {
  const cwd = Deno.cwd();
  const [secret, schema] = await Promise.all([runWeir(["secret"], { cwd }), runWeir(["schema"], { cwd })]);
  assertMatch(secret.out, /^whsec_[A-Za-z0-9+/]{43}=\n$/);
  assertEquals(JSON.parse(schema.out).type, "object");
});

Deno.test("weir: an event's way from send to a dead letter and back, a reload, a stop", async () => {
  await withProject(async (dir) => {
    await using engine = await startWeir(["serve"], { cwd: dir });
    const weir = (...args: string[]) => runWeir(args, { cwd: dir, env: engine.env });
    const url = ["--url", engine.ingestUrl];
    assertEquals((await Deno.stat(join(dir, ".weir-admin-token"))).mode! & 0o777, 0o600);

    const sent = await weir("send", "hello", "item.created", "--id", "msg_1", "--set", "data.name=a\x1b[31mb", ...url);
    assertEquals([sent.code, sent.err], [0, ""], sent.out);
    assertMatch(sent.out, /202 [^]*hello \[item_1\] succeeded/);
    assertEquals(JSON.parse(await engine.line(/delivery\.attempted/)).state, "succeeded");

    const [again, listed, refused] = await Promise.all([
      weir("send", "hello", "item.created", "--id", "msg_1", ...url),
      weir("events", "list", "--json"),
      runWeir(["send", "hello", ...url], {
        cwd: dir,
        env: { ...engine.env, HELLO_SECRET: `whsec_${btoa("z".repeat(32))}` },
      }),
    ]);
    assertStringIncludes(again.out, "duplicate");
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.out, "401");
    const [event] = JSON.parse(listed.out).rows;
    assertEquals([event.type, event.idempotencyKey, event.deliveries], ["item.created", "msg_1", { succeeded: 1 }]);

    const [shown, deliveries] = await Promise.all([
      weir("events", "show", event.id),
      weir("deliveries", "list", "--json"),
    ]);
    assertStringIncludes(shown.out, "a\\u001b[31mb");
    assert(!shown.out.includes("\x1b"));
    const [delivery] = JSON.parse(deliveries.out).rows;
    assertEquals([delivery.state, delivery.route, delivery.lane], ["succeeded", "hello", "item_1"]);

    await Deno.writeTextFile(
      join(dir, "plugins/hello.ts"),
      `export default (_, ctx) => { throw ctx.reject("never"); };\n`,
    );
    const redelivered = await weir("deliveries", "redeliver", delivery.id);
    const [, made] = redelivered.out.match(/→ (dlv_\w+)/)!;
    await engine.line(new RegExp(`${made}.*"state":"dead"`));
    const [letters, letter, cancelled, wrong] = await Promise.all([
      weir("dead", "list", "--json"),
      weir("deliveries", "show", made!),
      weir("deliveries", "cancel", made!),
      weir("deliveries", "list", "--state", "lost"),
    ]);
    assertEquals(JSON.parse(letters.out).rows.map((row: { id: string }) => row.id), [made]);
    assertMatch(letter.out, /dead: rejected: never[^]*attempt 1/);
    assertEquals([cancelled.code, wrong.code], [1, 2]);

    await Deno.writeTextFile(join(dir, "plugins/hello.ts"), `export default () => "fine";\n`);
    assertEquals((await weir("dead", "redeliver", "--all")).code, 0);
    const [status, repeated] = await Promise.all([weir("status", "--json"), weir("dead", "redeliver", "--all")]);
    assertEquals([JSON.parse(status.out).ready, JSON.parse(status.out).queues[0].dead], [true, 1]);
    assertEquals(
      [repeated.code, repeated.out],
      [0, ""],
      "a dead letter that was repeated is not repeated again by --all",
    );

    await edit(dir, (text) => text.replace("from: hello", "from: hallo"));
    engine.kill("SIGHUP");
    await engine.line(/routes\.yaml:\d+:\d+: .*hallo/);
    await engine.line(/not reloaded/);
    await edit(
      dir,
      (text) => text.replace("from: hallo", "from: hello").replace("  hello:\n    from", "  salute:\n    from"),
    );
    engine.kill("SIGHUP");
    await engine.line(/reloaded: .*route salute added, route hello removed/);

    engine.kill("SIGTERM");
    assertEquals((await engine.status).code, 0);
    assertEquals((await weir("status")).code, 1);
  });
});

Deno.test("weir serve: a log that nobody reads does not end the engine, a second SIGTERM does at once", async () => {
  await withProject(async (dir) => {
    await Deno.writeTextFile(
      join(dir, "plugins/hello.ts"),
      `export default () => new Promise((done) => setTimeout(done, 50_000));\n`,
    );
    await using engine = await startWeir(["serve"], { cwd: dir });
    await engine.closeStdout();
    const options = { cwd: dir, env: { ...engine.env, WEIR_ADMIN_TOKEN: "not-the-one-".repeat(4) } };
    for (let n = 0; n < 2; n++) {
      const sent = await runWeir(["send", "hello", "--url", engine.ingestUrl], options);
      assertEquals(sent.code, 0);
      assertStringIncludes(sent.err, "refused the admin token");
    }
    engine.kill("SIGTERM");
    await until("the ingest port is closed", async () => !await isReady(engine.ingestUrl));
    engine.kill("SIGTERM");
    assertEquals((await engine.status).code, 143);
  });
});

Deno.test("weir dev: reloads when routes.yaml changes, and says so in words", async () => {
  await withProject(async (dir) => {
    await using engine = await startWeir(["dev"], { cwd: dir });
    await edit(dir, (text) => text.replace("  hello:\n    from", "  salute:\n    from"));
    await engine.line(/engine +reloaded: .*route salute added/);
    engine.kill("SIGINT");
    assertEquals((await engine.status).code, 0);
  });
});

Deno.test("weir demo --once: every kind of fate is shown, and it ends by itself", async () => {
  const cwd = await Deno.makeTempDir();
  try {
    const { code, out, err } = await runWeir(["demo", "--once"], { cwd });
    assertEquals([code, err], [0, ""], out);
    assertMatch(out, /4 events accepted, 1 forged request refused; deliveries: 7 succeeded, 1 dead/);
    assertMatch(out, /inbox: signature of \S+ is good/);
    assertMatch(out, /payments attempt 3/);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});
