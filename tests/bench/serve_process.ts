/**
 * `weir serve` on a project of the benchmark: the program that people run, with its log lines, weighed from outside.
 */

import { weirProgram } from "../support/weir_program.ts";
import { buildRoutes } from "./bench_routes.ts";
import { cpuMsOf, residentMB } from "./measured_process.ts";

/** A running `weir serve`. */
export interface ServeProcess extends AsyncDisposable {
  readonly port: number;
  /** From its start to its word that it listens. */
  readonly readyMs: number;
  residentMB(): number;
  /** Of the process and its children. */
  cpuMs(): number;
  /** Resolves when it has said of that many deliveries that they succeeded. */
  finished(count: number): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
}

/** Starts it on a log in `folder`, with the script handler. */
export async function startServe(folder: string): Promise<ServeProcess> {
  const config = `${folder}/routes.yaml`;
  await Deno.writeTextFile(config, JSON.stringify(buildRoutes({ folder, work: "script", ordered: true })));
  const startedAt = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...weirProgram, "serve", "--config", config],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const ready = Promise.withResolvers<{ port: number; readyMs: number }>();
  let succeeded = 0;
  let waiting = { count: Infinity, resolve: () => {} };
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.includes(`"state":"succeeded"`) && ++succeeded === waiting.count) waiting.resolve();
        const [, port] = /ingest http:\/\/127\.0\.0\.1:(\d+)/.exec(line) ?? [];
        if (port !== undefined) ready.resolve({ port: Number(port), readyMs: performance.now() - startedAt });
      }
    }
    ready.reject(new Error("weir serve ended before it listened"));
  };
  const heard = read();
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
    await child.status;
    await heard;
  };
  return {
    ...await ready.promise,
    residentMB: () => residentMB(child.pid),
    cpuMs: () => cpuMsOf(child.pid),
    async finished(count) {
      if (succeeded < count) await new Promise<void>((resolve) => waiting = { count, resolve });
    },
    stop: () => end("SIGTERM"),
    [Symbol.asyncDispose]: () => end("SIGKILL"),
  };
}
