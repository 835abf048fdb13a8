/**
 * Frames on the control channel between the engine and a handler process: messages as JSON and raw bytes, both with
 * their length in front. Whatever is queued leaves in one frame, so that a busy channel costs little per message.
 */

/** Messages in their order, and the bytes that belong to them, end to end; how many are whose, the messages say. */
export interface Frame<Message> {
  readonly messages: readonly Message[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A longer frame is a broken or hostile peer. */
export const frameBytesMax = 64 * 1024 * 1024;

/** No further message joins a frame of this size. Most frames then arrive in one read. */
const frameBytesGoal = 128 * 1024;

/** Most bytes of UTF-8 for one UTF-16 unit. */
const utf8BytesMax = 3;

const prefixBytes = 8;
const noBytes = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Lays a frame out: total length (u32, big endian, of all that follows it), length of the messages (u32), the messages
 * as one JSON list, the bytes.
 *
 * @param messages each as JSON text
 * @throws RangeError when the frame would be longer than {@link frameBytesMax}
 */
export function encodeFrame(messages: readonly string[], parts: readonly Uint8Array[] = []): Uint8Array<ArrayBuffer> {
  const head = encoder.encode(`[${messages.join()}]`);
  const length = parts.reduce((sum, part) => sum + part.length, prefixBytes + head.length);
  if (length > frameBytesMax) {
    throw new RangeError(`cannot send a frame of ${length} bytes: at most ${frameBytesMax} are allowed`);
  }
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, length - 4);
  view.setUint32(4, head.length);
  frame.set(head, prefixBytes);
  let at = prefixBytes + head.length;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/**
 * Cuts a byte stream into frames.
 *
 * @returns a function that takes the next chunk and returns the frames that it completes; the chunk may be reused by
 *   the caller afterwards. It throws a RangeError, SyntaxError or TypeError on a malformed frame: the peer is not to be
 *   trusted again.
 */
export function createFrameDecoder<Message>(): (chunk: Uint8Array) => Frame<Message>[] {
  let held: Uint8Array<ArrayBuffer> = noBytes;
  let heldBytes = 0;

  return function decode(chunk) {
    // A chunk that begins with a frame is read where it lies; only what it leaves incomplete is kept.
    const isHeld = heldBytes > 0;
    if (isHeld) hold(chunk);
    const stream = isHeld ? held.subarray(0, heldBytes) : chunk;
    const frames: Frame<Message>[] = [];
    const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
    let at = 0;
    while (stream.length - at >= prefixBytes) {
      const end = at + 4 + view.getUint32(at);
      const headBytes = view.getUint32(at + 4);
      if (end - at > frameBytesMax || at + prefixBytes + headBytes > end) {
        throw new RangeError(`cannot read a frame of ${end - at} bytes with messages of ${headBytes}`);
      }
      if (end > stream.length) break;
      const head = at + prefixBytes;
      frames.push({
        messages: readMessages(stream.subarray(head, head + headBytes)),
        bytes: stream.slice(head + headBytes, end) as Uint8Array<ArrayBuffer>,
      });
      at = end;
    }
    if (isHeld) {
      held.copyWithin(0, at, heldBytes);
      heldBytes -= at;
    } else if (at < chunk.length) hold(chunk.subarray(at));
    return frames;
  };

  function readMessages(head: Uint8Array): Message[] {
    const messages: unknown = JSON.parse(decoder.decode(head));
    if (!Array.isArray(messages)) throw new TypeError("cannot read a frame: its messages are no list");
    return messages;
  }

  function hold(chunk: Uint8Array): void {
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

/** Queues a message, and the bytes that belong to it. Throws a RangeError when they may not fit into a frame. */
export type SendMessage<Message> = (message: Message, bytes?: readonly Uint8Array[]) => void;

/** A message that waits for its frame. */
interface Queued {
  readonly text: string;
  readonly parts: readonly Uint8Array[];
  /** No less than what it takes up. */
  readonly weight: number;
}

/**
 * Queues messages and writes all that wait at once, one write at a time.
 *
 * @param write takes one frame; a failure ends the writer silently, because the reader of the same channel sees it too
 */
export function createFrameWriter<Message>(write: (frame: Uint8Array) => Promise<void>): SendMessage<Message> {
  let queue: Queued[] = [];
  let writing = false;

  return function send(message, parts = []) {
    const text = JSON.stringify(message);
    const weight = parts.reduce((sum, part) => sum + part.length, text.length * utf8BytesMax);
    if (weight > frameBytesMax - frameBytesGoal) {
      throw new RangeError(`cannot send ${weight} bytes: at most ${frameBytesMax - frameBytesGoal} fit into a frame`);
    }
    queue.push({ text, parts, weight });
    if (writing) return;
    writing = true;
    queueMicrotask(drain);
  };

  async function drain(): Promise<void> {
    try {
      while (queue.length > 0) {
        const taken = take();
        await write(encodeFrame(taken.map(({ text }) => text), taken.flatMap(({ parts }) => parts)));
      }
      writing = false;
    } catch {
      queue = [];
    }
  }

  function take(): Queued[] {
    let weight = 0;
    let count = 0;
    while (count < queue.length && weight < frameBytesGoal) weight += queue[count++]!.weight;
    const taken = queue.slice(0, count);
    queue = queue.slice(count);
    return taken;
  }
}

/** Writes a chunk to its last byte. */
export async function writeAll(conn: Deno.Conn, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length;) at += await conn.write(at === 0 ? chunk : chunk.subarray(at));
}
