/**
 * When an inline suspect may run: a delivery that may have taken an engine down has this process for itself, so that the
 * next death can only be its doing. It is claimed when nothing else runs here, so whatever holds its queue holds it too.
 *
 * Neither may it hurt the others. They are held back for {@link holdMs} while it runs, and for as long where suspects wait
 * in vain for a moment at which nothing runs; then they go on, beside it if need be. What dies with a suspect is not
 * counted against those that run beside it.
 */

import type { Clock } from "../domain/clock.ts";
import type { QueueId } from "../store/store.ts";

/** How long the other inline handlers of an engine are held back for a suspect that runs, and for those that wait. */
export const holdMs = 5_000;

/** How long they go on before they are held back once more for suspects that wait. */
export const restMs = 50_000;

/** See {@link createIsolation}. */
export interface Isolation {
  /** Whether nothing but suspects may begin here now. */
  readonly holds: boolean;
  /** Whether a suspect needs one of the places that the engine has for attempts. */
  readonly needsPlace: boolean;
  /** Whether there is anything to see to when an attempt has ended. */
  readonly isConcerned: boolean;
  /** The queues that were asked and those of them that hold a suspect. */
  found(asked: Iterable<QueueId>, suspects: readonly QueueId[]): void;
  /** The queue of the suspect whose turn it is now, if it is anybody's. It may be held back for one that waits. */
  turn(): QueueId | undefined;
  /** An attempt begins in this process; the returned function says that its end is in the log. */
  began(isSuspect: boolean): () => void;
  /** Holds nobody back any more. */
  stop(): void;
}

/**
 * Makes the isolation of one engine.
 *
 * @param options `released` is called whenever others may begin again
 */
export function createIsolation({ clock, released }: { clock: Clock; released: () => void }): Isolation {
  /** The one that waits for longest first. */
  const waiting = new Set<QueueId>();
  let running = 0;
  let suspectRuns = false;
  /** `servesUntil`: the others were stopped for it, so until then one suspect follows the other. */
  let hold: { readonly servesUntil?: number; readonly cancelTimer: () => void } | undefined;
  let restsUntil = -Infinity;

  function holdBack(servesUntil: number | undefined): void {
    hold?.cancelTimer();
    hold = { servesUntil, cancelTimer: clock.timer(holdMs, release) };
  }

  function end(): void {
    if (hold?.servesUntil !== undefined) restsUntil = clock.monotonic() + restMs;
    hold?.cancelTimer();
    hold = undefined;
  }

  function release(): void {
    end();
    released();
  }

  return {
    get holds() {
      return hold !== undefined;
    },
    get needsPlace() {
      return waiting.size > 0 && running === 0;
    },
    get isConcerned() {
      return hold !== undefined || waiting.size > 0;
    },
    found(asked, suspects) {
      for (const queue of asked) waiting.delete(queue);
      for (const queue of suspects) waiting.add(queue);
    },
    turn() {
      if (suspectRuns) return undefined;
      const [first] = waiting;
      const now = clock.monotonic();
      if (hold !== undefined && (first === undefined || now >= hold.servesUntil!)) {
        release(); // the others first
        return undefined;
      }
      if (running === 0) return first;
      if (first !== undefined && hold === undefined && now >= restsUntil) holdBack(now + holdMs);
    },
    began(isSuspect) {
      running++;
      if (isSuspect) {
        suspectRuns = true;
        holdBack(hold?.servesUntil);
      }
      return () => {
        running--;
        if (!isSuspect) return;
        suspectRuns = false;
        if (hold !== undefined && hold.servesUntil === undefined) release();
      };
    },
    stop: end,
  };
}
