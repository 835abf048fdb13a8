/**
 * The common part of every peer's front: what wire.ts does with a request, then the peer's own durable enqueue, and only
 * then the answer. The peer's consumer runs in the same process and says here what it starts and finishes.
 */

import { createFinishCounter } from "../finish_counter.ts";
import { preciseNow, serveLines } from "../line_server.ts";
import { accept, type BenchEvent, readVerified } from "../verified_event.ts";

/** What a consumer tells. */
export interface Consumption {
  /** The handler of this event began. */
  started(id: string): void;
  /** An event is finished. */
  finished(): void;
  /** The peer or its client complained. */
  failed(reason: unknown): void;
}

/** A peer, as its front uses it. */
export interface PeerQueue {
  /** Resolves when the event is where the peer keeps it, as durably as the peer promises. */
  enqueue(event: BenchEvent): Promise<unknown>;
  /** Events that the peer's own store does not call finished. */
  unfinished(): Promise<number>;
  /** The settings that decide what survives a power cut, as the running server names them. */
  durability(): Promise<string>;
}

/** How a front answers the step `check`. */
export interface FrontCheck {
  readonly failed?: string;
  /** Handlers begun, and how many different events they were for. */
  readonly handled: number;
  readonly distinct: number;
  readonly unfinished: number;
  readonly durability: string;
}

/**
 * Imports a peer's package. The specifier is an argument so that it is found by nobody who reads the source: type checks,
 * the lock file and the machines that run the tests shall not need the packages of a comparison.
 */
export function importPackage<Module>(specifier: string): Promise<Module> {
  return import(specifier);
}

/** Opens the peer and serves its front until the parent has heard enough. */
export async function serveFront(open: (consumption: Consumption) => Promise<PeerQueue>): Promise<void> {
  const finished = createFinishCounter();
  const starts = new Map<string, number>();
  let handled = 0;
  const queue = await open({
    started(id) {
      handled++;
      starts.set(id, preciseNow());
    },
    finished: () => finished.add(),
    failed: (reason) => finished.fail(String((reason as Error)?.stack ?? reason)),
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const event = await readVerified(request);
    if (event === undefined) return new Response(null, { status: 401 });
    await queue.enqueue(event);
    return accept(event);
  });
  await serveLines({ port: server.addr.port }, async ({ step, count, at, prefix }) => {
    switch (step) {
      case "finished":
        return { count: finished.countAt(at as number) };
      case "wait":
        return { at: await finished.reach(count as number) };
      case "starts":
        return { starts: [...starts].filter(([id]) => id.startsWith(prefix as string)) };
      case "check":
        return {
          failed: finished.failed,
          handled,
          distinct: starts.size,
          unfinished: await queue.unfinished(),
          durability: await queue.durability(),
        } satisfies FrontCheck;
      default:
        throw new RangeError(`unknown step ${step}`);
    }
  });
}
