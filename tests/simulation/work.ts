/**
 * What handlers and targets do in a simulation: they take some time, succeed or fail as the event's plan and the
 * seed say, and write down what they saw. The engine's own word is never asked.
 */

import type { Attempt, Handler, Runner } from "../../core/domain/handler.ts";
import type { Outcome } from "../../core/domain/outcome.ts";
import { queueName, type Route } from "../../core/domain/config.ts";
import type { Rate } from "../../core/domain/duration.ts";
import { type EngineLife, epochMs, goesWrong, never, reach, type World } from "./world.ts";

/** For so long after the wall clock was set, batches that were made before may still arrive with the old time. */
const strayMs = 90_000;

/** The body of a simulated event. */
export interface SimulatedBody {
  readonly id: string;
  readonly key: unknown;
  /** Attempts that fail before one succeeds; null for never. */
  readonly fails: number | null;
  readonly rejects: boolean;
  /** No route can tell whether it takes it. */
  readonly vague: boolean;
  readonly version: number;
}

/** What `skip_older` makes of a body's version, in one configuration and in the next: one runs up where the other runs down. */
export const versionScales: readonly ((version: number) => number)[] = [
  (version) => version,
  (version) => 20.5 - version,
];

/** One call of a handler or a target. */
interface Call {
  readonly queue: string;
  readonly route: string;
  readonly deliveryId: string;
  /** The lane that the engine says it is in: its word, which the checker holds against the body. */
  readonly lane: string | null;
  readonly attempt: number;
  readonly body: SimulatedBody;
  readonly receivedAt: number;
  readonly timeoutMs: number;
  /** Dies with its engine, as a handler does; a request to a target does not. */
  readonly mortal: boolean;
  readonly signal: AbortSignal;
}

/** What is remembered of a delivery from one run to the next. */
interface Remembered {
  readonly attempt: number;
  readonly endedAt: number;
  readonly delayMsMin: number;
  /** What it asked for by itself; forgotten when the engine died, or was taken for dead, before it was written. */
  readonly askedMs: number;
  readonly engine: EngineLife;
  /** The engine's label then, and whether it reached the log. */
  readonly label: string;
  readonly wasSilent: boolean;
}

/** The hands that do the work of one world. */
export interface Workshop {
  /** The handler of an inline route. */
  handler(engine: EngineLife, route: string): Handler;
  /** A runner for a script or a target. */
  runner(engine: EngineLife, spec: { route: string; target?: string; timeoutMs: number }): Runner;
  /** How each run ended, by delivery, as far as it did. */
  readonly outcomes: ReadonlyMap<string, readonly Ended[]>;
  /** What ran for each claim, by delivery and number of the claim. */
  readonly ran: ReadonlyMap<string, Ran>;
}

/** What ran for one claim. */
export interface Ran {
  readonly run: string;
  readonly startedAt: number;
  /** How it ended as its engine was told; undefined when it was cut off. `stopped`: it was told to. */
  ended?: "succeeded" | "failed" | "rejected" | "died" | "stopped";
  /** The delay that it asked for. */
  askedMs: number;
}

/** How a run ended. `cut`: it was stopped or its engine died. */
export type Ended = "succeeded" | "failed" | "rejected" | "died" | "cut";

/** Makes the workshop of a world. */
export function createWorkshop(world: World): Workshop {
  const outcomes = new Map<string, Ended[]>();
  const ran = new Map<string, Ran>();
  const before = new Map<string, Remembered>();
  const running = new Map<string, Set<string>>();
  /** What runs inline in each engine, and whether it is a suspect. */
  const inline = new Map<EngineLife, Map<string, boolean>>();
  const startsOf = new Map<string, number[]>();
  let runs = 0;

  /** Does the work; resolves with nothing when it was stopped. */
  async function perform(engine: EngineLife, call: Call): Promise<Outcome | undefined> {
    if (!engine.alive) return never();
    const { kernel, history, chance, swarm } = world;
    const { queue, deliveryId: delivery, lane, attempt, body } = call;
    const run = `run${++runs}`;
    const boot = engine.label;
    const proc = call.mortal ? `${boot}/${run}` : undefined;
    history.push({
      kind: "start",
      run,
      queue,
      delivery,
      key: body.id,
      lane,
      attempt,
      boot,
      proc,
      digest: JSON.stringify(body),
    });
    world.trace(`${boot} start ${run} ${queue} ${delivery} ${body.id} ${lane ?? "-"} attempt ${attempt}`);
    checkStart(engine, { run, call });
    const endings = outcomes.get(delivery) ?? [];
    outcomes.set(delivery, endings);
    const place = endings.push("cut") - 1;
    const seen: Ran = { run, startedAt: kernel.now, askedMs: 0 };
    const claim = `${delivery} ${engine.claims.get(delivery)}`;
    if (ran.has(claim)) {
      world.findings.push({ name: "TWICE", subject: delivery, detail: `${run} began for a claim that had run` });
    }
    ran.set(claim, seen);
    if (reach(world, engine, "runner started")) return never();

    const outcome = decide(call);
    const hangs = goesWrong(world, swarm.hangChance);
    const workMs = hangs ? call.timeoutMs + 1 + chance.below(5_000) : chance.below(swarm.workMsMax + 1);
    const outlives = !call.mortal && chance.chance(0.5);
    const done = await new Promise<boolean>((resolve) => {
      const cancel = kernel.schedule(outlives ? world.outside : engine, workMs, () => resolve(true));
      call.signal.addEventListener("abort", () => {
        if (!engine.alive) return;
        cancel();
        resolve(false);
      }, { once: true });
    });
    running.get(`${boot} ${queue}`)?.delete(run);
    inline.get(engine)?.delete(run);
    history.push({ kind: "end", run, outcome: done && outcome.kind !== "interrupted" ? outcome.kind : "failed" });
    if (done && outcome.kind === "failed" && outcome.died && proc !== undefined) history.push({ kind: "exit", proc });
    world.trace(`${boot} end ${run} ${done ? outcome.kind : "stopped"}`);
    if (!engine.alive) return never();
    endings[place] = !done ? "failed" : endingOf(outcome);
    seen.ended = !done ? "stopped" : endingOf(outcome) as Ran["ended"];
    if (done && outcome.kind === "failed") seen.askedMs = outcome.retryAfterMs ?? 0;
    if (endings[place] === "failed" || endings[place] === "died") remember(engine, call, done ? outcome : undefined);
    if (reach(world, engine, "effect done")) return never();
    return done ? (outcome.kind === "succeeded" ? { ...outcome, result: JSON.stringify(run) } : outcome) : undefined;
  }

  function decide({ attempt, body, mortal }: Call): Outcome {
    const { chance, swarm } = world;
    if (body.rejects) return { kind: "rejected", reason: "as planned" };
    if (attempt <= (body.fails ?? Infinity)) return { kind: "failed", reason: "as planned" };
    if (goesWrong(world, swarm.failChance)) {
      const retryAfterMs = chance.chance(0.3) ? 1_000 * chance.below(60) : undefined;
      return { kind: "failed", reason: "by chance", retryAfterMs };
    }
    if (mortal && goesWrong(world, swarm.deathChance)) {
      return { kind: "failed", reason: "its process died", died: true };
    }
    return { kind: "succeeded" };
  }

  function remember(engine: EngineLife, call: Call, outcome: Outcome | undefined): void {
    const delays = policies(call.route).map(({ scheduleMs }) =>
      scheduleMs[Math.min(call.attempt, scheduleMs.length) - 1] ?? 0
    );
    const askedMs = outcome?.kind === "failed" ? outcome.retryAfterMs ?? 0 : 0;
    // Under one configuration it may have been at its end, which under the next is none: then it had nothing to wait for.
    const isLast = policies(call.route).some(({ attempts }) => call.attempt >= attempts);
    const delayMsMin = isLast ? 0 : Math.min(...delays);
    const { label, silentUntil } = engine;
    before.set(call.deliveryId, {
      attempt: call.attempt,
      endedAt: world.kernel.now,
      delayMsMin,
      askedMs,
      engine,
      label,
      wasSilent: silentUntil > world.kernel.now,
    });
  }

  /** What can be judged on the spot: too soon, too often, too many at once. */
  function checkStart(engine: EngineLife, { run, call }: { run: string; call: Call }): void {
    const { findings, kernel } = world;
    const known = before.get(call.deliveryId);
    if (known !== undefined && call.attempt > known.attempt && known.endedAt > world.jumpedAt + strayMs) {
      const waitedMs = kernel.now - known.endedAt;
      // Who counted the death of its engine may have had a configuration without its route, and so no schedule.
      const isUnscheduled = !known.engine.alive && world.swarm.queues === undefined;
      const isForgotten = !known.engine.alive || known.wasSilent || known.engine.label !== known.label;
      const expectedMs = isUnscheduled ? 0 : Math.max(known.delayMsMin, isForgotten ? 0 : known.askedMs);
      if (waitedMs < expectedMs) {
        const detail = `attempt ${call.attempt} came ${waitedMs} ms after a failure, expected ${expectedMs}`;
        findings.push({ name: "EARLY", subject: call.deliveryId, detail });
      }
    }
    const attemptsMax = Math.max(...policies(call.route).map(({ attempts }) => attempts));
    if (call.attempt > attemptsMax) {
      findings.push({
        name: "OVERTRIED",
        subject: call.deliveryId,
        detail: `attempt ${call.attempt} of ${attemptsMax}`,
      });
    }
    const { delayMs = 0, rateLimit } = world.swarm.policies[call.route]!;
    const age = epochMs + kernel.now + world.wallOffsetMs - call.receivedAt;
    if (age < delayMs && world.jumpedMs === 0 && !world.released.has(call.deliveryId)) {
      findings.push({
        name: "EARLY",
        subject: call.deliveryId,
        detail: `ran ${age} ms after its event, not ${delayMs}`,
      });
    }
    if (rateLimit !== undefined && !world.swarm.shared && world.jumpedMs === 0) checkRate(call.queue, rateLimit);
    const pausedAt = world.paused.get(call.queue);
    // What was claimed before may still begin; an answer takes no longer than this.
    if (pausedAt !== undefined && kernel.now - pausedAt > 16_000) {
      findings.push({ name: "PAUSED-RUN", subject: call.queue, detail: `${run} began although the queue was paused` });
    }
    if (call.route.startsWith("inline")) checkAlone(engine, { run, call });
    const slot = `${engine.label} ${call.queue}`;
    const busy = running.get(slot) ?? new Set();
    running.set(slot, busy.add(run));
    const slots = Math.max(
      ...routesNamed(call.route).flatMap(({ destinations }) => destinations.map(({ concurrency }) => concurrency)),
    );
    if (busy.size > slots) {
      findings.push({ name: "OVERRUN", subject: call.queue, detail: `${busy.size} at once, the limit is ${slots}` });
    }
  }

  /** A suspect begins when nothing else runs in its engine, and nothing else begins there until it has ended. */
  function checkAlone(engine: EngineLife, { run, call }: { run: string; call: Call }): void {
    const beside = inline.get(engine) ?? new Map<string, boolean>();
    const isSuspect = engine.suspects.has(call.deliveryId);
    if (beside.size > 0 && (isSuspect || [...beside.values()].includes(true))) {
      const detail = `began beside ${[...beside.keys()]}, ${isSuspect ? "a suspect itself" : "one of them a suspect"}`;
      world.findings.push({ name: "NOT-ALONE", subject: run, detail });
    }
    inline.set(engine, beside.set(run, isSuspect));
  }

  /** A full bucket and what flows in during one period: no more can start within it. */
  function checkRate(queue: string, { count, perMs }: Rate): void {
    const starts = startsOf.get(queue) ?? [];
    startsOf.set(queue, starts);
    starts.push(world.kernel.now);
    const slackMs = 2 * world.swarm.latencyMsMax;
    const within = starts.filter((at) => at > world.kernel.now - perMs + slackMs).length;
    if (within > 2 * count) {
      world.findings.push({
        name: "OVERRATE",
        subject: queue,
        detail: `${within} starts within ${perMs} ms, ${count} allowed`,
      });
    }
  }

  function routesNamed(name: string): Route[] {
    return world.configs.flatMap(({ routes }) => routes.filter((route) => route.name === name));
  }

  function policies(name: string): Route["retry"][] {
    return routesNamed(name).map(({ retry }) => retry);
  }

  return {
    outcomes,
    ran,
    handler: (engine, route) => async (event, ctx) => {
      const timeoutMs = routesNamed(route)[0]!.destinations[0]!.timeoutMs;
      const outcome = await perform(engine, {
        queue: route,
        route,
        deliveryId: ctx.deliveryId,
        lane: event.orderingKey ?? null,
        attempt: ctx.attempt,
        body: event.body,
        receivedAt: event.receivedAt.getTime(),
        timeoutMs,
        mortal: true,
        signal: ctx.signal,
      });
      switch (outcome?.kind) {
        case "succeeded":
          return JSON.parse(outcome.result!);
        case "rejected":
          throw ctx.reject(outcome.reason);
        case "failed":
          if (outcome.retryAfterMs === undefined) throw new Error(outcome.reason);
          throw ctx.retryAfter(`${outcome.retryAfterMs}ms`, outcome.reason);
        default:
          throw new Error("stopped");
      }
    },
    runner: (engine, spec) => ({
      async run(attempt, stop) {
        const over = new AbortController();
        const cut = Promise.withResolvers<Outcome>();
        const end = (outcome: Outcome): void => {
          cut.resolve(outcome);
          over.abort();
        };
        const reason = "timed out";
        const cancel = world.kernel.schedule(engine, spec.timeoutMs, () => end({ kind: "failed", reason }));
        const onStop = (): void => end({ kind: "interrupted", reason: "shutting down" });
        stop.addEventListener("abort", onStop, { once: true });
        const work = perform(engine, {
          queue: queueName(spec.route, spec.target ?? ""),
          route: spec.route,
          deliveryId: attempt.deliveryId,
          lane: attempt.orderingKey ?? null,
          attempt: attempt.attempt,
          body: bodyOf(attempt),
          receivedAt: attempt.event.receivedAt,
          timeoutMs: spec.timeoutMs,
          mortal: spec.target === undefined,
          signal: over.signal,
        });
        const outcome = await Promise.race([work.then((done) => done ?? cut.promise), cut.promise]);
        cancel();
        stop.removeEventListener("abort", onStop);
        return { outcome };
      },
      close: () => Promise.resolve(),
    }),
  };
}

function endingOf(outcome: Outcome): Ended {
  if (outcome.kind === "failed") return outcome.died ? "died" : "failed";
  return outcome.kind === "interrupted" ? "cut" : outcome.kind;
}

function bodyOf({ event }: Attempt): SimulatedBody {
  return JSON.parse(event.item ?? new TextDecoder().decode(event.raw));
}
