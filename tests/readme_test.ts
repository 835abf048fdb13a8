/**
 * The README is held to what is: its snippets are files that are checked elsewhere, its commands exist, and its limits
 * are the constants of the code. `UPDATE=1 deno test -A tests/readme_test.ts` copies files and limits into it.
 */

import { assert, assertEquals } from "@std/assert";
import { loadConfig, version } from "weir";
import { standard } from "weir/plugins";
import { patternLengthMax, textLengthMax } from "../core/config/pattern.ts";
import { bodyBytesMax } from "../core/config/sources.ts";
import { bodyDepthMax } from "../core/domain/body.ts";
import { clockSkewMsMax } from "../core/domain/clock.ts";
import { defaultRetention } from "../core/domain/config.ts";
import { deathsMax } from "../core/domain/delivery.ts";
import { formatDuration } from "../core/domain/duration.ts";
import { keyLengthMax } from "../core/domain/expression.ts";
import { resultLengthMax } from "../core/domain/handler_call.ts";
import { reasonLengthMax } from "../core/domain/outcome.ts";
import { secretBytesMin } from "../core/domain/provider.ts";
import { defaultRetry, retryAfterMsMax } from "../core/domain/retry.ts";
import { bulkRowsMax } from "../core/engine/bulk.ts";
import { freeBytesMin } from "../core/engine/disk_guard.ts";
import { typeLengthMax } from "../core/domain/identity.ts";
import { eventsPerRequestMax } from "../core/engine/intake.ts";
import { janitorEveryMs } from "../core/engine/janitor.ts";
import { attemptsAtOnceMax } from "../core/engine/scheduler.ts";
import { adminBodyBytesMax } from "../core/http/admin.ts";
import { ingressLimits } from "../core/http/ingress.ts";
import { framing } from "../core/http/connection.ts";
import { closeGraceMs, portLimits } from "../core/http/port.ts";
import { headersMax } from "../core/http/request_parser.ts";
import { groupBytesMax, groupItemsMax } from "../core/store/commit_group.ts";
import { eraseBytesMax, eraseRowsMax } from "../core/store/erase.ts";
import { pageRowsMax } from "../core/store/listings.ts";
import { freeBytesKept } from "../core/store/retention.ts";
import { stopGraceMs } from "../core/weir.ts";
import { responseBytesMax } from "../plugins/handlers/http.ts";
import { heapMiBMax } from "../plugins/handlers/script_process.ts";
import { outputCharsMax } from "../plugins/handlers/script_protocol.ts";

const root = new URL("../", import.meta.url);
const readmeUrl = new URL("README.md", root);
const update = Deno.env.get("UPDATE") === "1";

const kib = (bytes: number): string => bytes < 1_048_576 ? `${bytes / 1_024} KiB` : `${bytes / 1_048_576} MiB`;
const count = (n: number): string => n.toLocaleString("en");

const limits: readonly (readonly [string, string])[] = [
  [
    "body of a request (`max_body`)",
    `1 MiB, at most ${kib(bodyBytesMax.local)}; ${kib(bodyBytesMax.remote)} on a remote log`,
  ],
  [
    "time for the head of a request; for its body; to take the answer",
    `${formatDuration(portLimits.headTimeoutMs)}; ${formatDuration(ingressLimits.bodyTimeoutMs)}; ${
      formatDuration(portLimits.answerTimeoutMs)
    }`,
  ],
  [
    "headers; path and query",
    `${headersMax}, ${kib(ingressLimits.headerBytesMax)}; ${count(ingressLimits.urlLengthMax)} characters`,
  ],
  [
    "framing of a chunked body",
    `${kib(framing.freeBytes)}, and ${framing.bytesPerByte} bytes for each byte of the body`,
  ],
  [
    "connections of senders; silence between two requests",
    `${count(portLimits.connectionsMax)}, beyond it the one idle for longest is closed; ${
      formatDuration(portLimits.idleTimeoutMs)
    }`,
  ],
  ["requests in flight", count(ingressLimits.inFlightMax)],
  ["events in one request", count(eventsPerRequestMax)],
  ["nesting of a JSON body", `${bodyDepthMax} levels`],
  [
    "pattern of `matches()`; text that it looks through",
    `${count(patternLengthMax)} characters; ${count(textLengthMax)} characters`,
  ],
  ["idempotency key, ordering key", `${keyLengthMax} characters`],
  ["event type", `${typeLengthMax} characters, the rest is cut`],
  ["secret, at least", `${secretBytesMin} bytes`],
  ["one commit", `${groupItemsMax} operations, ${kib(groupBytesMax)} of bodies`],
  [
    "attempts at once",
    `${attemptsAtOnceMax}, and one that may be fatal; 10 per queue unless \`concurrency\` says otherwise`,
  ],
  [
    "attempts of a delivery",
    `${defaultRetry.attempts} over ${formatDuration(defaultRetry.scheduleMs.reduce((a, b) => a + b))}`,
  ],
  ["`Retry-After`", `believed up to ${formatDuration(retryAfterMsMax)}`],
  ["one attempt", "60s for a handler, 15s for a target, unless `timeout` says otherwise"],
  ["heap of a handler process", `${heapMiBMax} MiB`],
  ["processes that a delivery may take down", `${deathsMax}, then it is dead as poison`],
  ["output kept of an attempt", kib(outputCharsMax)],
  ["result kept of a handler", kib(resultLengthMax)],
  ["answer kept of a target", kib(responseBytesMax)],
  ["reason kept of an attempt", `${count(reasonLengthMax)} characters`],
  ["rows of one page of the API", count(pageRowsMax)],
  ["deliveries or events of one call that acts on many", count(bulkRowsMax)],
  ["body of a request to the API", kib(adminBodyBytesMax)],
  [
    "finished work is kept (`retention`)",
    `events ${formatDuration(defaultRetention.eventsMs)}, attempts ${formatDuration(defaultRetention.attemptsMs)}, ` +
    `dead letters ${formatDuration(defaultRetention.deadMs)}, idempotency keys ${
      formatDuration(defaultRetention.idempotencyMs)
    }`,
  ],
  [
    "one batch of what is erased",
    `${eraseRowsMax} rows, ${kib(eraseBytesMax)} of bodies; a round every ${formatDuration(janitorEveryMs)}`,
  ],
  ["free pages kept in the log's file", `${kib(freeBytesKept)}, the rest goes back to the disk`],
  [
    "free space of the log's disk, at least",
    `${kib(freeBytesMin)} (\`storage.min_free\`), or twice the WAL; below it events are answered 503`,
  ],
  [
    "clocks of engines on one log, how far apart",
    `${formatDuration(clockSkewMsMax)}; beyond it an open breaker, a spent rate limit or a tick is taken for outdated`,
  ],
  [
    "grace of a shutdown; then of requests that are being answered",
    `${formatDuration(stopGraceMs)}; ${formatDuration(closeGraceMs)}`,
  ],
];

/** Commands that only hold others. */
const groups = ["weir events", "weir deliveries", "weir dead", "weir lanes"];

/** README.md as it should be: every marked block is its file, the table of limits is the code's. */
async function expected(readme: string): Promise<string> {
  let text = readme;
  for (const [block, path, fence] of readme.matchAll(/<!-- (\S+) -->\n\n(```\w*)\n[\s\S]*?\n```\n/g)) {
    const file = await Deno.readTextFile(new URL(path!, root));
    text = text.replace(block, () => `<!-- ${path} -->\n\n${fence}\n${file}\`\`\`\n`);
  }
  const table = limits.map(([what, limit]) => `| ${what} | ${limit} |\n`).join("");
  return text.replace(/(\| what +\| limit +\|\n\| -+ \| -+ \|\n)(?:\|.*\n)*/, (_, head) => head + table);
}

/** Without the spaces with which the formatter aligns tables. */
function squeeze(markdown: string): string {
  return markdown.replaceAll(/^\|.*$/gm, (line) => line.replaceAll(/ {2,}/g, " ").replaceAll(/-{3,}/g, "---"));
}

Deno.test("README: its snippets are the files that they name, its limits those of the code", async () => {
  const readme = await Deno.readTextFile(readmeUrl);
  const wanted = await expected(readme);
  if (update) await Deno.writeTextFile(readmeUrl, wanted);
  else assertEquals(squeeze(readme), squeeze(wanted));
});

Deno.test("README: every snippet of code is held to a file", async () => {
  const readme = await Deno.readTextFile(readmeUrl);
  for (const [before] of readme.matchAll(/(?:.*\n){2}```(?:ts|yaml|ini)\n/g)) {
    assert(before.startsWith("<!-- "), before);
  }
});

Deno.test("README: every command exists", async () => {
  const readme = await Deno.readTextFile(readmeUrl);
  const source = await Deno.readTextFile(new URL("cli/main.ts", root));
  const known = new Set([...source.matchAll(/command\("(\w+)/g)].map(([, name]) => name));
  const used = [...readme.matchAll(/(?:^|`)weir ([a-z]+)(?: ([a-z]+))?/gm)].flatMap(([, first, second]) =>
    second !== undefined && ["events", "deliveries", "dead", "lanes"].includes(first!) ? [first!, second] : [first!]
  );
  assertEquals(used.filter((name) => !known.has(name)), []);
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const tasksUsed = [...readme.matchAll(/deno(?:@[\d.]+)? task ([\w:]+)/g)].map(([, name]) => name!);
  assertEquals(tasksUsed.filter((name) => !(name in tasks)), []);
});

Deno.test("README: every command that people call is listed, and every metric that is exported", async () => {
  const readme = await Deno.readTextFile(readmeUrl);
  const source = await Deno.readTextFile(new URL("cli/main.ts", root));
  const commands = [...source.matchAll(/(\w+)\.command\("(\w+)/g)].map(([, group, name]) =>
    group === "weir" ? `weir ${name}` : `weir ${group} ${name}`
  );
  assertEquals(commands.filter((command) => !readme.includes(`\`${command}`) && !groups.includes(command)), []);
  const exporting = await Deno.readTextFile(new URL("core/http/metrics.ts", root));
  const metrics = [...exporting.matchAll(/name: "(\w+)"/g)].map(([, name]) => name!);
  assert(metrics.length > 10 && metrics.every((name) => name.startsWith("weir_")));
  assertEquals(metrics.filter((name) => !readme.includes(`\`${name}\``)), []);
});

Deno.test("README: the routes.yaml of the first route loads", async () => {
  const environment = {
    STRIPE_WHSEC: "whsec_0123456789abcdef",
    WAREHOUSE_SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    LEDGER_NAME: "main",
  };
  const path = new URL("tests/examples/shop/routes.yaml", root).pathname;
  const loaded = await loadConfig(path, { providers: standard().providers, environment });
  assertEquals(loaded.ok ? [] : loaded.issues, []);
  const names = standard().providers.map(({ name }) => name);
  const readme = await Deno.readTextFile(readmeUrl);
  assertEquals(names.filter((name) => !squeeze(readme).includes(`| \`${name}\` |`)), []);
});

Deno.test("version: is the one of deno.json", async () => {
  assertEquals(version, JSON.parse(await Deno.readTextFile(new URL("deno.json", root))).version);
});
