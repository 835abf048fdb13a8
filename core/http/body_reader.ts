/**
 * Reads a request's body once, as bytes, to a limit of size and a limit of time. The bytes are counted as they come,
 * whatever Content-Length says: it can be absent, and it can lie. Only our own port knows better.
 */

import { describeError } from "../domain/error.ts";
import { formatDuration } from "../domain/duration.ts";

/** How much and how long. */
export interface BodyLimits {
  readonly bytesMax: number;
  readonly timeoutMs: number;
  /** Has `giveUp` called when the time is up. Whoever hands it in also ends it; a call that comes late does nothing. */
  readonly expire: (giveUp: () => void) => void;
  /** Whether Content-Length is known to be true, because the platform cut the body out of a connection by it. */
  readonly framed?: boolean;
}

/**
 * Longest body that is taken in one piece where its length is known; reading it as a stream costs another 10 us. A read
 * that is given up keeps its bytes until the sender hangs up, so they may be no more than what a connection costs anyway.
 */
const pieceBytesMax = 32_768;

/** The body, or the status that says why there is none: broken off (400), too slow (408), too large (413). */
export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly status: 400 | 408 | 413; readonly detail: string; readonly reason: string };

/** Reads the whole body. Never throws for anything that a caller can send. */
export function readBody(request: Request, limits: BodyLimits): Promise<BodyRead> {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limits.bytesMax) {
    return Promise.resolve(tooLarge(limits.bytesMax, `announced ${declared} bytes`));
  }
  if (limits.framed && declared !== null && Number(declared) <= pieceBytesMax) return readPiece(request, limits);
  return readStream(request, limits);
}

function readPiece(request: Request, { timeoutMs, expire }: BodyLimits): Promise<BodyRead> {
  return new Promise((resolve) => {
    expire(() => resolve(tooSlow(timeoutMs, "less than it announced")));
    request.bytes().then(
      (bytes) => resolve({ ok: true, bytes }),
      (error) => resolve(brokenOff(error)),
    );
  });
}

async function readStream(request: Request, { bytesMax, timeoutMs, expire }: BodyLimits): Promise<BodyRead> {
  if (request.body === null) return { ok: true, bytes: new Uint8Array() };

  const reader = request.body.getReader();
  let expired = false;
  // Cancelling ends a pending read at once, so the loop below needs no race.
  expire(() => {
    expired = true;
    reader.cancel().catch(() => {});
  });
  let bytes = new Uint8Array();
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (expired) return tooSlow(timeoutMs, `${length} bytes`);
      if (done) break;
      if (length + value.length > bytesMax) {
        reader.cancel().catch(() => {});
        return tooLarge(bytesMax, `sent more than ${bytesMax} bytes`);
      }
      bytes = join(bytes, { length, chunk: value, bytesMax });
      length += value.length;
    }
  } catch (error) {
    return brokenOff(error);
  }
  return { ok: true, bytes: length === bytes.length ? bytes : bytes.slice(0, length) };
}

/**
 * Adds a chunk to what is there. One chunk is kept as it is; more go into one buffer that doubles, because a list of a
 * million one-byte chunks would take a hundred times their size.
 */
function join(
  bytes: Uint8Array<ArrayBuffer>,
  { length, chunk, bytesMax }: { length: number; chunk: Uint8Array<ArrayBuffer>; bytesMax: number },
): Uint8Array<ArrayBuffer> {
  if (length === 0) return chunk;
  if (length + chunk.length > bytes.length) {
    const roomier = new Uint8Array(Math.min(bytesMax, Math.max(2 * bytes.length, length + chunk.length)));
    roomier.set(bytes.subarray(0, length));
    bytes = roomier;
  }
  bytes.set(chunk, length);
  return bytes;
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
