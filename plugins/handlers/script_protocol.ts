/**
 * What the three parties of a script attempt say to each other: the engine, the host (main thread of the child process)
 * and the worker (the sandbox in it). The host believes the worker only about attempts that it was given.
 */

import type { HeaderMap, Permissions } from "../../core/plugin.ts";

/** All that a host must know, as one JSON line on its standard input. */
export interface HostSetup {
  /** Path of the Unix socket on which the engine waits. */
  readonly socket: string;
  /** Proves to the engine that the connection comes from the process it started. */
  readonly token: string;
  readonly route: string;
  readonly file: string;
  readonly permissions: Permissions;
  readonly childLockFile?: string;
  /** The process ends itself when it holds more memory than this. */
  readonly memoryBytesMax: number;
  /** Run although the import guard cannot be installed (Deno below 2.8.2). */
  readonly unguardedImports: boolean;
}

/** The attempt as it travels, apart from its body. */
export interface AttemptHead {
  readonly deliveryId: string;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly orderingKey?: string;
  readonly event: {
    readonly id: string;
    readonly source: string;
    readonly type: string;
    readonly idempotencyKey?: string;
    readonly time?: number;
    readonly receivedAt: number;
    readonly headers: HeaderMap;
  };
}

/** How many bytes of its frame belong to an attempt: its head as JSON text, the request's bytes, the item's JSON text. */
export interface AttemptSizes {
  readonly headBytes: number;
  readonly rawBytes: number;
  /** Absent where the event is the whole request. */
  readonly itemBytes?: number;
}

/** Engine to host. */
export type EngineMessage =
  | { readonly kind: "beat" }
  | ({ readonly kind: "run"; readonly id: number } & AttemptSizes)
  | { readonly kind: "abort"; readonly id: number; readonly reason: string };

/** A file as the host read it; when its stamp changes, the code on disk is another. */
export interface LoadedFile {
  readonly path: string;
  readonly stamp: string;
}

/** Host to engine. */
export type HostMessage =
  | { readonly kind: "hello"; readonly token: string }
  /** What has been imported so far. */
  | { readonly kind: "loaded"; readonly files: readonly LoadedFile[]; readonly codeHash: string }
  /** The module could not be imported; this process is of no further use. */
  | { readonly kind: "broken" }
  | ({ readonly kind: "done"; readonly id: number } & Verdict)
  /** The attempt has failed already, although its handler may still be running. */
  | { readonly kind: "doomed"; readonly id: number; readonly reason: string }
  /** What an attempt that was told to stop has printed so far; a worker that spins has no time to say so. */
  | { readonly kind: "output"; readonly id: number; readonly output: string }
  /** Which attempts have begun and not ended, whenever one is told to stop: only they can be what keeps the worker busy. */
  | { readonly kind: "begun"; readonly ids: readonly number[] }
  /** The process is about to end itself. */
  | { readonly kind: "dying"; readonly reason: string; readonly engineLost: boolean };

/** What came of one attempt, in the worker's words. */
export interface Verdict {
  readonly outcome: "succeeded" | "failed" | "rejected";
  /** The result as JSON text, or the reason; absent when the handler returned nothing. */
  readonly text?: string;
  readonly retryAfterMs?: number;
  readonly output: string;
}

/** Host to worker, once, before anything of the handler is loaded. */
export interface WorkerSetup {
  readonly port: MessagePort;
  /** Takes reports as JSON texts; whatever comes on `port` tells the host to look. */
  readonly ring: SharedArrayBuffer;
  /** A byte for each attempt at work, set when its handler is called: what spins cannot say any more that it has begun. */
  readonly begun: SharedArrayBuffer;
  readonly sources: SourceBridge;
  readonly route: string;
  readonly fileUrl: string;
  readonly folderUrl: string;
  readonly guarded: boolean;
}

/** The worker asks for a module on `port` and sleeps on `bell` until the host has answered. */
export interface SourceBridge {
  readonly port: MessagePort;
  readonly bell: SharedArrayBuffer;
}

/** Host to worker: what one frame asked for, with the bytes of its attempts end to end. */
export interface WorkerOrders {
  readonly commands: readonly WorkerCommand[];
  readonly bytes: Uint8Array;
}

/** One order; `nonce` is known to the host and the worker only. */
export type WorkerCommand =
  | ({ readonly kind: "run"; readonly nonce: string; readonly place: number } & AttemptSizes)
  | { readonly kind: "abort"; readonly nonce: string; readonly reason: string };

/** Worker to host. */
export type WorkerReport =
  | ({ readonly kind: "done"; readonly nonce: string } & Verdict)
  | { readonly kind: "doomed"; readonly nonce: string; readonly reason: string }
  | { readonly kind: "output"; readonly nonce: string; readonly output: string }
  | { readonly kind: "broken" };

/** Bytes of that; an engine runs half as many attempts at once in all. */
export const attemptPlaces = 1_024;

/** The host's answer to a request for a module. */
export type ModuleSource =
  | { readonly ok: true; readonly format: "module" | "json" | "text"; readonly source: string }
  | { readonly ok: false; readonly reason: string };

/** Most characters of output kept per attempt. */
export const outputCharsMax = 64 * 1024;
