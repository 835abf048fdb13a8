import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Permissions } from "../../../core/plugin.ts";
import { failureOf, resultOf, withHandler } from "./script_rig.ts";

/** A handler that means harm: it fails with the true reason, and a harmless attempt succeeds right after it. */
interface Hostile {
  readonly name: string;
  /** The body of the handler; `return` means that it got through. */
  readonly code: string;
  readonly reason: RegExp;
  readonly died?: boolean;
  readonly files?: Record<string, string>;
  readonly permissions?: Partial<Permissions>;
  readonly timeoutMs?: number;
}

const outside = "../outside";
const hostile: Hostile[] = [
  { name: "spins", code: "for (;;);", reason: /^timed out after 2s$/, timeoutMs: 2_000 },
  {
    name: "spins in microtasks",
    code: "for (;;) await null;",
    reason: /^timed out after 2s$/,
    timeoutMs: 2_000,
  },
  { name: "never resolves", code: "await new Promise(() => {});", reason: /^timed out after 2s$/, timeoutMs: 2_000 },
  {
    name: "exhausts its heap",
    code: "const all = []; for (;;) all.push(new Array(10_000).fill({}));",
    reason: /^ran out of memory: its heap is limited to 256 MiB$/,
    died: true,
  },
  {
    name: "exhausts memory outside its heap",
    code:
      "const all = []; for (;;) { all.push(new Uint8Array(1 << 24).fill(1)); await new Promise((r) => setTimeout(r, 5)); }",
    reason: /^ran out of memory: its process held \d+ MiB, at most 512 are allowed$/,
    died: true,
  },
  { name: "calls Deno.exit", code: "Deno.exit(0);", reason: /^called Deno\.exit\(0\)$/ },
  { name: "calls process.exit", code: "process.exit(3);", reason: /^called process\.exit\(3\)$/ },
  { name: "closes itself", code: "self.close();", reason: /^called self\.close\(\)$/ },
  {
    name: "calls Deno.exit and goes on as if nothing were",
    code: "try { Deno.exit(0) } catch { /* go on */ } return 1;",
    reason: /^called Deno\.exit\(0\)$/,
  },
  {
    name: "leaves a rejection unhandled",
    code: "Promise.reject(new Error('nobody looks')); await new Promise((r) => setTimeout(r, 20));",
    reason: /^unhandled rejection: nobody looks \(at handler\.ts:\d+:\d+\)$/,
  },
  {
    name: "throws in a timer and waits for ever",
    code: "setTimeout(() => { throw new RangeError('late') }, 5); await new Promise(() => {});",
    reason: /^uncaught: RangeError: late/,
  },
  { name: "overflows the stack", code: "const f = () => f() + 1; f();", reason: /^RangeError: Maximum call stack/ },
  { name: "kills its own process", code: "process.kill(process.pid, 'SIGKILL');", reason: /process\.kill is not/ },
  { name: "stops its parent", code: "Deno.kill(Deno.ppid, 'SIGSTOP');", reason: /Deno\.kill is not available/ },
  {
    name: "reads a system file",
    code: "return Deno.readTextFileSync('/etc/passwd');",
    reason:
      /^read access to \/etc\/passwd is not granted; add under routes\.payments: permissions: \{ read: \["\/etc\/passwd"\] \}/,
  },
  {
    name: "reads a system file through node:fs",
    code: "return (await import('node:fs')).readFileSync('/etc/passwd', 'utf8');",
    reason: /^read access to \/etc\/passwd is not granted/,
  },
  {
    name: "reads a data file in its own folder",
    code: "return Deno.readTextFileSync(new URL('./data.json', import.meta.url));",
    files: { "data.json": "{}" },
    reason: /^read access to .*data\.json is not granted/,
  },
  {
    name: "reads an outside file",
    code: `return Deno.readTextFileSync(import.meta.dirname + "/${outside}/secret.json");`,
    reason: /^read access to .*secret\.json is not granted/,
  },
  {
    name: "reads its process's environment file",
    code: "return Deno.readTextFileSync('/proc/self/environ');",
    reason: /not granted|Requires all access/,
  },
  { name: "lists the environment", code: "return Deno.env.toObject();", reason: /^env access is not granted; add/ },
  {
    name: "reads a variable it was not granted",
    code: "return Deno.env.get('HOME');",
    permissions: { env: ["OTHER"] },
    reason: /^env access to HOME is not granted; add under routes\.payments: permissions: \{ env: \["HOME"\] \}/,
  },
  {
    name: "imports an outside JSON file, literally",
    code: `return await import("${outside}/secret.json", { with: { type: "json" } });`,
    reason: /^read access to .*secret\.json is not granted/,
  },
  {
    name: "imports an outside JSON file, computed",
    code: `const path = "${outside}/secret.json"; return await import(path, { with: { type: "json" } });`,
    reason: /^read access to .*secret\.json is not granted/,
  },
  {
    name: "imports an outside JSON file from evaluated code",
    code:
      `return await new Function("url", 'return import(url, { with: { type: "json" } })')(new URL("${outside}/secret.json", import.meta.url).href);`,
    reason: /^read access to .*secret\.json is not granted/,
  },
  {
    name: "imports an outside text file",
    code: `return await import("${outside}/secret.json", { with: { type: "text" } });`,
    reason: /^read access to .*secret\.json is not granted/,
  },
  {
    name: "imports an outside file as bytes",
    code: `return await import("${outside}/secret.json", { with: { type: "bytes" } });`,
    reason: /cannot import|bytes/,
  },
  {
    name: "imports outside code",
    code: `return await import("${outside}/secret.ts");`,
    reason: /code is imported from the handler's own folder .* only/,
  },
  {
    name: "imports outside code through a link",
    code: `return await import("./link.ts");`,
    reason: /code is imported from the handler's own folder .* only/,
  },
  {
    name: "imports code from a data URL",
    code: `return await import("data:text/javascript,export default 1");`,
    reason: /cannot import "data:/,
  },
  {
    name: "imports code from the network",
    code: `return await import("http://127.0.0.1:9/x.ts");`,
    reason: /cannot import "http:/,
  },
  { name: "imports a package", code: `return await import("npm:kysely");`, reason: /bundle packages into a file/ },
  { name: "requires", code: "return (await import('node:module')).createRequire", reason: /may not use this built-in/ },
  { name: "starts threads", code: "return await import('node:worker_threads');", reason: /may not use this built-in/ },
  { name: "starts a worker", code: "return new Worker('./handler.ts', { type: 'module' });", reason: /Worker/ },
  {
    name: "takes a built-in by the back door",
    code: "return process.getBuiltinModule('node:worker_threads').Worker;",
    reason: /process\.getBuiltinModule is not available/,
  },
  {
    name: "takes a built-in by the named back door",
    code: "return (await import('node:process')).getBuiltinModule('node:worker_threads').Worker;",
    reason: /is not a function/,
  },
  {
    name: "rewrites what the guard might ask",
    code: `
      Set.prototype.has = () => true;
      String.prototype.startsWith = () => false;
      RegExp.prototype.test = () => true;
      Object.defineProperty(URL.prototype, "href", { get: () => "node:worker_threads" });
      globalThis.URL = class { href = "node:worker_threads" };
      Array.prototype.some = () => true;
      const worker = await import("node:worker_threads").catch(() => import("./other.ts"));
      return worker;`,
    reason: /cannot import "\.\/other\.ts"/,
  },
  {
    name: "looks for the runtime's internals",
    code: "return Deno[Deno.internal].core.ops;",
    reason: /Cannot read properties of undefined/,
  },
  {
    name: "opens a socket it was not granted",
    code: "return await (await fetch('http://127.0.0.1:4321/')).text();",
    permissions: { net: ["api.example.com:443"] },
    reason:
      /^net access to 127\.0\.0\.1:4321 is not granted; add under routes\.payments: permissions: \{ net: \["127\.0\.0\.1:4321"\] \}/,
  },
  {
    name: "starts a program",
    code: "return new Deno.Command('/bin/true').outputSync();",
    reason: /^run access to \/bin\/true is not granted and cannot be/,
  },
  {
    name: "writes a file",
    code: "return Deno.writeTextFileSync(import.meta.dirname + '/x', '');",
    permissions: { read: ["/"] },
    reason: /^write access to .* is not granted and cannot be/,
  },
  {
    name: "throws what cannot be described",
    code: "throw { toString() { throw 1 } };",
    reason: /^thrown: /,
  },
  {
    name: "forges a message to the host",
    code: "self.postMessage([{ kind: 'done', nonce: '', outcome: 'succeeded', output: '' }]);",
    reason: /postMessage is not a function/,
  },
  {
    name: "rewrites prototypes to forge its success",
    code: `
      JSON.stringify = () => '"forged"';
      MessagePort.prototype.postMessage = function () {};
      Promise.prototype.then = function () { return this; };
      Array.prototype.map = () => ["forged"];
      throw new Error("the truth");`,
    reason: /^the truth/,
  },
  {
    name: "rewrites bytes and lists to swallow reports",
    code: `
      const bytes = Object.getPrototypeOf(Uint8Array.prototype);
      const { get } = Object.getOwnPropertyDescriptor(bytes, "length");
      Object.defineProperty(bytes, "length", { configurable: true, get() { const n = get.call(this); return n > 20 ? 0 : n; } });
      Uint8Array.prototype.subarray = Uint8Array.prototype.slice = () => new Uint8Array();
      Array.prototype.shift = Array.prototype.push = () => undefined;
      throw new Error("the truth");`,
    reason: /^the truth/,
  },
];

for (const { name, code, reason, died, files, permissions, timeoutMs } of hostile) {
  Deno.test(`createScriptRunner: a handler that ${name} fails with the true reason and harms nobody`, async () => {
    const handler =
      `// @ts-nocheck\nexport default async (event) => {\n  if (event.body.good) return "fine";\n${code}\n};\n`;
    await withHandler({ files: { ...files, "handler.ts": handler }, permissions, timeoutMs }, async (rig) => {
      await Deno.mkdir(`${rig.folder}/${outside}`);
      await Deno.writeTextFile(`${rig.folder}/${outside}/secret.json`, `{"token":"hunter2"}`);
      await Deno.writeTextFile(`${rig.folder}/${outside}/secret.ts`, `export const token = "hunter2";`);
      await Deno.symlink(`${outside}/secret.ts`, `${rig.folder}/link.ts`);
      const failure = failureOf(await rig.run());
      assertMatch(failure.reason, reason);
      assertEquals(failure.died, died);
      assert(!JSON.stringify(failure).includes("hunter2"));
      const good = resultOf(await rig.run({}, { body: { good: true } }));
      assertEquals(good, '"fine"');
    });
  });
}

Deno.test("createScriptRunner: a flood on stdout and stderr hurts nobody, a flood on the console is cut", async () => {
  const handler = `
    const megabyte = new Uint8Array(1 << 20).fill(97);
    export default (event) => {
      if (event.body.good) return "fine";
      for (let i = 0; i < 50; i++) { Deno.stdout.writeSync(megabyte); Deno.stderr.writeSync(megabyte); }
      for (let i = 0; i < 10_000; i++) console.log("a line of some forty characters, number", i);
      return "flooded";
    };`;
  await withHandler({ files: { "handler.ts": handler } }, async (rig) => {
    const [flood, ...good] = await Promise.all([
      rig.run(),
      ...Array.from({ length: 5 }, () => rig.run({}, { body: { good: true } })),
    ]);
    assertEquals(flood.outcome, { kind: "succeeded", result: '"flooded"' });
    assert(flood.output!.length < 70_000);
    assertMatch(flood.output!, /… \d+ more characters were cut\n$/);
    for (const { outcome } of good) assertEquals(outcome, { kind: "succeeded", result: '"fine"' });
  });
});

Deno.test("createScriptRunner: who had not begun when another began to spin is interrupted, and need not run alone", async () => {
  const handler = `export default (event) => {
    if (event.body.spin) for (;;);
    return "done";
  };`;
  await withHandler({ files: { "handler.ts": handler }, timeoutMs: 2_000 }, async (rig) => {
    // More than there are places to note who has begun; each is given back.
    for (let n = 0; n < 3; n++) await Promise.all(Array.from({ length: 400 }, () => rig.run({}, { body: {} })));
    const bodies = [{ spin: true }, {}, {}];
    const [spinning, one, two] = await Promise.all(
      bodies.map((body, at) => rig.run({ deliveryId: `dlv_${at}` }, { body })),
    );
    assertEquals(spinning!.outcome, { kind: "failed", reason: "timed out after 2s" });
    assertEquals([one!.outcome.kind, two!.outcome.kind], ["interrupted", "interrupted"]);
    const again = await Promise.all([1, 2].map((at) => rig.run({ deliveryId: `dlv_${at}` }, { body: {} })));
    assertEquals([again.map(resultOf), rig.pids().length], [[`"done"`, `"done"`], 1]);
  });
});

Deno.test("createScriptRunner: who spins past its time has timed out, although it returns before it is killed", async () => {
  const handler = `export default () => {
    for (const end = performance.now() + 2_100; performance.now() < end;);
    return "late";
  };`;
  await withHandler({ files: { "handler.ts": handler }, timeoutMs: 2_000 }, async (rig) => {
    assertEquals((await rig.run()).outcome, { kind: "failed", reason: "timed out after 2s" });
  });
});

Deno.test("createScriptRunner: of several that had begun nobody is blamed for the one that spins, and each runs alone", async () => {
  const handler = `export default async (event) => {
    if (event.body.spin) for (;;);
    if (event.body.wait) await new Promise((resolve) => setTimeout(resolve, 500));
    return "done";
  };`;
  await withHandler({ files: { "handler.ts": handler }, timeoutMs: 2_000 }, async (rig) => {
    const runBoth = () => [
      rig.run({ deliveryId: "dlv_waits" }, { body: { wait: true } }),
      rig.run({ deliveryId: "dlv_spins" }, { body: { spin: true } }),
    ];
    const first = await Promise.all([...runBoth(), rig.run({}, { body: {} })]);
    const reason = "its process stood still and was killed; the next time it runs alone";
    assertEquals(first.map(({ outcome }) => outcome), [
      { kind: "interrupted", reason },
      { kind: "interrupted", reason },
      { kind: "interrupted", reason: "its process was killed because of another attempt" },
    ]);
    const [waits, spins] = await Promise.all(runBoth());
    assertEquals(resultOf(waits!), `"done"`);
    assertEquals(spins!.outcome, { kind: "failed", reason: "timed out after 2s" });
  });
});

for (const ends of ["return event.body.n;", "return (async () => event.body.n)();", "throw event.body.n;"]) {
  Deno.test(`createScriptRunner: who ends by \`${ends}\` is reported though the one that came with it spins`, async () => {
    const handler = `export default (event) => {
      if (event.body.spin) for (;;);
      ${ends}
    };`;
    await withHandler({ files: { "handler.ts": handler }, timeoutMs: 2_000 }, async (rig) => {
      const first = await rig.run({}, { body: { n: 7 } });
      const bodies = [{ n: 7 }, { n: 7 }, { spin: true }];
      const [one, two, spinning] = await Promise.all(bodies.map((body) => rig.run({}, { body })));
      assertEquals([one!.outcome, two!.outcome], [first.outcome, first.outcome]);
      assertEquals(failureOf(spinning!).reason, "timed out after 2s");
    });
  });
}

Deno.test("createScriptRunner: who has ended is reported though the one that came with it takes the process down", async () => {
  const handler = `export default async (event) => {
    if (event.body.n !== undefined) return event.body.n;
    const kept = [];
    for (;;) kept.push(new Array(1_000).fill(kept.length));
  };`;
  await withHandler({ files: { "handler.ts": handler } }, async (rig) => {
    await rig.run({}, { body: { n: 0 } });
    const [one, two] = await Promise.all([rig.run({}, { body: { n: 1 } }), rig.run({}, { body: {} })]);
    assertEquals(resultOf(one), "1");
    assertEquals(failureOf(two).died, true);
  });
});

Deno.test("createScriptRunner: a death from outside fails every attempt in the process and says how it died", async () => {
  const files = {
    "handler.ts": `export default async (event) => {
      if (event.body.first) return 1;
      await new Promise(() => {});
    };`,
  };
  await withHandler({ files }, async (rig) => {
    await rig.run({}, { body: { first: true } });
    const runs = [rig.run(), rig.run()];
    Deno.kill(rig.pids()[0]!, "SIGKILL");
    for (const report of await Promise.all(runs)) {
      assertEquals(failureOf(report), { kind: "failed", reason: "its process was killed by SIGKILL", died: true });
    }
  });
});
