/**
 * Cron schedules: checked when the configuration is loaded and compiled to one question, when the next tick is. What
 * happens where clocks change is the library's answer, written down here and held by tests.
 *
 * A fixed time of day (one second, one minute, one hour: `30 2 * * *`) runs once on every day that it is meant for: of two
 * such times the first, and at the first instant after the gap where there is none. Every other schedule follows the
 * clock on the wall: what falls into a gap does not run, and a repeated hour runs twice. This is what Vixie cron does.
 */

import { Cron } from "croner";
import { describeError } from "../domain/error.ts";
import { didYouMean } from "../domain/naming.ts";

/** A schedule that can be asked, or why the text is none. */
export type CompiledSchedule =
  | { readonly ok: true; readonly next: (after: number) => number | undefined }
  | { readonly ok: false; readonly reason: string };

const nicknames = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/** An instant to begin at when asking whether a schedule ever ticks: five fields mean the same in every year. */
const someInstant = Date.UTC(2000, 0, 1);

/** Says why a text is not the name of a time zone; undefined when it is one. */
export function explainTimezone(text: string): string | undefined {
  // An offset such as +01:00 is understood by the platform, but knows no summer.
  if (/^[A-Za-z]/.test(text) && isTimezone(text)) return undefined;
  const hint = didYouMean(text, Intl.supportedValuesOf("timeZone"));
  return `expected the IANA name of a time zone, such as Europe/Berlin or UTC${hint}`;
}

function isTimezone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }) !== undefined;
  } catch {
    return false;
  }
}

/**
 * Compiles a schedule.
 *
 * @param text five fields, six with seconds in front, or a nickname
 * @param timezone an IANA name that holds
 */
export function compileSchedule(text: string, timezone: string): CompiledSchedule {
  const fields = text.trim().split(/\s+/);
  if (text.startsWith("@") ? !nicknames.includes(text.toLowerCase()) : fields.length !== 5 && fields.length !== 6) {
    const reason = `expected five fields (minute hour day month weekday), six with seconds in front, or one of ${
      nicknames.join(", ")
    }`;
    return { ok: false, reason };
  }
  try {
    const cron = new Cron(text.trim(), { timezone, paused: true });
    const next = (after: number): number | undefined => cron.nextRun(new Date(after))?.getTime();
    return next(someInstant) === undefined ? { ok: false, reason: "it never comes" } : { ok: true, next };
  } catch (error) {
    return { ok: false, reason: describeError(error).replace(/^(?:\w+: )*CronPattern: /, "") };
  }
}
