/**
 * Sources that are clocks: turns the ticks of their schedules into events. A tick is its UTC instant, which is its
 * idempotency key, so no tick runs twice, however many engines share the log and whatever becomes of the clock.
 *
 * What was missed, because no engine ran, the machine slept or somebody set the clock forward, runs once: the last tick
 * alone. A clock that is set back makes ticks late at most, since one that has run is known by its instant: those that
 * have not, because the clock was far ahead when it passed them, run.
 */

import { type Clock, clockSkewMsMax } from "../domain/clock.ts";
import type { CronSource } from "../domain/config.ts";
import { describeError } from "../domain/error.ts";
import type { Store } from "../store/store.ts";
import type { Generation } from "./generation.ts";
import type { Intake, SourceAtWork } from "./intake.ts";
import type { Observer } from "./observer.ts";

/** Longest time until the clock on the wall is read again: how late a jump of it, or the end of a pause, is noticed. */
export const lookMsMax = 60_000;

/** How long to wait before asking a log again that could not be read or written. */
const unavailableRetryMs = 1_000;

/** Options of {@link createCron}. */
export interface CronOptions {
  readonly store: Pick<Store, "sources">;
  /** The configuration at work now. */
  readonly generation: () => Generation;
  readonly intake: Pick<Intake, "tick" | "beginTicking">;
  /** Whether somebody has paused a source. What it misses meanwhile runs once when it goes on. */
  readonly paused: (source: string) => boolean;
  readonly clock: Clock;
  readonly observe: Observer;
}

/** The loop that makes cron sources tick. */
export interface Cron {
  /** Lets it tick: what was missed since the last tick in the log first. */
  start(): void;
  /** The configuration has changed: sources that it brings, or whose schedule it changes, begin now. */
  wake(): void;
  /** Ends it; resolves when nothing of it is on its way into the log. */
  stop(): Promise<void>;
}

/** How far a source has ticked. */
interface Progress {
  readonly schedule: string;
  readonly at: number;
}

/** Makes the loop; it does nothing until it is started, and nothing without cron sources. */
export function createCron(options: CronOptions): Cron {
  const { store, intake, clock, observe } = options;
  const progress = new Map<string, Progress>();
  let open = false;
  let begun = false;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  let cancelTimer = (): void => {};

  async function look(): Promise<void> {
    do {
      lookAgain = false;
      cancelTimer();
      try {
        const waitMs = await tickAll();
        if (waitMs !== undefined && open) cancelTimer = clock.timer(waitMs, wake);
      } catch (error) {
        observe({ kind: "engine", at: clock.now(), level: "error", message: `cannot tick: ${describeError(error)}` });
        if (open) cancelTimer = clock.timer(unavailableRetryMs, wake);
      }
    } while (lookAgain && open);
    looking = undefined;
  }

  /** Logs every tick that is due; answers how long to wait for the next one. */
  async function tickAll(): Promise<number | undefined> {
    const generation = options.generation();
    const sources = [...generation.config.sources.values()].flatMap((source) =>
      source.kind === "cron" ? [{ source, generation }] : []
    );
    for (const name of progress.keys()) {
      if (!sources.some(({ source }) => source.name === name)) progress.delete(name);
    }
    await begin(sources.filter(({ source }) => progress.get(source.name)?.schedule !== scheduleOf(source)));
    if (sources.length === 0) return undefined;
    const waits = await Promise.all(sources.map(tick));
    return Math.min(lookMsMax, ...waits);
  }

  /** Finds out where sources begin: at start-up where the log says that they were, else now. */
  async function begin(sources: readonly SourceAtWork<CronSource>[]): Promise<void> {
    const catchUp = !begun;
    const rows = sources.length === 0 ? [] : await store.sources();
    for (const from of sources) {
      const { source } = from;
      const now = clock.now();
      const row = rows.find(({ name }) => name === source.name);
      const logged = row?.cronAt === undefined ? undefined : reached(row.cronAt, now);
      const at = catchUp ? logged ?? now : Math.max(logged ?? now, now);
      // Without it, an engine that dies before the first tick would not know that it has missed it.
      if (at !== row?.cronAt) await intake.beginTicking(from, at);
      progress.set(source.name, { schedule: scheduleOf(source), at });
    }
    begun = true;
  }

  async function tick(from: SourceAtWork<CronSource>): Promise<number> {
    const { source } = from;
    if (options.paused(source.name)) return lookMsMax;
    const { schedule, at: logged } = progress.get(source.name)!;
    const now = clock.now();
    const at = reached(logged, now);
    if (at !== logged) progress.set(source.name, { schedule, at });
    const due = source.next(at);
    if (due === undefined) return lookMsMax;
    if (due > now) return due - now;
    const last = lastTick(source, { first: due, now });
    if (last !== due) {
      const missed = `missed ticks of ${source.name} since ${new Date(due).toISOString()}; only the last one runs`;
      observe({ kind: "engine", at: now, level: "warn", message: missed });
    }
    // If the process dies before this resolves, the tick is in the log or it is missed and runs at the next start.
    await intake.tick(from, last);
    progress.set(source.name, { schedule, at: last });
    return Math.max(1, (source.next(last) ?? Infinity) - clock.now());
  }

  function wake(): void {
    if (!open) return;
    if (looking === undefined) looking = look();
    else lookAgain = true;
  }

  return {
    start() {
      open = true;
      wake();
    },
    wake,
    async stop() {
      open = false;
      await looking;
      cancelTimer();
    },
  };
}

/** How far a source has ticked, by the clock of now: further ahead than clocks differ it was reckoned before that was set back. */
function reached(at: number, now: number): number {
  return at > now + clockSkewMsMax ? now : at;
}

/** The last tick that is not after now, given one that is not: by halving, since there may be millions between. */
function lastTick({ next }: CronSource, { first, now }: { first: number; now: number }): number {
  let last = first;
  for (let end = now; last < end;) {
    const middle = last + Math.floor((end - last) / 2);
    const found = next(middle);
    if (found !== undefined && found <= now) last = found;
    else end = middle;
  }
  return last;
}

function scheduleOf({ schedule, timezone }: CronSource): string {
  return `${schedule} ${timezone}`;
}
