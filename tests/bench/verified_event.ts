/**
 * What every server of the benchmark does with a request before it does anything of its own: it reads the body, verifies
 * the HMAC and parses the JSON. The yardstick and the fronts of the peers share it, so that they differ in nothing else.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { secret, signatureHeader } from "./signed_request.ts";

/** The body of a request, as signed_request.ts builds it. */
export interface BenchEvent {
  readonly id: string;
  readonly key: string;
  readonly type: string;
  readonly amount: number;
  readonly note: string;
}

/** The event of a request; undefined when its signature is wrong. */
export async function readVerified(request: Request): Promise<BenchEvent | undefined> {
  const body = new Uint8Array(await request.arrayBuffer());
  const given = request.headers.get(signatureHeader)?.slice("sha256=".length) ?? "";
  const expected = createHmac("sha256", secret).update(body).digest();
  if (!timingSafeEqual(Uint8Array.fromHex(given), expected)) return undefined;
  return JSON.parse(new TextDecoder().decode(body));
}

/** What is answered to an event that was taken. */
export function accept(event: BenchEvent): Response {
  return Response.json({ id: event.id, status: "accepted" }, { status: 202 });
}
