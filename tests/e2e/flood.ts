/**
 * A sender that never gives up: it floods an engine with signed GitHub requests, sends some again on purpose, and
 * whatever got no answer again and again under the same id, across any number of crashes.
 */

import { createHash, createHmac } from "node:crypto";
import type { HistoryRecord } from "../support/history.ts";
import type { SeededRandom } from "../support/seeded_random.ts";

/** Requests that are under way at most. */
export const senders = 16;
/** How long a request may go unanswered before it is taken for lost. */
const answerMsMax = 10_000;
/** How often a sender looks again while it must not send. */
const pauseMs = 5;

/** An event, the same bytes however often it is sent. */
interface Draft {
  readonly key: string;
  readonly type: "push" | "ping";
  readonly lane: string;
  readonly body: string;
  readonly digest: string;
  readonly signature: string;
}

/** Options of {@link createFlood}. */
export interface FloodOptions {
  readonly records: HistoryRecord[];
  readonly random: SeededRandom;
  readonly secret: string;
  readonly lanes: number;
  /** Events that may wait for their work before new ones are held back. */
  readonly backlogMax: number;
  /** Events of the kind `push` that are acknowledged and not done. */
  backlog(acknowledged: number): number;
}

/** The sender. */
export interface Flood {
  /** Sends to this engine from now on, or to these in turn; undefined while there is none. */
  aim(ingestUrl: string | readonly string[] | undefined): void;
  /** Resolves with the next 2xx. */
  acknowledged(): Promise<void>;
  /** Sends one event that makes its handler spin, until it is acknowledged. Returns its key. */
  sendSpinner(): string;
  /** Makes no new events any more; resolves when every one that was made is acknowledged. */
  finish(): Promise<void>;
  /** Gives up. */
  stop(): Promise<void>;
  /** Answers that a sound engine does not give to these requests. */
  readonly refusals: readonly string[];
}

/** Starts the sender; it waits until it is aimed. */
export function createFlood(options: FloodOptions): Flood {
  const { records, random } = options;
  const unanswered: Draft[] = [];
  const answered: Draft[] = [];
  const refusals: string[] = [];
  const known = new Set<string>();
  const waiting = new Set<() => void>();
  let urls: readonly string[] = [];
  let made = 0;
  let ops = 0;
  let inFlight = 0;
  let state: "flooding" | "finishing" | "stopped" = "flooding";

  function make(type: Draft["type"]): Draft {
    const n = made++;
    const key = `event-${n}`;
    const lane = type === "ping" ? "" : `lane-${random.below(options.lanes)}`;
    const body = JSON.stringify({ key, lane, pad: "x".repeat(random.below(600)) });
    const digest = createHash("sha256").update(body).digest("hex");
    const signature = `sha256=${createHmac("sha256", options.secret).update(body).digest("hex")}`;
    return { key, type, lane, body, digest, signature };
  }

  function choose(): Draft | undefined {
    const owed = unanswered.shift();
    if (owed !== undefined || state !== "flooding") return owed;
    if (answered.length > 0 && random.chance(0.1)) return answered[random.below(answered.length)];
    return options.backlog(known.size) < options.backlogMax ? make("push") : undefined;
  }

  async function send(draft: Draft, to: string): Promise<void> {
    const { key, type, lane, digest } = draft;
    const op = ops++;
    const queues = type === "push" ? ["work", "mirror/rig"] : ["spin"];
    records.push({ kind: "ingest", step: "invoke", op, key, lane: lane || undefined, digest, queues });
    const answer = await post(draft, to);
    if (answer === undefined) {
      records.push({ kind: "ingest", step: "info", op });
      unanswered.push(draft);
    } else if (typeof answer === "string") {
      records.push({ kind: "ingest", step: "fail", op });
      refusals.push(answer);
    } else {
      records.push({ kind: "ingest", step: "ok", op, ...answer });
      answered.push(draft);
      if (type === "push") known.add(key);
      for (const wake of waiting) wake();
      waiting.clear();
    }
  }

  /** The receipt; a text when the request was refused for good; undefined when nobody knows what became of it. */
  async function post(
    { key, type, body, signature }: Draft,
    to: string,
  ): Promise<{ eventId: string; status: "accepted" | "duplicate" } | string | undefined> {
    try {
      const response = await fetch(`${to}/hooks/github`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "x-github-event": type,
          "x-github-delivery": key,
          "x-hub-signature-256": signature,
        },
        body,
        signal: AbortSignal.timeout(answerMsMax),
      });
      const text = await response.text();
      // A store that could not say whether it committed answers 503: that is not a no.
      if (response.status >= 500) return undefined;
      if (response.status !== 202) return `${response.status}: ${text}`;
      const { id, status } = JSON.parse(text);
      return { eventId: id, status };
    } catch {
      return undefined;
    }
  }

  async function work(): Promise<void> {
    while (state !== "stopped") {
      const draft = urls.length === 0 ? undefined : choose();
      if (draft === undefined) {
        if (state === "finishing" && unanswered.length === 0 && inFlight === 0) return;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        continue;
      }
      inFlight++;
      await send(draft, urls[ops % urls.length]!);
      inFlight--;
    }
  }

  const working = Promise.all(Array.from({ length: senders }, work));
  return {
    aim(ingestUrl) {
      urls = ingestUrl === undefined ? [] : [ingestUrl].flat();
    },
    acknowledged: () => new Promise((resolve) => waiting.add(resolve)),
    sendSpinner() {
      const draft = make("ping");
      unanswered.push(draft);
      return draft.key;
    },
    async finish() {
      state = "finishing";
      await working;
    },
    async stop() {
      state = "stopped";
      urls = [];
      await working;
    },
    refusals,
  };
}
