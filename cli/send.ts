/**
 * `weir send`: posts an event as its sender would, signed by the provider's own `sign`, and follows what becomes of it.
 */

import type { Config, DeliveryView, HttpSource } from "../core/mod.ts";
import { type Client, connect, type EngineOptions, localUrl } from "./client.ts";
import { Failure, UsageError } from "./failure.ts";
import { escapeControls, paint, print, printError, printJson } from "./print.ts";
import { loadProject, printIssues } from "./project.ts";
import { packParcel, type Parcel, post, type Receipt, signParcel } from "./signed_post.ts";
import { describeCounts, describeWait, paintState, queueOf } from "./wording.ts";

/** How `weir send` was called. */
export interface SendOptions extends EngineOptions {
  /** File with the body; `-` is stdin. */
  readonly data?: string;
  /** `path=value`, the value being JSON or else text. */
  readonly set?: readonly string[];
  readonly id?: string;
  /** Where the engine takes events, when it is not the address of routes.yaml. */
  readonly url?: string;
  readonly json?: boolean;
}

/** How long the deliveries are followed, and how often they are looked at. */
const followMsMax = 60_000;
const lookEveryMs = 100;

/** A delivery that stands behind others is given this long to get its turn before it is reported as waiting. */
const blockedMsMax = 3_000;

/** Sends one request. Exit code 1 when it was refused or a delivery of it is dead. */
export async function send(sourceName: string, type: string | undefined, options: SendOptions): Promise<number> {
  const project = await loadProject(options.config);
  if (!project.ok) {
    printIssues(project.issues);
    return 1;
  }
  const source = findSource(project.config, sourceName);
  const now = Date.now();
  const parcel = await pack(source, type, options, now);
  const { listen, publicUrl } = project.config.server;
  const url = (options.url ?? localUrl(listen)).replace(/\/+$/, "");
  if (!URL.canParse(url)) throw new UsageError(`--url must be a URL, got ${JSON.stringify(url)}`);
  const receipt = await signAndPost(parcel, { source, url, publicUrl, now });
  if (!options.json) printReceipt(receipt, parcel, source);
  if (!receipt.accepted) {
    if (options.json) printJson({ accepted: false, status: receipt.status, answer: receipt.text });
    return 1;
  }
  const followed = await follow(receipt, { source, parcel, now, options });
  if (options.json) printJson({ accepted: true, status: receipt.status, answer: receipt.text, deliveries: followed });
  return followed.some((row) => row.state === "dead") ? 1 : 0;
}

function findSource(config: Config, name: string): HttpSource {
  const source = config.sources.get(name);
  if (source?.kind === "http") return source;
  if (source?.kind === "cron") {
    const { schedule, timezone } = source;
    throw new Failure(
      `source ${name} is a cron source: nobody sends to it, it ticks by itself, ${schedule} ${timezone}`,
    );
  }
  if (source !== undefined) {
    throw new Failure(`source ${name} has no path: only the program itself publishes under it`);
  }
  const known = [...config.sources.values()].filter((source) => source.kind === "http").map((source) => source.name);
  throw new Failure(`there is no source ${name}; routes.yaml has ${known.join(", ") || "none that takes requests"}`);
}

async function pack(source: HttpSource, type: string | undefined, options: SendOptions, now: number): Promise<Parcel> {
  const set = (options.set ?? []).map(parseSetting);
  const data = options.data === undefined ? undefined : await readData(options.data);
  try {
    return packParcel(source, { type, id: options.id, data, set }, now);
  } catch (thrown) {
    if (thrown instanceof TypeError) throw new UsageError(thrown.message);
    throw thrown;
  }
}

function parseSetting(text: string): [string, unknown] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new UsageError(`--set needs path=value, got ${JSON.stringify(text)}`);
  const value = text.slice(equals + 1);
  try {
    return [text.slice(0, equals), JSON.parse(value)];
  } catch {
    return [text.slice(0, equals), value];
  }
}

async function readData(file: string): Promise<Uint8Array> {
  if (file === "-") return await new Response(Deno.stdin.readable).bytes();
  try {
    return await Deno.readFile(file);
  } catch (thrown) {
    throw new UsageError(`--data: cannot read ${file}: ${(thrown as Error).message}`);
  }
}

async function signAndPost(
  parcel: Parcel,
  { source, url, publicUrl, now }: { source: HttpSource; url: string; publicUrl?: string; now: number },
): Promise<Receipt> {
  const signed = await orFail(() => signParcel(parcel, { source, url: publicUrl ?? url, now }), (why) => why);
  return await orFail(
    () => post(signed, url),
    (why) => `nothing answers at ${url}: is \`weir serve\` running? (${why})`,
  );
}

/** Runs what may fail for a reason outside this program, and says so in the words given. */
async function orFail<Value>(act: () => Promise<Value>, words: (why: string) => string): Promise<Value> {
  try {
    return await act();
  } catch (thrown) {
    throw new Failure(words((thrown as Error).message));
  }
}

function printReceipt(receipt: Receipt, parcel: Parcel, source: HttpSource): void {
  const mark = receipt.accepted ? paint.green(`${receipt.status}`) : paint.red(`${receipt.status}`);
  print(`POST ${source.path} ${escapeControls(parcel.type)} ${paint.dim(parcel.id)}`);
  print(`${mark} ${escapeControls(receipt.text.trim())}`.trimEnd());
}

/** Prints every change of the request's deliveries until each is finished or waits. */
async function follow(
  receipt: Receipt,
  sent: { source: HttpSource; parcel: Parcel; now: number; options: SendOptions },
): Promise<DeliveryView[]> {
  const rows: DeliveryView[] = [];
  try {
    const client = await connect(sent.options);
    const ids = receipt.events.length > 0 ? receipt.events.map(({ id }) => id) : await findEvents(client, sent);
    for (const id of ids) rows.push(...await followEvent(client, id, sent.options));
  } catch (thrown) {
    // The event is in the log all the same: not seeing it is no failure of what was asked.
    if (!(thrown instanceof Failure)) throw thrown;
    printError(paint.dim(`what became of it cannot be followed: ${thrown.message}`));
  }
  return rows;
}

/** The events of a request whose answer does not name them: a sender that wants an answer of its own. */
async function findEvents(
  client: Client,
  { source, parcel, now }: { source: HttpSource; parcel: Parcel; now: number },
): Promise<string[]> {
  const { rows } = await client.events({ source: source.name, limit: 20 });
  const keyed = rows.filter((row) => row.idempotencyKey === parcel.id);
  return (keyed.length > 0 ? keyed : rows.filter((row) => row.receivedAt >= now)).map((row) => row.id);
}

async function followEvent(client: Client, id: string, { json }: SendOptions): Promise<readonly DeliveryView[]> {
  const startedAt = Date.now();
  const printed = new Map<string, string>();
  while (true) {
    const event = await client.event(id);
    if (!json && event.deliveryRows.length === 0) print(`${id} ${paint.yellow(describeCounts({}))}`);
    const now = Date.now();
    for (const row of event.deliveryRows) {
      const state = `${row.state} ${row.failures}`;
      if (json || printed.get(row.id) === state) continue;
      printed.set(row.id, state);
      printStep(row, now);
    }
    const waited = now - startedAt;
    if (event.deliveryRows.every((row) => isSettled(row, waited)) || waited > followMsMax) return event.deliveryRows;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

/** Whether nothing more will happen to a delivery soon. */
function isSettled(row: DeliveryView, waitedMs: number): boolean {
  if (row.state === "running") return false;
  if (row.state === "ready") return row.failures > 0;
  return row.state !== "blocked" || waitedMs > blockedMsMax;
}

function printStep(row: DeliveryView, now: number): void {
  const why = describeWait(row, now);
  const state = row.state === "ready" ? (row.failures > 0 ? "waiting" : "ready") : row.state;
  const lane = row.lane === undefined ? "" : ` [${escapeControls(row.lane)}]`;
  print(
    `  ${paint.bold(escapeControls(queueOf(row)))}${lane} ${paintState(state, row.state)}${
      row.executions > 0 ? `, attempt ${row.executions}` : ""
    }${why === "" ? "" : `: ${escapeControls(why)}`}  ${paint.dim(row.id)}`,
  );
}
