/**
 * Frames on the control channel between the engine and a handler process: a JSON header and raw bytes, both with their
 * length in front. A body travels as bytes and is never copied value by value; whatever is queued leaves in one write.
 */

/** One message: a small header and, where there is one, a payload. */
export interface Frame<Header> {
  readonly header: Header;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A longer frame is a broken or hostile peer. */
export const frameBytesMax = 64 * 1024 * 1024;

const prefixBytes = 8;
const noBytes = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Lays a frame out: total length (u32, big endian, of all that follows it), header length (u32), header, payload.
 *
 * @throws RangeError when the frame would be longer than {@link frameBytesMax}
 */
export function encodeFrame(header: unknown, bytes: Uint8Array = noBytes): Uint8Array<ArrayBuffer> {
  const head = encoder.encode(JSON.stringify(header));
  const length = prefixBytes + head.length + bytes.length;
  if (length > frameBytesMax) {
    throw new RangeError(`cannot send a frame of ${length} bytes: at most ${frameBytesMax} are allowed`);
  }
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, length - 4);
  view.setUint32(4, head.length);
  frame.set(head, prefixBytes);
  frame.set(bytes, prefixBytes + head.length);
  return frame;
}

/**
 * Cuts a byte stream into frames.
 *
 * @returns a function that takes the next chunk and returns the frames that it completes; the chunk may be reused by
 *   the caller afterwards. It throws a RangeError or SyntaxError on a malformed frame: the peer is not to be trusted again.
 */
export function createFrameDecoder<Header>(): (chunk: Uint8Array) => Frame<Header>[] {
  let held: Uint8Array<ArrayBuffer> = noBytes;
  let heldBytes = 0;

  return function decode(chunk) {
    append(chunk);
    const frames: Frame<Header>[] = [];
    const view = new DataView(held.buffer, held.byteOffset, heldBytes);
    let at = 0;
    while (heldBytes - at >= prefixBytes) {
      const end = at + 4 + view.getUint32(at);
      const headBytes = view.getUint32(at + 4);
      if (end - at > frameBytesMax || at + prefixBytes + headBytes > end) {
        throw new RangeError(`cannot read a frame of ${end - at} bytes with a header of ${headBytes}`);
      }
      if (end > heldBytes) break;
      const head = at + prefixBytes;
      frames.push({
        header: JSON.parse(decoder.decode(held.subarray(head, head + headBytes))) as Header,
        bytes: held.slice(head + headBytes, end),
      });
      at = end;
    }
    held.copyWithin(0, at, heldBytes);
    heldBytes -= at;
    return frames;
  };

  function append(chunk: Uint8Array): void {
    const needed = heldBytes + chunk.length;
    if (needed > held.length) {
      const grown = new Uint8Array(Math.max(needed, held.length * 2, 4096));
      grown.set(held.subarray(0, heldBytes));
      held = grown;
    }
    held.set(chunk, heldBytes);
    heldBytes = needed;
  }
}

/**
 * Queues frames and writes all that wait at once, one write at a time.
 *
 * @param write takes one chunk; a failure ends the writer silently, because the reader of the same channel sees it too
 * @returns a function that queues a frame
 */
export function createFrameWriter(
  write: (chunk: Uint8Array) => Promise<void>,
): (header: unknown, bytes?: Uint8Array) => void {
  let queued: Uint8Array[] = [];
  let writing = false;

  return function send(header, bytes) {
    queued.push(encodeFrame(header, bytes));
    if (writing) return;
    writing = true;
    queueMicrotask(drain);
  };

  async function drain(): Promise<void> {
    try {
      while (queued.length > 0) {
        const batch = queued;
        queued = [];
        await write(batch.length === 1 ? batch[0]! : join(batch));
      }
      writing = false;
    } catch {
      queued = [];
    }
  }
}

/** Writes a chunk to its last byte. */
export async function writeAll(conn: Deno.Conn, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length;) at += await conn.write(chunk.subarray(at));
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
