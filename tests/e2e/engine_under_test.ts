/**
 * `weir serve` as a process that is there to be killed.
 */

import { weirProgram } from "../support/weir_program.ts";

const outputLinesMax = 50;

/** Where an engine listens. */
export interface EngineAddresses {
  readonly ingestUrl: string;
  readonly adminUrl: string;
}

/** One start of an engine. */
export interface EngineUnderTest {
  readonly pid: number;
  /** On the rig's monotonic clock. */
  readonly spawnedAtMs: number;
  /** Rejects with the engine's last words if it ends before it listens. */
  readonly listening: Promise<EngineAddresses>;
  readonly status: Promise<Deno.CommandStatus>;
  /** The last that it said. */
  lastWords(): string;
  kill(signal: "SIGKILL" | "SIGTERM"): void;
}

/**
 * Starts an engine. An import map takes the place of the one in deno.json, and a program of its own, which is given the
 * routes, that of `weir serve`.
 */
export function startEngineUnderTest(
  routesFile: string,
  environment: Readonly<Record<string, string>>,
  { importMap, program }: { importMap?: string; program?: string } = {},
): EngineUnderTest {
  const imports = importMap === undefined ? [] : [`--import-map=${importMap}`];
  const run = program === undefined ? [...weirProgram, "serve", "--config"] : [program];
  const spawnedAtMs = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...imports, ...run, routesFile],
    env: { NO_COLOR: "1", ...environment },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const listening = Promise.withResolvers<EngineAddresses>();
  listening.promise.catch(() => {}); // whoever waits hears of it
  const lines: string[] = [];
  const hear = (line: string) => {
    lines.push(line);
    if (lines.length > outputLinesMax) lines.shift();
    const [, ingestUrl, adminUrl] = line.match(/listening: ingest (http:\S+), admin (http:[^\s"]+)/) ?? [];
    if (ingestUrl !== undefined && adminUrl !== undefined) listening.resolve({ ingestUrl, adminUrl });
  };
  const heard = Promise.all([readLines(child.stdout, hear), readLines(child.stderr, hear)]);
  const lastWords = () => lines.join("\n");
  const status = child.status.then(async (status) => {
    await heard;
    const { code, signal } = status;
    listening.reject(new Error(`the engine ended (${signal ?? code}) before it listened:\n${lastWords()}`));
    return status;
  });
  return { pid: child.pid, spawnedAtMs, listening: listening.promise, status, lastWords, kill: (s) => child.kill(s) };
}

async function readLines(stream: ReadableStream<Uint8Array>, hear: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) hear(line);
  }
}
