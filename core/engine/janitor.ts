/**
 * Keeps the log from growing for ever: now and then it erases what has aged out, one short batch after the other with a
 * pause between them, so that no commit waits for long. What exactly goes, and in what order, the store knows.
 */

import type { Clock } from "../domain/clock.ts";
import type { Retention } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import type { Expired, Store } from "../store/store.ts";
import type { Observer } from "./observer.ts";

/** From the end of one round to the beginning of the next. */
export const janitorEveryMs = 60_000;

/** Between two batches of a round. */
export const janitorPauseMs = 50;

/** Options of {@link createJanitor}. */
export interface JanitorOptions {
  readonly store: Pick<Store, "expire">;
  /** Asked for at every batch, so that a reload counts. */
  readonly retention: () => Retention;
  readonly clock: Clock;
  readonly observe: Observer;
}

/** The loop that erases what is old. */
export interface Janitor {
  start(): void;
  /**
   * Erases one batch.
   *
   * @returns whether there is more to do at once
   */
  tick(): Promise<boolean>;
  /** Resolves when nothing is being erased any more. */
  stop(): Promise<void>;
}

/** Makes a janitor; it does nothing until it is started or ticked. */
export function createJanitor({ store, retention, clock, observe }: JanitorOptions): Janitor {
  let round: Record<string, number> = {};
  let ticking: Promise<unknown> = Promise.resolve();
  let cancelTimer = (): void => {};
  let open = false;

  async function tick(): Promise<boolean> {
    const { more, ...erased } = await store.expire({ retention: retention(), now: clock.now() });
    for (const [what, count] of Object.entries(erased)) round[what] = (round[what] ?? 0) + count;
    if (!more) report();
    return more;
  }

  function report(): void {
    const message = describeRound(round);
    round = {};
    if (message !== undefined) observe({ kind: "engine", at: clock.now(), level: "info", message });
  }

  async function turn(): Promise<void> {
    let more = false;
    try {
      more = await tick();
    } catch (error) {
      const message = `cannot erase what is old: ${describeError(error)}`;
      observe({ kind: "engine", at: clock.now(), level: "error", message });
    }
    if (open) comeBack(more ? janitorPauseMs : janitorEveryMs);
  }

  function comeBack(delayMs: number): void {
    cancelTimer = clock.timer(delayMs, () => void (ticking = turn()));
  }

  return {
    start() {
      open = true;
      comeBack(janitorPauseMs);
    },
    tick,
    async stop() {
      open = false;
      cancelTimer();
      await ticking;
    },
  };
}

/** What a round erased, without what it did not; undefined when that is nothing. */
function describeRound(round: Partial<Omit<Expired, "more">>): string | undefined {
  const { keys, marks, pages, ...rows } = round;
  const named = { ...rows, "idempotency keys": keys, "lane marks": marks, "pages of free space": pages };
  const parts = Object.entries(named).filter(([, count]) => (count ?? 0) > 0).map(([what, count]) =>
    `${count} ${what}`
  );
  return parts.length === 0 ? undefined : `erased by age: ${parts.join(", ")}`;
}
