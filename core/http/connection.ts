/**
 * One connection of a sender: reads its requests, has each answered before the next one is looked at, and ends where
 * HTTP says so or the other side is silent for too long. Nothing that a sender does here can throw.
 */

import type { Answer } from "../domain/provider.ts";
import { encodeAnswer } from "./answer.ts";
import { type ArrivingBody, awaitBody } from "./body_reader.ts";
import { peerOf, type RawUrl, splitUrl } from "./client_address.ts";
import type { Call, Door } from "./door.ts";
import { createRequestParser, type Message, type RequestParser } from "./request_parser.ts";

/** What a connection may take. */
export interface ConnectionLimits {
  /** Names and values of a request's headers and its target. */
  readonly headerBytesMax: number;
  /** From the first byte of a request, or the opening of the connection, to the end of the head. */
  readonly headTimeoutMs: number;
  /** How long a connection stays open between two requests. */
  readonly idleTimeoutMs: number;
  /** How long the other side may take to take an answer, and to end what it was sending when it was refused. */
  readonly answerTimeoutMs: number;
}

/** What a connection is wired to. */
export interface ConnectionOptions {
  readonly door: Door;
  readonly limits: ConnectionLimits;
  /** The time on the port's own clock, in milliseconds; it stands still for up to a second. */
  readonly coarseNow: () => number;
  /** The Date header of this second. */
  readonly date: () => string;
  /** Whether no further request is taken. */
  readonly isClosing: () => boolean;
  /** Called when nobody waits for an answer of it any more. */
  readonly onIdle: () => void;
}

/** Bytes that are read at once. Most requests come in one piece, and each open connection keeps as much. */
const readBytes = 8_192;

/** Bytes of framing that a chunked body may have for each of its own, beyond some that all may have. */
export const framing = { bytesPerByte: 16, freeBytes: 65_536 };

const continueBytes = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");

/** What a connection waits for. */
type Phase = "idle" | "head" | "answer" | "sending";

/** One open connection. */
export class Connection {
  readonly #conn: Deno.TcpConn;
  readonly #options: ConnectionOptions;
  readonly #parser: RequestParser;
  readonly #buffer = new Uint8Array(readBytes);
  #phase: Phase = "head";
  #since: number;
  #isClosed = false;
  /** Set when a head took too long: what comes of it from then on is not looked at. */
  #givingUp: Promise<void> | undefined;

  constructor(conn: Deno.TcpConn, options: ConnectionOptions) {
    this.#conn = conn;
    this.#options = options;
    this.#parser = createRequestParser(options.limits);
    this.#since = options.coarseNow();
  }

  /** Since when nobody waits for an answer of it, so that closing it harms nobody; undefined while somebody does. */
  get idleSince(): number | undefined {
    if (this.#isClosed) return undefined;
    const { isInHead, messages } = this.#parser;
    const isWaiting = this.#phase === "idle" || this.#phase === "head";
    return isWaiting && !isInHead && messages.length === 0 ? this.#since : undefined;
  }

  /** Whether it was opened just now, so that its first request may be on its way. */
  get isNew(): boolean {
    return this.#phase === "head" && this.#since === this.#options.coarseNow();
  }

  /** Takes requests until one of the two sides has had enough. Never rejects. */
  async converse(): Promise<void> {
    try {
      this.#conn.setNoDelay(true);
      while (await this.#hasMessage()) {
        const message = this.#parser.messages.shift()!;
        this.#enter("answer");
        const answer = await this.#options.door.answer(this.#callOf(message));
        // What is still to come of a body that nobody wants would be taken for the next request.
        const isLast = !message.keepsAlive || !message.isComplete || this.#options.isClosing();
        await this.#send(answer, { isHead: message.method === "HEAD", isLast });
        if (isLast) return message.isComplete ? undefined : await this.#linger();
      }
      const { fault } = this.#parser;
      if (fault === undefined) return;
      await this.#send(this.#options.door.refuse(fault), { isLast: true });
      await this.#linger();
    } catch {
      // The other side has gone, or was too slow: there is nobody to tell.
    } finally {
      this.close();
    }
  }

  /** Closes it if it has been silent for longer than it may. */
  expire(): void {
    const { limits, coarseNow, door } = this.#options;
    const silentMs = coarseNow() - this.#since;
    if (this.#phase === "head" && silentMs > limits.headTimeoutMs) {
      if (!this.#parser.isInHead) return this.close(); // it has not said a word
      const answer = door.refuse({ status: 408, reason: `no whole head in ${limits.headTimeoutMs} ms` });
      this.#givingUp = this.#send(answer, { isLast: true }).catch(() => {}).finally(() => this.close());
    } else if (
      this.#phase === "idle" && silentMs > limits.idleTimeoutMs ||
      this.#phase === "sending" && silentMs > limits.answerTimeoutMs
    ) this.close();
  }

  /** Ends it now, whatever it does. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  #enter(phase: Phase): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#since = this.#options.coarseNow();
  }

  /** Waits for the head of a request; false when none will come. */
  async #hasMessage(): Promise<boolean> {
    const { messages } = this.#parser;
    while (messages.length === 0) {
      if (this.#parser.fault !== undefined || this.#options.isClosing() && !this.#parser.isInHead) return false;
      this.#enter(this.#parser.isInHead || this.#phase === "head" ? "head" : "idle");
      if (await this.#receive() === 0) return false;
    }
    return true;
  }

  /** Reads once; returns how many bytes it got, none when the other side has nothing more to say. */
  async #receive(): Promise<number> {
    const count = await this.#conn.read(this.#buffer) ?? 0;
    if (this.#givingUp !== undefined) await this.#givingUp; // which ends with the connection closed
    if (this.#isClosed) return 0; // nobody would get an answer
    if (count > 0) this.#parser.push(this.#buffer.subarray(0, count));
    return count;
  }

  #callOf(message: Message): Call {
    return {
      method: message.method,
      url: urlOf(message),
      headers: message.headers,
      peer: () => peerOf(this.#conn.remoteAddr),
      readBody: (limits) =>
        awaitBody(this.#bodyOf(message), { ...limits, declared: message.headers["content-length"] }),
    };
  }

  #bodyOf(message: Message): ArrivingBody {
    let received = 0;
    let isAwaited = message.expectsContinue;
    return {
      collected: message.body,
      get isComplete() {
        return message.isComplete;
      },
      more: async () => {
        if (isAwaited && message.body.length === 0) await this.#conn.write(continueBytes);
        isAwaited = false;
        const { fault } = this.#parser;
        if (fault !== undefined) throw new Error(fault.reason);
        const count = await this.#receive();
        if (count === 0) throw new Error("the connection ended");
        received += count;
        if (received > framing.freeBytes + framing.bytesPerByte * message.body.length) {
          throw new Error("it is nearly all framing");
        }
      },
    };
  }

  async #send(answer: Answer, how: { isHead?: boolean; isLast: boolean }): Promise<void> {
    const { isHead = false, isLast } = how;
    this.#enter("sending");
    const bytes = encodeAnswer(answer, { isHead, isLast, date: this.#options.date() });
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
    if (isLast) return;
    this.#enter("idle");
    this.#options.onIdle();
  }

  /**
   * Lets the other side end what it was sending: closing while there is something unread would reset the connection, and
   * with that take away the answer that was just sent.
   */
  async #linger(): Promise<void> {
    await this.#conn.closeWrite();
    while (await this.#conn.read(this.#buffer) !== null);
  }
}

/** As the sender wrote it. A target that is a whole URL names its own host. */
function urlOf({ target, headers: { host = "" } }: Message): RawUrl {
  if (!target.startsWith("/")) return splitUrl(target);
  // With a stand-in for the host: neither an odd one nor `//` in the target may move where the path begins.
  return { ...splitUrl(`http://-${target}`), origin: `http://${host}` };
}
