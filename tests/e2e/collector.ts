/**
 * What handlers and targets report to: it keeps the history, and plays the target that the events are mirrored to. It
 * lives in the rig's process, so that no kill of an engine touches it.
 */

import { createHash } from "node:crypto";
import type { EndRecord, HistoryRecord, StartRecord } from "../support/history.ts";

/** What a handler of the kill project posts. */
interface Report extends Omit<StartRecord, "kind" | "queue" | "proc"> {
  readonly type: string;
  readonly pid: number;
}

/** Options of {@link createCollector}. */
export interface CollectorOptions {
  readonly records: HistoryRecord[];
  /** The name of the process behind a number that is seen for the first time. */
  identify(pid: number): string;
  /** Called after each start is recorded, before whoever reports it is answered. */
  started(start: StartRecord): void;
  /** Called after each end is recorded, before whoever reports it is answered. */
  ended?(end: EndRecord): void;
  /** Whether a handler that can spin is to. */
  spins(key: string): boolean;
}

/** The rig's server. */
export interface Collector extends AsyncDisposable {
  /** Host and port. */
  readonly host: string;
  /** Runs that succeeded, repetitions included. */
  readonly succeeded: number;
}

/** Starts the server on a free port of the loopback. */
export function createCollector(options: CollectorOptions): Collector {
  const { records } = options;
  const known = new Map<number, string>();
  const targetAttempts = new Map<string, number>();
  let succeeded = 0;

  function start(record: StartRecord): void {
    records.push(record);
    options.started(record);
  }

  function end(run: string, outcome: "succeeded" | "failed"): void {
    const record = { kind: "end", run, outcome } as const;
    records.push(record);
    if (outcome === "succeeded") succeeded++;
    options.ended?.(record);
  }

  async function target(request: Request): Promise<Response> {
    const raw = await request.bytes().catch(() => undefined);
    if (raw === undefined) return new Response(null, { status: 400 }); // its engine died in the middle of it
    const { key } = JSON.parse(new TextDecoder().decode(raw));
    const delivery = request.headers.get("webhook-id")!;
    const attempt = (targetAttempts.get(delivery) ?? 0) + 1;
    targetAttempts.set(delivery, attempt);
    const run = crypto.randomUUID();
    const digest = createHash("sha256").update(raw).digest("hex");
    // A request of a killed engine may still be in the socket when the next one has begun: its header tells them apart.
    const boot = request.headers.get("x-rig-boot") ?? undefined;
    start({ kind: "start", run, queue: "mirror/rig", delivery, key, attempt, digest, boot });
    const [chance, pause] = createHash("sha256").update(`${delivery}/${attempt}`).digest();
    await new Promise((resolve) => setTimeout(resolve, pause! % 4));
    const fails = chance! % 3 === 0;
    end(run, fails ? "failed" : "succeeded");
    return new Response(null, { status: fails ? 500 : 204 });
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/target") return await target(request);
    const report = await request.json();
    if (pathname === "/end") {
      end(report.run, report.outcome);
      return Response.json({});
    }
    const { pid, type, ...seen } = report as Report;
    const proc = known.get(pid) ?? options.identify(pid);
    known.set(pid, proc);
    start({ ...seen, kind: "start", queue: type === "ping" ? "spin" : "work", proc });
    return Response.json({ spin: options.spins(seen.key) });
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  return {
    host: `127.0.0.1:${server.addr.port}`,
    get succeeded() {
      return succeeded;
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
