/**
 * When an inline suspect may run: a delivery that may have taken an engine down has this process for itself, so that the
 * next death can only be its doing. As soon as one could begin, no other inline attempt does until it has ended; it begins
 * when those that run have ended, and after it the others have a turn before the next one. It is claimed only then, so
 * whatever holds its queue holds it too.
 *
 * That others wait for it, and it for them, for as long as a handler may take, is what being alone in a process costs.
 */

import type { QueueId } from "../store/store.ts";

/** See {@link createIsolation}. */
export interface Isolation {
  /** Whether nothing but a suspect may begin here now. */
  readonly holds: boolean;
  /** Whether a look is due when an attempt has ended. */
  readonly isConcerned: boolean;
  /** The queue whose suspect may begin now: of those that hold one, the one that has waited for longest. */
  readonly next: QueueId | undefined;
  /** The queues that were asked, and those of them that hold a suspect which nothing else keeps from beginning. */
  found(asked: readonly QueueId[], suspects: readonly QueueId[]): void;
  /** The suspect of a queue has been asked for. */
  forget(queue: QueueId): void;
  /** Whoever else could begin has begun. */
  endTurn(): void;
  /** An attempt begins in this process; the returned function says that its end is in the log. */
  began(isSuspect: boolean): () => void;
  /** No suspect begins any more. */
  stop(): void;
}

/** Makes the isolation of one engine. */
export function createIsolation(): Isolation {
  const waiting = new Set<QueueId>();
  let running = 0;
  let suspectRuns = false;
  let isOthersTurn = false;
  let isStopped = false;

  return {
    get holds() {
      return suspectRuns || (waiting.size > 0 && !isOthersTurn);
    },
    get isConcerned() {
      return isOthersTurn || waiting.size > 0;
    },
    get next() {
      const [first] = waiting;
      return running > 0 || isOthersTurn || isStopped ? undefined : first;
    },
    found(asked, suspects) {
      for (const queue of asked) if (!suspects.includes(queue)) waiting.delete(queue);
      for (const queue of suspects) waiting.add(queue);
    },
    forget: (queue) => void waiting.delete(queue),
    endTurn() {
      isOthersTurn = false;
    },
    began(isSuspect) {
      running++;
      if (isSuspect) suspectRuns = true;
      return () => {
        running--;
        if (!isSuspect) return;
        suspectRuns = false;
        isOthersTurn = true;
      };
    },
    stop() {
      isStopped = true;
    },
  };
}
