/**
 * The compiled binary on the walk that `deno run` does elsewhere, from an empty folder with only routes.yaml and
 * plugins/ beside it. Where no base for `deno compile` can be had, the test is skipped and says why.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { sign as signAsGithub } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import { type CommandOptions, runWeir, startWeir } from "../cli/command_line.ts";
import { compileWeir, findCompileBase } from "../support/compile_base.ts";
import { createProject } from "../support/project.ts";
import { until } from "../support/until.ts";
import { findProcesses } from "./process_table.ts";

const githubSecret = "the secret of a repository's hook";
const appSecret = `whsec_${btoa("a".repeat(32))}`;

/** Handlers in the part of TypeScript that is JavaScript, so that a base that reads no other runs them too. */
const handlers = {
  issues: `import { greet } from "./greeting.js";
export default (event, ctx) => {
  ctx.log("in the sandbox");
  return greet(event.body.issue.number, ctx.attempt);
};`,
  nosy: `export default async () => await Deno.readTextFile("/etc/passwd");`,
  spin: `export default () => { for (;;); };`,
};

function routesYaml(inbox: string, extension: string): string {
  return `version: 1
server: { listen: 127.0.0.1:0, admin: 127.0.0.1:0 }
storage: { url: file:weir.db }
sources:
  github: { provider: github, secret: "\${GITHUB_SECRET}" }
  app: { provider: standard_webhooks, secret: "\${APP_SECRET}" }
routes:
  issues: { from: github, on: "issues.*", order_by: body.issue.number, handler: plugins/issues.${extension} }
  nosy: { from: app, on: pry, handler: plugins/nosy.${extension}, retry: { attempts: 2, schedule: [20ms] } }
  spin: { from: app, on: spin, handler: plugins/spin.${extension}, timeout: 1m }
  copies:
    from: app
    on: order.paid
    retry: { attempts: 5, schedule: [20ms] }
    send:
      - { name: first, url: "${inbox}/first" }
      - { name: second, url: "${inbox}/second" }
`;
}

/** Two targets of which the second fails twice. */
function serveInbox() {
  const seen: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    await request.body?.cancel();
    const { pathname } = new URL(request.url);
    seen.push(pathname);
    const fails = pathname === "/second" && seen.filter((path) => path === pathname).length <= 2;
    return new Response(null, { status: fails ? 500 : 204 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function post(url: string, body: string, headers: Record<string, string>): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  await response.body?.cancel();
  return response.status;
}

async function postAsGithub(ingestUrl: string, body: string, signed = body): Promise<number> {
  return await post(`${ingestUrl}/hooks/github`, body, {
    "x-github-event": "issues",
    "x-github-delivery": crypto.randomUUID(),
    "x-hub-signature-256": await signAsGithub(githubSecret, signed),
  });
}

async function postAsApp(ingestUrl: string, type: string): Promise<number> {
  const body = JSON.stringify({ type, data: { id: "o1" } });
  const id = crypto.randomUUID();
  const now = new Date();
  return await post(`${ingestUrl}/hooks/app`, body, {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
    "webhook-signature": new Webhook(appSecret).sign(id, now, body),
  });
}

const base = await findCompileBase();
const name = "missing" in base
  ? `weir, compiled: skipped, ${base.missing}`
  : `weir, compiled with Deno ${base.version}: the whole walk from an empty folder, through a kill -9`;

Deno.test({
  name,
  // The children of the killed engine are looked up in /proc.
  ignore: "missing" in base || Deno.build.os !== "linux",
  async fn() {
    if ("missing" in base) return;
    await using built = await createProject({});
    const binary = built.path("weir");
    await compileWeir(base, binary);
    await using inbox = serveInbox();
    const extension = base.isCurrent ? "ts" : "js";
    await using project = await createProject({
      "routes.yaml": routesYaml(inbox.url, extension),
      [`plugins/greeting.js`]: "export const greet = (number, attempt) => ({ number, attempt });",
      ...Object.fromEntries(
        Object.entries(handlers).map(([name, text]) => [`plugins/${name}.${extension}`, text]),
      ),
    });
    await using scratch = await createProject({});
    const options: CommandOptions = {
      binary,
      cwd: project.path("."),
      env: {
        GITHUB_SECRET: githubSecret,
        APP_SECRET: appSecret,
        TMPDIR: scratch.path("."),
        ...(base.isCurrent ? {} : { WEIR_UNGUARDED_IMPORTS: "1" }),
      },
    };
    const withEngine = (env: Readonly<Record<string, string>>) => ({ ...options, env: { ...options.env, ...env } });

    const [checked, version, misused] = await Promise.all([
      runWeir(["check"], options),
      runWeir(["--version"], options),
      runWeir(["serv"], options),
    ]);
    assertEquals([checked.code, checked.err, version.code, misused.code], [0, "", 0, 2]);
    assertMatch(checked.out, /2 sources, 4 routes/);

    await using killed = await startWeir(["serve"], options);
    const issue = JSON.stringify({ action: "opened", issue: { number: 42 } });
    assertEquals(await postAsGithub(killed.ingestUrl, issue), 202);
    assertEquals(await postAsGithub(killed.ingestUrl, issue, `${issue} `), 401);
    assertEquals(await postAsApp(killed.ingestUrl, "order.paid"), 202);
    assertEquals(await postAsApp(killed.ingestUrl, "pry"), 202);
    await killed.line(/"queue":"issues".*"state":"succeeded"/);
    await killed.line(/"queue":"copies\/first".*"state":"succeeded"/);
    await killed.line(/"queue":"copies\/second".*"attempt":3.*"state":"succeeded"/);
    await killed.line(/"queue":"nosy".*"attempt":2.*"state":"dead"/);
    assertEquals(inbox.seen.toSorted(), ["/first", "/second", "/second", "/second"]);

    const list = async (...args: string[]) => {
      const { code, out, err } = await runWeir([...args, "--json"], withEngine(killed.env));
      assertEquals([code, err], [0, ""]);
      return JSON.parse(out).rows;
    };
    const [events, deliveries, [letter, ...others]] = await Promise.all([
      list("events", "list"),
      list("deliveries", "list"),
      list("dead", "list"),
    ]);
    assertEquals([events.length, deliveries.length, letter.route, others.length], [3, 4, "nosy", 0]);
    assertMatch(JSON.stringify(letter), /permissions: \{ read: /);
    const [handled] = deliveries.filter((row: { route: string }) => row.route === "issues");
    const shown = await runWeir(["deliveries", "show", handled.id, "--json"], withEngine(killed.env));
    const { result } = JSON.parse(shown.out);
    assertEquals([handled.lane, JSON.parse(result)], ["42", { number: 42, attempt: 1 }]);

    assertEquals(await postAsApp(killed.ingestUrl, "spin"), 202);
    const child = await until("a handler of the engine spins", async () => {
      const rows = await list("deliveries", "list", "--state", "running");
      return rows.length === 1 && findProcesses(scratch.path(".")).find(({ parent }) => parent === killed.pid);
    });
    const command = await Deno.readTextFile(`/proc/${child.pid}/cmdline`);
    assertEquals(command.split("\0").slice(0, 2), [binary, "__script_host"]);
    killed.kill("SIGKILL");
    await killed.status;
    await until("no process outlives its engine", () => findProcesses(scratch.path(".")).length === 0);

    await Deno.writeTextFile(join(project.path("plugins"), `spin.${extension}`), `export default () => "at rest";`);
    await using resumed = await startWeir(["serve"], options);
    await resumed.line(/"queue":"spin".*"state":"succeeded"/);
    const again = await runWeir(["dead", "redeliver", "--all"], withEngine(resumed.env));
    assertEquals(again.code, 0, again.err);
    resumed.kill("SIGTERM");
    assertEquals((await resumed.status).code, 0);
    assertEquals(findProcesses(scratch.path(".")), []);
    assertEquals((await runWeir(["status"], withEngine(resumed.env))).code, 1);

    const init = await runWeir(["init"], { ...options, cwd: scratch.path(".") });
    const checkedAgain = await runWeir(["check"], { ...options, cwd: scratch.path(".") });
    assertEquals([init.code, checkedAgain.code, checkedAgain.err], [0, 0, ""]);
    assert((await Deno.readTextFile(scratch.path("plugins/hello.ts"))).includes("satisfies Handler"));
  },
});
