/**
 * Stands between engines and their server and cuts connections: in the middle of a request, or after the request went
 * through and before its reply did. Which of the two it was, an engine cannot know.
 */

import type { SeededRandom } from "../../support/seeded_random.ts";

/** The proxy. */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  /** How likely each piece of a request or of a reply is to be the last of its connection. */
  chance: number;
  readonly requestsCut: number;
  readonly repliesCut: number;
  /** Closes every connection and takes no new one, or takes them again. */
  isolate(alone: boolean): void;
}

/** Starts a proxy in front of `target`. */
export function startCuttingProxy(target: string, random: SeededRandom): CuttingProxy {
  const { hostname, port } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const cuts = { request: 0, reply: 0 };
  const running = new Set<Promise<void>>();
  let isAlone = false;

  async function serve(client: Deno.Conn): Promise<void> {
    open.add(client);
    if (isAlone) return close(client);
    let server: Deno.Conn;
    try {
      server = await Deno.connect({ hostname, port: Number(port) });
    } catch {
      return close(client);
    }
    open.add(server);
    if (isAlone) close(server); // while it was being connected
    await Promise.all([pass("request", client, server), pass("reply", server, client)]);
  }

  async function pass(kind: "request" | "reply", from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const chunk = new Uint8Array(65_536);
    try {
      for (let count; (count = await from.read(chunk)) !== null;) {
        const piece = chunk.subarray(0, count);
        if (!random.chance(proxy.chance)) {
          await writeAll(to, piece);
          continue;
        }
        cuts[kind]++;
        if (kind === "request") await writeAll(to, piece.subarray(0, random.below(count)));
        break;
      }
    } catch {
      // Either side has gone away: so does the other.
    }
    close(from);
    close(to);
  }

  function close(conn: Deno.Conn): void {
    if (!open.delete(conn)) return;
    conn.close();
  }

  const accepting = (async () => {
    for await (const client of listener) {
      const served = serve(client).finally(() => running.delete(served));
      running.add(served);
    }
  })();

  const proxy: CuttingProxy = {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    chance: 0,
    get requestsCut() {
      return cuts.request;
    },
    get repliesCut() {
      return cuts.reply;
    },
    isolate(alone) {
      isAlone = alone;
      if (alone) { for (const conn of open) close(conn); }
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) close(conn);
      await Promise.all([accepting, ...running]);
    },
  };
  return proxy;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
