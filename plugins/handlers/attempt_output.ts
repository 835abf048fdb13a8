/**
 * What a handler prints, kept with its attempt: console.* and ctx.log of one attempt in one text, cut at a limit that is
 * counted while it grows, so that a flood costs neither memory nor the next attempt.
 */

import { outputCharsMax } from "./script_protocol.ts";

/** The growing text of one attempt. */
export interface AttemptOutput {
  write(text: string): void;
  /** The text so far, with a last line that says how much was cut. */
  read(): string;
}

/** An empty output. */
export function createAttemptOutput(): AttemptOutput {
  let kept = "";
  let cutChars = 0;
  return {
    write(text) {
      const room = outputCharsMax - kept.length;
      if (text.length <= room) {
        kept += text;
        return;
      }
      kept += text.slice(0, room);
      cutChars += text.length - room;
    },
    read: () => cutChars === 0 ? kept : `${kept}\n… ${cutChars} more characters were cut\n`,
  };
}

type ConsoleClass = new (print: (text: string, level: number) => void) => Console;

/**
 * Sends everything that goes through the global console to `print`. Needs Deno's own Console class, so it runs before
 * the doors are closed.
 */
export function captureConsole(print: (text: string) => void): void {
  const runtime = Deno as unknown as Record<PropertyKey, unknown>;
  const { Console } = runtime[runtime.internal as PropertyKey] as { Console: ConsoleClass };
  const captured = new Console((text) => print(text.replaceAll(ansiColor, "")));
  for (const name of Object.keys(captured) as (keyof Console)[]) {
    Object.defineProperty(console, name, { value: captured[name], writable: true, configurable: true });
  }
}

// deno-lint-ignore no-control-regex -- the escape character is what it looks for
const ansiColor = /\x1b\[[0-9;]*m/g;
