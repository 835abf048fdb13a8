/**
 * Reads a request's body once, as bytes, to a limit of size and a limit of time, wherever they come from. They are counted
 * as they come, whatever Content-Length says: it can be absent, and it can lie.
 */

import type { Clock } from "../domain/clock.ts";
import { describeError } from "../domain/error.ts";
import { formatDuration } from "../domain/duration.ts";

/** How much and how long. */
export interface BodyLimits {
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, "timer">;
}

/** The body, or the status that says why there is none: broken off (400), too slow (408), too large (413). */
export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly status: 400 | 408 | 413; readonly detail: string; readonly reason: string };

/** A body that is on its way. */
export interface ArrivingBody {
  /** What is there of it. */
  readonly collected: BodyCollector;
  readonly isComplete: boolean;
  /** Resolves when there is more of it, or all; rejects when no more will come. Called again only after that. */
  more(): Promise<unknown>;
}

/**
 * Waits until a body is there. Never throws for anything that a caller can send.
 *
 * @param declared its Content-Length: one that says too much is believed at once
 */
export async function awaitBody(
  body: ArrivingBody,
  { bytesMax, timeoutMs, clock, declared }: BodyLimits & { declared: string | undefined },
): Promise<BodyRead> {
  if (declared !== undefined && Number(declared) > bytesMax) return tooLarge(bytesMax, `announced ${declared} bytes`);
  const { collected } = body;
  collected.bytesMax = bytesMax;
  if (body.isComplete) return judge(collected, bytesMax);

  const { promise: expired, resolve: expire } = Promise.withResolvers<typeof late>();
  const cancelTimer = clock.timer(timeoutMs, () => expire(late));
  try {
    while (!body.isComplete && collected.length <= bytesMax) {
      if (await Promise.race([body.more(), expired]) === late) return tooSlow(timeoutMs, `${collected.length} bytes`);
    }
  } catch (error) {
    return brokenOff(error);
  } finally {
    cancelTimer();
  }
  return judge(collected, bytesMax);
}

const late = Symbol("the time is up");

/** Reads the whole body of a request of the platform. Never throws for anything that a caller can send. */
export async function readBody(request: Request, limits: BodyLimits): Promise<BodyRead> {
  const reader = request.body?.getReader();
  const collected = new BodyCollector();
  let isComplete = reader === undefined;
  const body: ArrivingBody = {
    collected,
    get isComplete() {
      return isComplete;
    },
    async more() {
      const { done, value } = await reader!.read();
      if (done) isComplete = true;
      else collected.add(value);
    },
  };
  try {
    return await awaitBody(body, { ...limits, declared: request.headers.get("content-length") ?? undefined });
  } finally {
    reader?.cancel().catch(() => {}); // whoever still sends is told; after the end it does nothing
  }
}

/**
 * Chunks as one run of bytes. The first is kept as it is; more go into one buffer that doubles, because a list of a
 * million one-byte chunks would take a hundred times their size.
 */
export class BodyCollector {
  /** More than this is not wanted: it is only counted. */
  bytesMax = Infinity;
  #length = 0;
  #room: Uint8Array<ArrayBuffer> = new Uint8Array();

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Takes the chunk over: it may not be written to afterwards. */
  add(chunk: Uint8Array<ArrayBuffer>): void {
    const before = this.#length;
    this.#length += chunk.length;
    if (this.#length > this.bytesMax) return;
    if (before === 0) this.#room = chunk;
    else {
      if (this.#length > this.#room.length) this.#grow(before);
      this.#room.set(chunk, before);
    }
  }

  /** All of them, in memory of their own; not to be asked for when they are too many. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#length === this.#room.length ? this.#room : this.#room.slice(0, this.#length);
  }

  #grow(kept: number): void {
    const roomier = new Uint8Array(Math.max(this.#length, Math.min(this.bytesMax, 2 * this.#room.length)));
    roomier.set(this.#room.subarray(0, kept));
    this.#room = roomier;
  }
}

function judge(collected: BodyCollector, bytesMax: number): BodyRead {
  if (collected.length > bytesMax) return tooLarge(bytesMax, `sent more than ${bytesMax} bytes`);
  return { ok: true, bytes: collected.bytes() };
}

function tooLarge(bytesMax: number, what: string): BodyRead {
  return {
    ok: false,
    status: 413,
    detail: `the body may have at most ${bytesMax} bytes`,
    reason: `body too large: ${what}, limit ${bytesMax}`,
  };
}

function brokenOff(error: unknown): BodyRead {
  return { ok: false, status: 400, detail: "the body broke off", reason: `body broke off: ${describeError(error)}` };
}

function tooSlow(timeoutMs: number, got: string): BodyRead {
  const limit = formatDuration(timeoutMs);
  return {
    ok: false,
    status: 408,
    detail: `the body took longer than ${limit}`,
    reason: `body too slow: ${got} in ${limit}`,
  };
}
