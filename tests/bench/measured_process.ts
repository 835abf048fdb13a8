/**
 * A process of the benchmark as its parent holds it: spoken to in JSON lines, and weighed from outside through `/proc`,
 * children included, so that nothing it says about itself has to be believed.
 */

/** A running process. */
export interface MeasuredProcess<Hello> {
  readonly pid: number;
  /** The first thing it said. */
  readonly hello: Hello;
  ask<Answer>(request: Record<string, unknown>): Promise<Answer>;
  /** CPU time so far of the process and everything below it. */
  cpuMs(): number;
  /** Ends it and waits. */
  end(): Promise<void>;
}

/** How to start one. */
export interface ProcessOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly v8Flags?: readonly string[];
  /** More flags of `deno run`. */
  readonly flags?: readonly string[];
}

/** Starts `script` (a file beside this one) and waits for its hello. */
export async function startProcess<Hello>(
  script: string,
  options: ProcessOptions = {},
): Promise<MeasuredProcess<Hello>> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      ...(options.v8Flags ?? []).map((flag) => `--v8-flags=${flag}`),
      ...options.flags ?? [],
      new URL(script, import.meta.url).href,
      ...options.args ?? [],
    ],
    env: { NO_COLOR: "1", ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = readLines(child.stdout);
  const hear = async <Answer>(): Promise<Answer> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${script} ended before it answered`);
    const answer = JSON.parse(value);
    if (answer.error !== undefined) throw new Error(`${script}: ${answer.error}`);
    return answer as Answer;
  };
  const hello = await hear<Hello>();
  return {
    pid: child.pid,
    hello,
    async ask(request) {
      await writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
      return await hear();
    },
    cpuMs: () => cpuMsOf(child.pid),
    async end() {
      await writer.close().catch(() => {});
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
      await child.status;
      await lines.return(undefined);
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const parts: string[] = [];
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = text.split("\n");
    const last = lines.pop()!;
    for (const line of lines) {
      yield parts.splice(0).join("") + line;
    }
    parts.push(last);
  }
}

/** The kernel counts CPU time in hundredths of a second (USER_HZ, the same on every architecture that Deno runs on). */
export const tickMs = 10;

/** CPU time of a process tree: of those that live, and of those whose end was waited for. */
export function cpuMsOf(pid: number): number {
  const parents = new Map<number, { parent: number; ticks: number }>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const text = Deno.readTextFileSync(`/proc/${name}/stat`);
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
      // proc_pid_stat(5): ppid is field 4; utime, stime, cutime, cstime are 14 to 17.
      parents.set(Number(name), { parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! });
    } catch {
      // It ended while we looked.
    }
  }
  let ticks = 0;
  for (const [each, own] of parents) {
    for (let at: number | undefined = each; at !== undefined; at = parents.get(at)?.parent) {
      if (at === pid) {
        ticks += own.ticks;
        break;
      }
    }
  }
  return ticks * tickMs;
}

/** Resident memory of one process, in MB (10^6 bytes). */
export function residentMB(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kib) * 1_024 / 1e6;
}
