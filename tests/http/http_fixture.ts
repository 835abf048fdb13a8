/**
 * What the HTTP tests stand on: a configuration, an intake that remembers what it was given, and a way to write bytes on a socket that no HTTP client would write.
 */

import type { Config, HttpSource, ServerConfig, Source } from "../../core/domain/config.ts";
import type { IncomingRequest } from "../../core/domain/event.ts";
import { type Provider, refused } from "../../core/domain/provider.ts";
import type { Generation } from "../../core/engine/generation.ts";
import type { Intake, Intaken } from "../../core/engine/intake.ts";
import type { Observation, Observer } from "../../core/engine/observer.ts";

const provider: Provider = {
  name: "example",
  summary: "A sender that exists for tests.",
  signatureHeaders: ["x-signature"],
  secret: "required",
  signsId: true,
  contentTypes: ["application/json"],
  bind: () => ({ ok: false, issues: [] }),
};

/** A source at `/hooks/a` that takes JSON up to 1,000 bytes. */
export function httpSource(changed: Partial<HttpSource> = {}): HttpSource {
  return {
    kind: "http",
    name: "a",
    path: "/hooks/a",
    provider,
    scheme: { verify: () => refused("unused"), describe: () => [], sign: (draft) => draft },
    allowIps: [],
    bodyBytesMax: 1_000,
    contentTypes: ["application/json"],
    ...changed,
  };
}

/** A configuration with these sources and no routes. */
export function makeConfig(
  sources: readonly Source[] = [httpSource()],
  changed: { server?: Partial<ServerConfig>; config?: Partial<Config> } = {},
): Config {
  return {
    server: {
      listen: { hostname: "127.0.0.1", port: 8080 },
      admin: { hostname: "127.0.0.1", port: 8081 },
      trustedProxies: [],
      ...changed.server,
    },
    storage: { url: "file:/unused" },
    retention: { eventsMs: 9_000, attemptsMs: 9_000, deadMs: 9_000, idempotencyMs: 1_000 },
    sources: new Map(sources.map((source) => [source.name, source])),
    routes: [],
    environment: {},
    variables: new Map(),
    files: [],
    hash: "hash-1",
    ...changed.config,
  };
}

/** A generation of {@link makeConfig}'s configuration: nothing is behind its door. */
export function makeGeneration(...how: Parameters<typeof makeConfig>): Generation {
  return { config: makeConfig(...how), queues: new Map(), routesFrom: () => [], queuesOf: () => [] };
}

/** An intake that remembers every request and answers as told. */
export interface FakeIntake extends Intake {
  readonly received: IncomingRequest[];
}

export function createFakeIntake(answer: (request: IncomingRequest) => Intaken | Promise<Intaken>): FakeIntake {
  const received: IncomingRequest[] = [];
  return {
    received,
    receive(_from, request) {
      received.push(request);
      return Promise.resolve(answer(request));
    },
    publish: () => Promise.reject(new RangeError("unused")),
    tick: () => Promise.reject(new RangeError("unused")),
    beginTicking: () => Promise.reject(new RangeError("unused")),
  };
}

/** Accepts everything as one new event. */
export const acceptOne = (): Intaken => ({ kind: "accepted", events: [{ status: "accepted", eventId: "evt_1" }] });

/** Keeps what it is told. */
export function createRecorder(): { seen: Observation[]; observe: Observer } {
  const seen: Observation[] = [];
  return { seen, observe: (observation) => void seen.push(observation) };
}

/** The other end of a connection, as `Deno.serve` tells it. */
export function from(hostname: string): { remoteAddr: Deno.NetAddr } {
  return { remoteAddr: { transport: "tcp", hostname, port: 40_000 } };
}

/**
 * Writes bytes as they are and reads what comes back, until the answer is whole or the other side hangs up.
 *
 * @param text each piece is one write
 */
export async function exchange(port: number, ...text: string[]): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  for (const piece of text) await write(connection, piece);
  return await readAnswer(connection);
}

/** Writes a text as bytes. A peer that has stopped reading is no failure here: its answer is what counts. */
export async function write(connection: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at)).catch(() => bytes.length);
}

/** Reads one answer: its head, and as much body as its Content-Length says. */
export async function readAnswer(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(65_536);
  let answer = "";
  for (;;) {
    const [head, body] = answer.split("\r\n\r\n", 2);
    const length = head?.match(/content-length: (\d+)/i)?.[1];
    if (body !== undefined && length !== undefined && body.length >= Number(length)) return answer;
    const read = await connection.read(buffer).catch(() => null);
    if (read === null) return answer;
    answer += new TextDecoder().decode(buffer.subarray(0, read));
  }
}
