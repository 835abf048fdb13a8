/**
 * How a process of the benchmark is spoken to: one JSON line in, one JSON line out, in order. What it prints otherwise
 * goes to stderr.
 */

/** Microseconds matter between processes: epoch milliseconds with a fraction, the same in all of them. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}

/** Answers one request; what it throws is the answer's `error`. */
export type Answerer = (request: Record<string, unknown>) => unknown | Promise<unknown>;

/** Says `hello` and answers every line of standard input until it closes. */
export async function serveLines(hello: unknown, answer: Answerer): Promise<void> {
  await say(hello);
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      try {
        await say(await answer(JSON.parse(line)) ?? {});
      } catch (error) {
        await say({ error: String((error as Error).stack ?? error) });
      }
    }
  }
}

async function say(value: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}
