/**
 * A ring of bytes that the worker fills and the host empties, in memory that both see: what a handler has achieved is
 * out of its worker at once, without a message for each, and stays even if the next one spins or dies.
 */

/** Bytes of the ring; a longer text, or one for which there is no room, has to go another way. */
export const ringBytes = 256 * 1024;

/** Positions of the reader and the writer, counted on and on; then the bytes. */
const marksBytes = 8;
const read = 0;
const written = 1;
const lengthBytes = 4;

// Taken before any handler is loaded: what it rewrites must not change what is written.
const { apply } = Reflect;
const { set } = Uint8Array.prototype;
const readLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "length")!.get!;
const lengthOf = (bytes: Uint8Array): number => apply(readLength, bytes, []);
const { load, store } = Atomics;
const encoder = new TextEncoder();
const encode = encoder.encode.bind(encoder);
const decoder = new TextDecoder();

/** Makes an empty ring. */
export function createRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(marksBytes + ringBytes);
}

/** Returns a function that adds a text; it answers false, and adds nothing, when there is no room. */
export function createRingWriter(ring: SharedArrayBuffer): (text: string) => boolean {
  const marks = new Int32Array(ring, 0, 2);
  const bytes = new Uint8Array(ring, marksBytes);
  const views = new DataView(new ArrayBuffer(lengthBytes));
  const length = new Uint8Array(views.buffer);
  const setLength = views.setUint32.bind(views, 0);
  let at = 0;

  /** The bytes from `at` on, around the end of the ring. */
  function put(part: Uint8Array): void {
    const from = (at >>> 0) % ringBytes;
    const room = ringBytes - from;
    const count = lengthOf(part);
    if (count <= room) apply(set, bytes, [part, from]);
    else {
      for (let i = 0; i < count; i++) bytes[(from + i) % ringBytes] = part[i]!;
    }
    at = (at + count) | 0;
  }

  return (text) => {
    const record = encode(text);
    const taken = (at - load(marks, read)) | 0;
    if (lengthBytes + lengthOf(record) > ringBytes - taken) return false;
    setLength(lengthOf(record));
    put(length);
    put(record);
    store(marks, written, at);
    return true;
  };
}

/**
 * Returns a function that takes all texts out.
 *
 * It throws a RangeError when the ring was tampered with: then nothing in it is to be believed any more.
 */
export function createRingReader(ring: SharedArrayBuffer): () => string[] {
  const marks = new Int32Array(ring, 0, 2);
  const bytes = new Uint8Array(ring, marksBytes);
  let at = 0;

  return () => {
    const end = load(marks, written);
    const count = (end - at) | 0;
    if (count === 0) return [];
    if (count < 0 || count > ringBytes) throw new RangeError(`cannot read ${count} bytes from a ring of ${ringBytes}`);
    const from = (at >>> 0) % ringBytes;
    const taken = new Uint8Array(count);
    taken.set(bytes.subarray(from, Math.min(from + count, ringBytes)));
    if (from + count > ringBytes) taken.set(bytes.subarray(0, from + count - ringBytes), ringBytes - from);
    at = end;
    store(marks, read, end);
    return cut(taken);
  };
}

function cut(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length;) {
    const from = at + lengthBytes;
    const end = from <= bytes.length ? from + view.getUint32(at) : Infinity;
    if (end > bytes.length) {
      throw new RangeError(`cannot read a text that ends beyond the ${bytes.length} bytes written`);
    }
    texts.push(decoder.decode(bytes.subarray(from, end)));
    at = end;
  }
  return texts;
}
