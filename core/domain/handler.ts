/**
 * The two sides of running an event: the handler as its author sees it ({@link Handler}), and the runner as the
 * engine sees it ({@link Runner}), which is the same for a script, an inline function and an HTTP target.
 */

import type { Clock } from "./clock.ts";
import type { Event, HeaderMap } from "./event.ts";
import type { AttemptReport } from "./outcome.ts";

/** The event as a handler sees it. */
// deno-lint-ignore no-explicit-any -- only the handler's author knows what the sender sends
export interface HandlerEvent<Body = any> {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly idempotencyKey?: string;
  readonly orderingKey?: string;
  /** When the sender says that it happened, if it does. */
  readonly time?: Date;
  readonly receivedAt: Date;
  readonly headers: HeaderMap;
  /** The parsed body; integers beyond 2^53 are strings. */
  readonly body: Body;
  /** The request's bytes exactly as they came. */
  readonly raw: Uint8Array;
}

/** What a handler can ask of the engine. */
export interface HandlerContext {
  readonly deliveryId: string;
  /** The same on every attempt and every redelivery: hand it to whatever must act only once. */
  readonly idempotencyKey: string;
  /** 1 on the first attempt. */
  readonly attempt: number;
  /** Aborts shortly before the attempt is killed. */
  readonly signal: AbortSignal;
  /** Kept with the attempt, like everything printed. */
  log(...values: unknown[]): void;
  /** `throw ctx.reject("why")`: no retry, a dead letter now. */
  reject(message: string): Error;
  /** `throw ctx.retryAfter("10m")`: fail, and try again no sooner than that. */
  retryAfter(duration: string, message?: string): Error;
}

/** A user's handler: what it returns is stored as the result; what it throws is a failed attempt. */
// deno-lint-ignore no-explicit-any -- as above
export type Handler<Body = any> = (event: HandlerEvent<Body>, ctx: HandlerContext) => unknown | Promise<unknown>;

/** One try at one delivery, as handed to a runner. */
export interface Attempt {
  readonly deliveryId: string;
  readonly idempotencyKey: string;
  /** 1 on the first counted attempt. */
  readonly attempt: number;
  readonly route: string;
  readonly target?: string;
  readonly orderingKey?: string;
  readonly event: Event;
  /** An earlier attempt of this delivery took its process down: share none with others. */
  readonly suspect: boolean;
}

/** Runs attempts of one queue. `run` never throws and never outlives the timeout it was made with by much. */
export interface Runner {
  /** @param stop aborts when the engine shuts down; the outcome is then `interrupted` unless it finished in time */
  run(attempt: Attempt, stop: AbortSignal): Promise<AttemptReport>;
  /** Lets go of everything it holds; called when no attempt is running. */
  close(): Promise<void>;
}

/** What a route grants its handler; everything absent is denied. */
export interface Permissions {
  readonly net: readonly string[];
  readonly env: readonly string[];
  /** Absolute paths. */
  readonly read: readonly string[];
}

/** What a script runner needs to know. */
export interface ScriptSpec {
  readonly route: string;
  /** Absolute path of the handler file. */
  readonly file: string;
  readonly permissions: Permissions;
  readonly timeoutMs: number;
  /** Values of the variables that the route grants, read from the engine's environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** What a target runner needs to know. */
export interface TargetSpec {
  readonly route: string;
  readonly name: string;
  readonly url: string;
  readonly secrets: readonly string[];
  readonly headers: HeaderMap;
  readonly timeoutMs: number;
}

/** The handler kinds that `plugins/` supplies to the engine. */
export interface RunnerFactories {
  script(spec: ScriptSpec, host: RunnerHost): Runner;
  target(spec: TargetSpec, host: RunnerHost): Runner;
}

/** What the engine lends to every runner. */
export interface RunnerHost {
  readonly clock: Clock;
  /** A file on which every child process holds a shared lock for as long as it lives; undefined without a local log. */
  readonly childLockFile?: string;
}
