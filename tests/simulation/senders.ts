/**
 * Those who send events: they repeat themselves, all at once or much later, and send again when nobody answered.
 */

import { type Machine, pickEngine, sourceNamed } from "./simulated_engine.ts";
import type { PlannedRequest } from "./swarm.ts";
import type { SimulatedBody } from "./work.ts";
import { epochMs, reach, type World } from "./world.ts";

/** After this long a sender takes it that there is no answer. */
const answerLimitMs = 60_000;

/** How often a sender tries again of its own accord. */
const resendsMax = 4;

/** The senders of one world. */
export interface Senders {
  /** Requests without an answer yet, or about to be sent. */
  readonly pending: number;
}

/** Lets senders loose on the machines of a world. */
export function createSenders(world: World, machines: readonly Machine[]): Senders {
  const { kernel, swarm, history, chance, outside } = world;
  let ops = 0;
  let pending = 0;

  function send(request: PlannedRequest, tries: number): void {
    const { events } = request;
    const engine = request.toDoomed && tries === 0 ? machines[0]?.engine : pickEngine(world, machines);
    const bodies = events.map(({ key, lane, fails, rejects, odd, vague, version }): SimulatedBody => ({
      id: key,
      key: odd ? [lane] : lane,
      fails: Number.isFinite(fails) ? fails : null,
      rejects,
      vague,
      version,
    }));
    const own = events.map((event, at) => {
      const op = ++ops;
      const lane = event.odd ? undefined : event.lane;
      const digest = JSON.stringify(bodies[at]);
      history.push({ kind: "ingest", step: "invoke", op, key: event.key, lane, digest, queues: swarm.queues });
      return op;
    });
    world.trace(`client sends ${events.map(({ key }) => key).join(" ")} to ${engine?.label ?? "nobody"}`);
    const again = (): void => {
      if (tries < resendsMax && (tries === 0 || chance.chance(swarm.resendChance))) {
        later(500 + chance.below(10_000), () => send(request, tries + 1));
      }
    };
    const from = engine && sourceNamed(engine, events.length === 1 ? "app" : "batch");
    // As at the door of a real engine: a source that is paused takes nothing, and says so.
    const isPaused = from !== undefined && engine?.pauses.get(from.source.name) !== undefined;
    if (engine === undefined || from === undefined || isPaused) {
      for (const op of own) history.push({ kind: "ingest", step: "fail", op });
      return again();
    }

    pending++;
    let answered = false;
    const close = (tell: () => void): void => {
      if (answered) return;
      answered = true;
      pending--;
      cancelLimit();
      tell();
    };
    const lost = (): void =>
      close(() => {
        for (const op of own) history.push({ kind: "ingest", step: "info", op });
        again();
      });
    const cancelLimit = kernel.schedule(outside, answerLimitMs, lost);
    engine.onDeath(lost);
    // Other engines on a server may not have heard of it yet.
    if (!swarm.shared && world.pausedSources.has(from.source.name)) {
      const detail = `${engine.label} takes requests although it was paused`;
      world.findings.push({ name: "PAUSED-INTAKE", subject: from.source.name, detail });
    }
    engine.intake.receive(from, {
      method: "POST",
      url: `http://localhost${from.source.path}`,
      headers: { "content-type": "application/json" },
      body: new TextEncoder().encode(JSON.stringify(events.length === 1 ? bodies[0] : { items: bodies })),
      receivedAt: epochMs + kernel.now + world.wallOffsetMs,
    }).then((intaken) => {
      if (reach(world, engine, "append before answer")) return;
      kernel.schedule(engine, chance.below(swarm.latencyMsMax + 1), () =>
        close(() => {
          if (intaken.kind !== "accepted") {
            throw new TypeError(`a good request was answered ${JSON.stringify(intaken)}`);
          }
          intaken.events.forEach(({ eventId, status }, at) => {
            history.push({ kind: "ingest", step: "ok", op: own[at]!, eventId, status });
            world.trace(`client hears ${events[at]!.key} ${status} as ${eventId}`);
          });
        }));
    }, lost);
  }

  function later(delayMs: number, act: () => void): void {
    pending++;
    kernel.schedule(outside, delayMs, () => {
      pending--;
      act();
    });
  }

  for (const request of swarm.requests) {
    for (const at of request.sentAt) later(at, () => send(request, 0));
  }
  return {
    get pending() {
      return pending;
    },
  };
}
