/**
 * Who may run in this process: any number side by side, or one alone. In the order of asking, so that neither one who
 * wants to be alone nor those behind it wait for ever.
 */

/** The right to be inside. */
export interface Pass {
  /** Whether it came later than it was asked for. */
  readonly waited: boolean;
  /** Gives it back; to be called once. */
  leave(): void;
}

/** See {@link createGate}. */
export interface Gate {
  /** Resolves with undefined when `stop` aborts before it is this one's turn. */
  enter(wish: { alone: boolean; stop: AbortSignal }): Promise<Pass | undefined>;
}

/** Makes a gate with nobody inside. */
export function createGate(): Gate {
  const queue = new Set<{ alone: boolean; stop: AbortSignal; admit: () => void }>();
  let inside = 0;
  let isTaken = false;

  function mayEnter(alone: boolean): boolean {
    return !isTaken && (!alone || inside === 0);
  }

  function makePass(alone: boolean, waited: boolean): Pass {
    inside++;
    isTaken = alone;
    return {
      waited,
      leave() {
        inside--;
        isTaken = false;
        admitNext();
      },
    };
  }

  function admitNext(): void {
    for (const waiting of queue) {
      if (waiting.stop.aborted) continue; // it is about to hear of it
      if (!mayEnter(waiting.alone)) return;
      queue.delete(waiting);
      waiting.admit();
    }
  }

  return {
    enter({ alone, stop }) {
      if (stop.aborted) return Promise.resolve(undefined);
      if (queue.size === 0 && mayEnter(alone)) return Promise.resolve(makePass(alone, false));
      return new Promise((resolve) => {
        const waiting = {
          alone,
          stop,
          admit() {
            stop.removeEventListener("abort", giveUp);
            resolve(makePass(alone, true));
          },
        };
        const giveUp = (): void => {
          queue.delete(waiting);
          resolve(undefined);
          admitNext(); // those behind it may fit
        };
        queue.add(waiting);
        stop.addEventListener("abort", giveUp, { once: true });
      });
    },
  };
}
