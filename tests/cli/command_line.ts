/**
 * Runs `weir` as a process of its own, as a person would, and watches what it prints. Used by the tests beside it.
 */

import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** Longest wait for anything; a fact that is not there by then never comes. */
const waitMsMax = 30_000;

/** What a finished command left behind. */
export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Where and with what a command runs. */
export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** The compiled binary to run instead of the sources. */
  readonly binary?: string;
}

function command(args: readonly string[], options: CommandOptions, stdin: "piped" | "null"): Deno.ChildProcess {
  return new Deno.Command(options.binary ?? Deno.execPath(), {
    args: options.binary === undefined ? ["run", "-A", "--quiet", main, ...args] : [...args],
    cwd: options.cwd,
    env: { NO_COLOR: "1", ...options.env },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a command to its end. */
export async function runWeir(args: readonly string[], options: CommandOptions): Promise<Finished> {
  const child = command(args, options, options.stdin === undefined ? "null" : "piped");
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** An engine that runs in a process of its own. */
export interface EngineProcess {
  readonly pid: number;
  /** Where it takes events. */
  readonly ingestUrl: string;
  /** What other commands need to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Waits for a line of stdout or stderr, those included that were there before. */
  line(matching: RegExp): Promise<string>;
  kill(signal: Deno.Signal): void;
  /** Stops reading stdout, so that the engine writes into a broken pipe. */
  closeStdout(): Promise<void>;
  readonly status: Promise<Deno.CommandStatus>;
  /** Ends it, however it is. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts `serve`, `dev` or the like and waits until it listens. */
export async function startWeir(args: readonly string[], options: CommandOptions): Promise<EngineProcess> {
  const child = command(args, options, "null");
  const watched = watchLines();
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const reading = [
    read(stdout, watched.add),
    read(child.stderr.pipeThrough(new TextDecoderStream()).getReader(), watched.add),
  ];
  const status = child.status.then(async (status) => {
    await Promise.all(reading);
    watched.end(status.code);
    return status;
  });
  const engine = {
    pid: child.pid,
    line: watched.line,
    kill: (signal: Deno.Signal) => child.kill(signal),
    closeStdout: () => stdout.cancel(),
    status,
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await status;
    },
  };
  try {
    const [, ingestUrl, adminUrl] = (await watched.line(/listening: /)).match(
      /ingest (http:\S+), admin (http:[^\s"]+)/,
    )!;
    return { ...engine, ingestUrl: ingestUrl!, env: { WEIR_ADMIN_URL: adminUrl! } };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

async function read(reader: ReadableStreamDefaultReader<string>, add: (line: string) => void): Promise<void> {
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop()!;
    lines.forEach(add);
  }
}

/** Keeps lines and wakes those who wait for one. */
function watchLines() {
  const lines: string[] = [];
  const waiting = new Set<{ matching: RegExp; found: (line: string) => void; never: (error: Error) => void }>();
  return {
    add(line: string) {
      lines.push(line);
      for (const one of waiting) if (one.matching.test(line)) one.found(line);
    },
    end(code: number) {
      for (const one of waiting) one.never(new Error(`the process ended with ${code}; it said:\n${lines.join("\n")}`));
    },
    async line(matching: RegExp): Promise<string> {
      const before = lines.find((line) => matching.test(line));
      if (before !== undefined) return before;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const one = { matching, found: resolve, never: reject };
      waiting.add(one);
      const late = () => reject(new Error(`no line like ${matching} came; it said:\n${lines.join("\n")}`));
      const timer = setTimeout(late, waitMsMax);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(one);
      }
    },
  };
}
