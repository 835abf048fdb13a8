/**
 * `weir demo`, which is what `deno task start` runs: a project made for the occasion, an engine on it, samples signed as
 * their senders would, and the fate of each one as it happens. It asks nothing.
 */

import { join } from "node:path";
import type { Config, Observation } from "../core/mod.ts";
import { runDev } from "./dev.ts";
import type { RunningEngine } from "./engine_process.ts";
import { serveInbox } from "./demo_inbox.ts";
import { writeFiles } from "./init.ts";
import { openLog } from "./log.ts";
import { paint, print, printLater } from "./print.ts";
import { packParcel, post, signParcel } from "./signed_post.ts";
import { demoFiles, demoRounds, type DemoSample } from "./template/demo.ts";
import { count } from "./wording.ts";

/** How far apart the rounds of samples are. */
const roundEveryMs = 5_000;

/** `--once` gives up on fates that are not known by then. */
const fatesMsMax = 60_000;

/** Runs the demo. Returns the exit code. */
export async function demo(options: { dir: string; once?: boolean }): Promise<number> {
  const once = options.once === true || Deno.env.get("WEIR_DEMO_ONCE") === "1";
  const log = openLog({ readable: true });
  const inbox = serveInbox({ port: once ? 0 : freePort(8082), note: (message) => log.note("info", message) });
  try {
    const ports = { listen: freePort(once ? 0 : 8080), admin: freePort(once ? 0 : 8081) };
    const place = { listen: `127.0.0.1:${ports.listen}`, admin: `127.0.0.1:${ports.admin}` };
    await writeFiles(options.dir, demoFiles({ ...place, inbox: inbox.url, inboxSecret: inbox.secret }));
    const config = join(options.dir, "routes.yaml");
    print(`${paint.bold("Weir demo")}: three senders, four routes, in ${options.dir}. Ctrl-C ends it.\n`);

    let fine = true;
    const code = await runDev({
      config,
      log,
      running: (engine) => {
        const fates = watchFates(engine);
        const ended = new AbortController();
        const played = (once ? playOnce(engine, fates) : playRounds(engine, { config, ended: ended.signal }))
          .catch((thrown) => {
            fine = false;
            log.note("error", `the demo's samples: ${(thrown as Error).message}`);
            engine.stop();
          });
        return async () => {
          ended.abort();
          fates.close();
          await played;
        };
      },
    });
    return fine ? code : 1;
  } finally {
    await inbox.close();
  }
}

/** Sends the first round, waits for all its fates, and stops the engine. */
async function playOnce(engine: RunningEngine, fates: Fates): Promise<void> {
  const accepted = await sendRound(engine, demoRounds[0]!);
  const states = await fates.of(accepted);
  const forged = demoRounds[0]!.filter((sample) => sample.forged).length;
  const of = (state: string) => states.filter((one) => one === state).length;
  printLater(
    `\n${count(accepted.length, "event")} accepted, ${count(forged, "forged request")} refused; ` +
      `deliveries: ${of("succeeded")} succeeded, ${of("dead")} dead`,
  );
  engine.stop();
}

/** Sends all rounds, a few seconds apart, and then says what else can be tried. */
async function playRounds(engine: RunningEngine, { config, ended }: { config: string; ended: AbortSignal }) {
  for (const round of demoRounds) {
    await sendRound(engine, round);
    await pause(roundEveryMs, ended);
    if (ended.aborted) return;
  }
  printLater(
    `\nThese were all samples; the engine goes on. In another terminal, from here:\n` +
      `  deno task weir send stripe --config ${config}\n` +
      `  deno task weir dead list --config ${config}\n` +
      `or change ${config} or a handler beside it, and see it reload.\n`,
  );
}

/** Posts samples one after the other. Returns the ids of the events that were accepted. */
async function sendRound(engine: RunningEngine, round: readonly DemoSample[]): Promise<string[]> {
  const accepted: string[] = [];
  for (const sample of round) {
    const receipt = await sendSample(engine, sample);
    if (receipt.accepted === (sample.forged === true)) {
      throw new Error(`${sample.source} ${sample.type} was answered ${receipt.status} ${receipt.text}`);
    }
    accepted.push(...receipt.events.map(({ id }) => id));
  }
  return accepted;
}

async function sendSample({ weir, ingestUrl }: RunningEngine, { source: name, type, set, forged }: DemoSample) {
  const source = sourceOf(weir.config, name);
  const now = Date.now();
  const signed = await signParcel(packParcel(source, { type, set }, now), { source, url: ingestUrl, now });
  return await post(forged ? { ...signed, body: Uint8Array.of(...signed.body, 0x20) } : signed, ingestUrl);
}

function sourceOf(config: Config, name: string) {
  const source = config.sources.get(name);
  if (source?.kind === "http") return source;
  throw new Error(`source ${name} is gone from routes.yaml`);
}

/** What became of the deliveries of events. */
interface Fates {
  /** The final states of all deliveries of these events, once each has one. */
  of(eventIds: readonly string[]): Promise<string[]>;
  close(): void;
}

/** Counts finished deliveries by event, from what the engine tells. */
function watchFates({ weir }: RunningEngine): Fates {
  const expected = new Map<string, number>();
  const finished = new Map<string, string[]>();
  let changed = Promise.withResolvers<void>();
  const unobserve = weir.observe((observation: Observation) => {
    if (observation.kind === "event.received" && observation.status === "accepted") {
      expected.set(observation.eventId, observation.queues.length);
    } else if (observation.kind === "delivery.attempted" && ["succeeded", "dead"].includes(observation.state)) {
      finished.set(observation.eventId, [...finished.get(observation.eventId) ?? [], observation.state]);
    } else return;
    changed.resolve();
    changed = Promise.withResolvers();
  });
  const isKnown = (id: string) => (finished.get(id)?.length ?? 0) >= (expected.get(id) ?? Infinity);
  return {
    async of(eventIds) {
      const limit = AbortSignal.timeout(fatesMsMax);
      while (!eventIds.every(isKnown)) {
        const late = Promise.withResolvers<never>();
        const giveUp = () => late.reject(new Error(`not every fate was known after ${fatesMsMax / 1_000} s`));
        limit.addEventListener("abort", giveUp, { once: true });
        try {
          await Promise.race([changed.promise, late.promise]);
        } finally {
          limit.removeEventListener("abort", giveUp);
        }
      }
      return eventIds.flatMap((id) => finished.get(id) ?? []);
    },
    close: unobserve,
  };
}

/** The port, or any free one when it is taken. */
function freePort(wanted: number): number {
  for (const port of [wanted, 0]) {
    try {
      const listener = Deno.listen({ hostname: "127.0.0.1", port });
      listener.close();
      return listener.addr.port;
    } catch (thrown) {
      if (port === 0 || !(thrown instanceof Deno.errors.AddrInUse)) throw thrown;
    }
  }
  throw new RangeError(`there is no port ${wanted}`);
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ended.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
