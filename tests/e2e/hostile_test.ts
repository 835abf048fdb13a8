/**
 * A whole engine with handlers that do their worst: it keeps answering, every attempt fails with its true reason, a
 * well-behaved neighbour is not disturbed, and nothing of it is left when the engine has stopped.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { createWeir, type Observation } from "weir";
import { standard } from "weir/plugins";
import { until } from "../support/until.ts";

/** What each does, and the reason that its attempt must be given. */
const hostile: Readonly<Record<string, { code: string; reason: RegExp }>> = {
  spins: { code: "for (;;);", reason: /^timed out after 3s/ },
  hogs: { code: "const all = []; for (;;) all.push(new Array(1e6).fill({}));", reason: /memory/ },
  exits: { code: "Deno.exit(0);", reason: /^called Deno\.exit\(0\)/ },
  rejects: {
    code: 'Promise.reject(new Error("nobody listens")); await new Promise((resolve) => setTimeout(resolve, 500));',
    reason: /^unhandled rejection: nobody listens/,
  },
  floods: {
    code:
      'const line = new Uint8Array(1 << 20).fill(97); for (let i = 0; i < 50; i++) Deno.stdout.writeSync(line); throw new Error("flooded");',
    reason: /^flooded/,
  },
  reads: { code: 'await Deno.readTextFile("/etc/passwd");', reason: /read access to .*\/etc\/passwd.* is not granted/ },
  pries: { code: 'return Deno.env.get("GITHUB_SECRET");', reason: /env(ironment)? .*GITHUB_SECRET.* is not granted/ },
  steals: {
    code: 'await Deno.readFile(new URL("../weir.db", import.meta.url));',
    reason: /read access to .*weir\.db.* is not granted/,
  },
  neighbours: {
    code: 'await Deno.readTextFile(new URL("./good.ts", import.meta.url));',
    reason: /read access to .*good\.ts.* is not granted/,
  },
  dials: {
    code: 'await fetch("http://127.0.0.1:6379/");',
    reason: /net access to .*127\.0\.0\.1:6379.* is not granted/,
  },
  spawns: { code: 'await new Deno.Command("/bin/true").output();', reason: /run access/ },
};

Deno.test({
  name: "engine: keeps answering whatever its handlers do, and says what they did",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "weir-hostile-" });
    const mark = crypto.randomUUID();
    await Deno.mkdir(`${folder}/plugins`);
    const names = Object.keys(hostile);
    for (const [name, { code }] of Object.entries(hostile)) {
      await Deno.writeTextFile(
        `${folder}/plugins/${name}.ts`,
        `// @ts-nocheck\nexport default async () => {\n${code}\n};\n`,
      );
    }
    await Deno.writeTextFile(`${folder}/plugins/good.ts`, "export default (event: any) => event.body.n;\n");
    const route = (name: string) => ({
      from: "none",
      on: name,
      handler: `${folder}/plugins/${name}.ts`,
      permissions: { env: ["HOSTILE_MARK"] },
      timeout: name === "spins" ? "3s" : "30s",
      retry: { attempts: 1 },
    });
    const weir = await createWeir({
      ...standard(),
      environment: { HOSTILE_MARK: mark },
      config: {
        version: 1,
        server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0" },
        storage: { url: `file:${folder}/weir.db` },
        sources: { none: { provider: "none", type: 'headers["x-type"]' } },
        routes: Object.fromEntries([...names, "good"].map((name) => [name, route(name)])),
      },
    });
    const ended = new Map<string, Observation & { kind: "delivery.attempted" }>();
    let good = 0;
    weir.observe((o) => {
      if (o.kind !== "delivery.attempted") return;
      if (o.queue === "good") good += o.state === "succeeded" ? 1 : 0;
      else ended.set(o.queue, o);
    });
    await weir.start();
    const { ingest } = await weir.listen();
    const post = async (type: string): Promise<number> => {
      const response = await fetch(`http://127.0.0.1:${ingest.port}/hooks/none`, {
        method: "POST",
        body: `{"n":1}`,
        headers: { "content-type": "application/json", "x-type": type },
      });
      await response.body?.cancel();
      return response.status;
    };
    try {
      const answers = await Promise.all(names.map(post));
      assertEquals(answers, names.map(() => 202));
      let asked = 0;
      await until("every hostile attempt has ended", async () => {
        assertEquals(await post("good"), 202);
        asked++;
        return ended.size === names.length;
      });
      await until("the good ones have all succeeded", () => good === asked);
      for (const [name, { reason }] of Object.entries(hostile)) {
        assertEquals(ended.get(name)!.state, "dead", name);
        assertMatch(ended.get(name)!.reason!.replace("failed 1 of 1 attempts; ", ""), reason);
      }
    } finally {
      await weir.stop({ graceMs: 0 });
    }
    assertEquals(processesWith(mark), []);
    await Deno.remove(folder, { recursive: true });
  },
});

/** Living processes that have a text in their environment. */
function processesWith(mark: string): string[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((pid) => {
    try {
      return /^\d+$/.test(pid) && Number(pid) !== Deno.pid &&
        Deno.readTextFileSync(`/proc/${pid}/environ`).includes(mark);
    } catch {
      return false; // gone meanwhile
    }
  });
}
