/**
 * The endpoint to which the demo fans out: it checks what it gets as any receiver of Standard Webhooks should, with the
 * same provider that guards a source.
 */

import { standard } from "../plugins/mod.ts";
import { makeSecret } from "./secret.ts";

/** A loopback endpoint with a secret of its own. */
export interface Inbox {
  readonly url: string;
  readonly secret: string;
  close(): Promise<void>;
}

/** Serves the endpoint; `note` is told of every request. */
export function serveInbox(options: { port: number; note(message: string): void }): Inbox {
  const secret = makeSecret();
  const scheme = bindScheme(secret);
  const server = Deno.serve({ hostname: "127.0.0.1", port: options.port, onListen: () => {} }, async (request) => {
    const now = Date.now();
    const verification = await scheme.verify({
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers),
      body: await request.bytes(),
      receivedAt: now,
    }, { now });
    const id = request.headers.get("webhook-id");
    options.note(`inbox: ${verification.ok ? `signature of ${id} is good` : `refused: ${verification.reason}`}`);
    return new Response(null, { status: verification.ok ? 204 : 401 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/inbox`,
    secret,
    close: () => server.shutdown(),
  };
}

function bindScheme(secret: string) {
  const provider = standard().providers.find((provider) => provider.name === "standard_webhooks");
  const bound = provider?.bind({ secrets: [secret], options: {} });
  if (bound?.ok) return bound.scheme;
  throw new Error("the standard plugins have no provider standard_webhooks that takes a secret");
}
