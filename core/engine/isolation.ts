/**
 * When an inline suspect may run: a delivery that may have taken an engine down has this process for itself, so that the
 * next death can only be its doing. It is claimed when nothing else runs here, so whatever holds its queue holds it too.
 *
 * Neither may hurt the other. Others are held back for {@link holdMs} while a suspect runs, and for as long where suspects
 * find no moment at which nothing runs; then they go on, beside it if need be. And a suspect for which they were held back
 * {@link holdsMax} times in vain, because what runs takes longer than that, runs beside them.
 */

import type { Clock } from "../domain/clock.ts";
import type { QueueId } from "../store/store.ts";

/** How long the other inline handlers of an engine are held back for a suspect that runs, and for those that wait. */
export const holdMs = 5_000;

/** How long they go on before they are held back once more for suspects that wait. */
export const restMs = 50_000;

/** How often that is done in vain before a suspect runs beside others. */
export const holdsMax = 3;

/** See {@link createIsolation}. */
export interface Isolation {
  /** Whether nothing but suspects may begin here now. */
  readonly holds: boolean;
  /** Whether there is anything to see to when an attempt has ended. */
  readonly isConcerned: boolean;
  /** The queues that were asked and those of them that hold a suspect which nothing but the others keeps from running. */
  found(asked: Iterable<QueueId>, suspects: readonly QueueId[]): void;
  /**
   * To be asked once the others had their turn: whose suspect may begin now, if anybody's. Its queue then waits no more
   * until it is found again. Where suspects have to wait, the others may be held back from now on, and also be let go.
   */
  turn(): QueueId | undefined;
  /** An attempt begins in this process; the returned function says that its end is in the log. */
  began(isSuspect: boolean): () => void;
  /** Nobody is held back any more, and no suspect begins. */
  stop(): void;
}

/**
 * Makes the isolation of one engine.
 *
 * @param options `changed` is called when others may begin again, or suspects may be seen to once more
 */
export function createIsolation({ clock, changed }: { clock: Clock; changed: () => void }): Isolation {
  /** The one that waits for longest first. */
  const waiting = new Set<QueueId>();
  let running = 0;
  let suspectRuns = false;
  /** `servesUntil`: the others were stopped for it, so until then one suspect follows the other. */
  let hold: { readonly servesUntil?: number; readonly hasServed: boolean } | undefined;
  let heldInVain = 0;
  let restsUntil = -Infinity;
  let isStopped = false;
  let cancelTimer = (): void => {};

  function wakeIn(ms: number, wake: () => void): void {
    cancelTimer();
    cancelTimer = clock.timer(ms, wake);
  }

  function holdBack(next: NonNullable<typeof hold>): void {
    if (isStopped) return;
    hold = next;
    wakeIn(holdMs, () => {
      if (!next.hasServed && running > 0) heldInVain++;
      letGo();
    });
  }

  function letGo(): void {
    cancelTimer();
    if (hold?.servesUntil !== undefined) restsUntil = clock.monotonic() + restMs;
    hold = undefined;
    changed();
  }

  function mayBegin(): boolean {
    if (isStopped || suspectRuns) return false;
    const now = clock.monotonic();
    if (hold !== undefined) {
      const isOver = waiting.size === 0 || (hold.servesUntil !== undefined && now >= hold.servesUntil);
      if (isOver) letGo(); // and now it is the turn of the others
      return !isOver && running === 0;
    }
    if (running === 0 || heldInVain >= holdsMax) return true;
    if (waiting.size === 0) return false;
    if (now >= restsUntil) holdBack({ servesUntil: now + holdMs, hasServed: false });
    else wakeIn(restsUntil - now, changed);
    return false;
  }

  return {
    get holds() {
      return hold !== undefined;
    },
    get isConcerned() {
      return hold !== undefined || waiting.size > 0;
    },
    found(asked, suspects) {
      for (const queue of asked) if (!suspects.includes(queue)) waiting.delete(queue);
      for (const queue of suspects) waiting.add(queue);
    },
    turn() {
      if (!mayBegin()) return undefined;
      const [first] = waiting;
      if (first !== undefined) waiting.delete(first);
      return first;
    },
    began(isSuspect) {
      running++;
      if (isSuspect) {
        suspectRuns = true;
        heldInVain = 0;
        holdBack({ servesUntil: hold?.servesUntil, hasServed: true });
      }
      return () => {
        running--;
        if (!isSuspect) return;
        suspectRuns = false;
        if (hold !== undefined && hold.servesUntil === undefined) letGo();
      };
    },
    stop() {
      isStopped = true;
      hold = undefined;
      cancelTimer();
    },
  };
}
