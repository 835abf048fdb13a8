import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { failureOf, isSpinning, processesWith, resultOf, until, withHandler } from "./script_rig.ts";

const greet = `import type { Handler } from "weir";
import { word } from "./word.ts";
export default ((event, ctx) => {
  console.log("saw %s", event.type, { n: event.body.n });
  ctx.log("attempt", ctx.attempt, ctx.idempotencyKey);
  return { word, id: event.id, big: event.body.big, bytes: event.raw.length, at: event.receivedAt.toISOString() };
}) satisfies Handler;
`;

Deno.test("createScriptRunner: a TypeScript handler gets its event and its context, and its result and output come back", async () => {
  await withHandler(
    { files: { "handler.ts": greet, "word.ts": `export const word: string = "hello";` } },
    async (rig) => {
      const raw = new TextEncoder().encode(`{"n":1,"big":12345678901234567890}`);
      const report = await rig.run({
        event: {
          id: "evt_x",
          source: "stripe",
          type: "charge.paid",
          receivedAt: 0,
          headers: { "content-type": "application/json" },
          query: "",
          raw,
        },
      });
      assertEquals(JSON.parse(resultOf(report)!), {
        word: "hello",
        id: "evt_x",
        big: "12345678901234567890",
        bytes: raw.length,
        at: "1970-01-01T00:00:00.000Z",
      });
      assertEquals(report.output, "saw charge.paid { n: 1 }\nattempt 1 key_1\n");
      assertMatch(report.codeHash!, /^[0-9a-f]{64}$/);
    },
  );
});

Deno.test("createScriptRunner: the body of a split event is its own item", async () => {
  await withHandler(
    { files: { "handler.ts": "export default (event) => [event.body, event.raw.length];" } },
    async (rig) => {
      const { outcome } = await rig.run({
        event: {
          id: "evt_1",
          source: "sendgrid",
          type: "open",
          receivedAt: 0,
          headers: {},
          query: "",
          raw: new TextEncoder().encode(`[{"a":"é"},{"b":2}]`),
          item: `{"a":"é"}`,
        },
      });
      assertEquals(outcome, { kind: "succeeded", result: `[{"a":"é"},20]` });
    },
  );
});

for (
  const [name, code, outcome] of [
    ["throws", `throw new TypeError("no good")`, { kind: "failed", reason: "TypeError: no good (at handler.ts:1:36)" }],
    ["rejects", `throw ctx.reject("nobody approved")`, { kind: "rejected", reason: "nobody approved" }],
    [
      "asks for a later retry",
      `throw ctx.retryAfter("10m", "busy")`,
      { kind: "failed", reason: "busy", retryAfterMs: 600_000 },
    ],
    ["returns nothing", "", { kind: "succeeded", result: undefined }],
  ] as const
) {
  Deno.test(`createScriptRunner: a handler that ${name}`, async () => {
    await withHandler({ files: { "handler.ts": `export default (_, ctx) => { ${code} };` } }, async (rig) => {
      const report = await rig.run();
      assertEquals({ retryAfterMs: undefined, ...report.outcome }, { retryAfterMs: undefined, ...outcome });
    });
  });
}

for (
  const [name, code, note] of [
    ["is no JSON", "return 1n", /the result was dropped: TypeError: .*BigInt/],
    ["is too long", "return 'x'.repeat(300_000)", /the result was dropped: 300002 characters/],
  ] as const
) {
  Deno.test(`createScriptRunner: a result that ${name} is dropped with a note, and the attempt succeeds`, async () => {
    await withHandler({ files: { "handler.ts": `export default () => { ${code} };` } }, async (rig) => {
      const { outcome, output } = await rig.run();
      assertEquals(outcome, { kind: "succeeded", result: undefined });
      assertMatch(output!, note);
    });
  });
}

for (
  const [name, code, reason] of [
    ["a syntax error", "export default () => {\n  const x: = 1;\n};", /Unexpected token[\s\S]*handler\.ts:2/],
    ["a missing import", `import "./gone.ts";\nexport default () => {};`, /there is no file .*gone\.ts/],
    ["no default export", "export const x = 1;", /no default export/],
    ["a default export that is no function", "export default 1;", /is number: expected a function/],
    ["a throw at the top level", `throw new Error("not today");`, /^not today/],
    ["a value import of weir", `import { x } from "weir";\nexport default () => x;`, /write "import type"/],
  ] as const
) {
  Deno.test(`createScriptRunner: a file with ${name} fails with the true message, and its mending is seen`, async () => {
    await withHandler({ files: { "handler.ts": code } }, async (rig) => {
      assertMatch(failureOf(await rig.run()).reason, reason);
      await Deno.writeTextFile(`${rig.folder}/handler.ts`, "export default () => 1;");
      assertEquals((await rig.run()).outcome, { kind: "succeeded", result: "1" });
    });
  });
}

Deno.test("createScriptRunner: a top-level await that hangs counts against the timeout", async () => {
  const files = { "handler.ts": "await new Promise(() => {});\nexport default () => {};" };
  await withHandler({ files, timeoutMs: 900 }, async (rig) => {
    assertEquals((await rig.run()).outcome, { kind: "failed", reason: "timed out after 900ms" });
  });
});

Deno.test("createScriptRunner: ctx.signal aborts before the timeout, and what was printed is kept though it is killed", async () => {
  const files = {
    "handler.ts": `export default (_, ctx) => {
      console.log("before");
      ctx.signal.addEventListener("abort", () => console.log("aborted"));
      return new Promise(() => {});
    };`,
  };
  await withHandler({ files, timeoutMs: 1_000 }, async (rig) => {
    const { outcome, output } = await rig.run();
    assertEquals(outcome, { kind: "failed", reason: "timed out after 1s" });
    assertEquals(output, "before\n");
  });
});

Deno.test("createScriptRunner: changed code runs in a fresh process while the old one finishes what it has", async () => {
  const files = {
    "handler.ts": `import { version } from "./version.ts";
      export default async (event) => { while (event.body.wait && !Deno.statSync(event.body.wait).size); return version; };`,
    "version.ts": "export const version = 1;",
  };
  const gate = await Deno.makeTempFile();
  await withHandler({ files, permissions: { read: [gate] } }, async (rig) => {
    const first = await rig.run();
    const old = rig.run({}, { body: { wait: gate } });
    await Deno.writeTextFile(`${rig.folder}/version.ts`, "export const version = 2; // changed");
    const fresh = await rig.run();
    assertEquals(rig.pids().length, 2);
    await Deno.writeTextFile(gate, "go");
    assertEquals([first, fresh, await old].map(({ outcome }) => outcome.kind === "succeeded" && outcome.result), [
      "1",
      "2",
      "1",
    ]);
    assertEquals((await old).codeHash, first.codeHash);
    assertNotEquals(fresh.codeHash, first.codeHash);
    await until(() => rig.pids().length === 1, "the end of the old process");
  });
  await Deno.remove(gate);
});

Deno.test("createScriptRunner: twenty attempts at once share one process and keep their output apart", async () => {
  const files = {
    "handler.ts": `let running = 0, most = 0;
      export default async (event) => {
        most = Math.max(most, ++running);
        console.log("start", event.body.n);
        while (most < 20) await new Promise((resolve) => setTimeout(resolve, 1));
        console.log("end", event.body.n);
        running--;
        return event.body.n;
      };`,
  };
  await withHandler({ files }, async (rig) => {
    const reports = await Promise.all(Array.from({ length: 20 }, (_, n) => rig.run({}, { body: { n } })));
    assertEquals(rig.pids().length, 1);
    reports.forEach(({ outcome, output }, n) => {
      assertEquals(outcome, { kind: "succeeded", result: String(n) });
      assertEquals(output, `start ${n}\nend ${n}\n`);
    });
  });
});

Deno.test("createScriptRunner: attempts that travel together see only their own bytes", async () => {
  const files = {
    "handler.ts": `export default ({ raw, body }) => {
      const whole = new TextDecoder().decode(raw.buffer);
      raw.fill(0);
      return [whole, body.n];
    };`,
  };
  await withHandler({ files }, async (rig) => {
    const reports = await Promise.all(Array.from({ length: 20 }, (_, n) => rig.run({}, { body: { n } })));
    reports.forEach((report, n) => assertEquals(JSON.parse(resultOf(report)!), [JSON.stringify({ n }), n]));
  });
});

Deno.test("createScriptRunner: results too large for the ring that reports go through arrive all the same", async () => {
  const files = { "handler.ts": `export default ({ body }) => "ä".repeat(body.n);` };
  await withHandler({ files }, async (rig) => {
    const lengths = [10, 200_000, 20, 100_000, 90_000, 80_000, 30];
    const reports = await Promise.all(lengths.map((n) => rig.run({}, { body: { n } })));
    assertEquals(reports.map((report) => resultOf(report)!.length), lengths.map((n) => n + 2));
  });
});

Deno.test("createScriptRunner: a suspect attempt runs in a process of its own that ends with it", async () => {
  const files = { "handler.ts": "let count = 0; export default () => ++count;" };
  await withHandler({ files }, async (rig) => {
    await rig.run();
    assertEquals((await rig.run({ suspect: true })).outcome, { kind: "succeeded", result: "1" });
    assertEquals((await rig.run()).outcome, { kind: "succeeded", result: "2" });
    await until(() => rig.pids().length === 1, "the end of the suspect's process");
  });
});

Deno.test("createScriptRunner: a stop interrupts what does not return and lets finish what does", async () => {
  const files = {
    "handler.ts": `export default (event, ctx) => new Promise((resolve) => {
      if (event.body.first) resolve();
      if (event.body.polite) ctx.signal.addEventListener("abort", () => resolve("tidied up"));
    });`,
  };
  await withHandler({ files }, async (rig) => {
    await rig.run({}, { body: { first: true } });
    const stop = new AbortController();
    const polite = rig.run({}, { body: { polite: true }, stop: stop.signal });
    const stubborn = rig.run({}, { body: {}, stop: stop.signal });
    stop.abort();
    assertEquals((await polite).outcome, { kind: "succeeded", result: '"tidied up"' });
    assertEquals((await stubborn).outcome.kind, "interrupted");
  });
});

Deno.test("createScriptRunner: granted variables, files and addresses work, and nothing else is in the environment", async () => {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("pong"));
  const data = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(data, `{"answer":42}`);
  const files = {
    "handler.ts": `export default async (event) => [
      Deno.env.get("API_KEY"),
      JSON.parse(Deno.readTextFileSync(event.body.data)).answer,
      (await import(event.body.data, { with: { type: "json" } })).default.answer,
      await (await fetch(event.body.url)).text(),
    ];`,
  };
  const address = `127.0.0.1:${server.addr.port}`;
  const permissions = { env: ["API_KEY"], read: [data], net: [address] };
  await withHandler({ files, permissions, env: { API_KEY: "k" } }, async (rig) => {
    const { outcome } = await rig.run({}, { body: { data, url: `http://${address}/` } });
    assertEquals(outcome, { kind: "succeeded", result: '["k",42,42,"pong"]' });
    const environ = Deno.readTextFileSync(`/proc/${rig.pids()[0]}/environ`).split("\0").map((line) =>
      line.split("=")[0]!
    );
    const known = [
      "API_KEY",
      "RIG_MARK",
      "HOME",
      "XDG_CACHE_HOME",
      "DENO_DIR",
      "TMPDIR",
      "NO_COLOR",
      "DENO_V8_FLAGS",
      "",
    ];
    assertEquals(environ.filter((name) => !known.includes(name)), []);
  });
  await server.shutdown();
  await Deno.remove(data);
});

Deno.test("createScriptRunner: every process holds the child lock shared for as long as it lives", async () => {
  const lockPath = await Deno.makeTempFile();
  using lock = Deno.openSync(lockPath, { read: true, write: true });
  await withHandler({ files: { "handler.ts": "export default () => 1;" }, childLockFile: lockPath }, async (rig) => {
    await rig.run();
    assertEquals(lock.tryLockSync(true), false);
  });
  assertEquals(lock.tryLockSync(true), true);
  await Deno.remove(lockPath);
});

Deno.test("createScriptRunner: a signal to the handler's process does not end an attempt", async () => {
  const handler = `
    export default async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return "finished";
    };`;
  await withHandler({ files: { "handler.ts": handler } }, async (rig) => {
    resultOf(await rig.run());
    const attempt = rig.run();
    for (const pid of rig.pids()) for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.kill(pid, signal);
    assertEquals(resultOf(await attempt), '"finished"');
  });
});

Deno.test("createScriptRunner: a process that cannot start fails the attempt and says why", async () => {
  await withHandler({ files: { "handler.ts": "" }, childLockFile: "/nowhere/lock" }, async (rig) => {
    const failure = failureOf(await rig.run());
    assertMatch(failure.reason, /^could not start the handler's process: .*No such file/);
    assertEquals(failure.died, undefined);
  });
});

Deno.test("runScriptHost: ends when its engine is killed, even while the handler spins", async () => {
  const mark = crypto.randomUUID();
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/handler.ts`, "export default () => { for (;;); };");
  const engine = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      new URL("../../fixtures/handlers/lone_engine.ts", import.meta.url).href,
      folder,
      mark,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(() => processesWith(mark).length === 1, "the handler's process");
  await until(() => processesWith(mark).some(isSpinning), "its spinning");
  engine.kill("SIGKILL");
  await engine.status;
  await until(() => processesWith(mark).length === 0, "its end");
  await Deno.remove(folder, { recursive: true });
});
