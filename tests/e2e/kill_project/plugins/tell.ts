import { createHash } from "node:crypto";
import type { HandlerContext, HandlerEvent } from "weir";

/** Tells the rig that an attempt begins, and waits until it knows. Returns what ends the attempt in the same way. */
export async function tellStart(
  event: HandlerEvent,
  ctx: HandlerContext,
): Promise<{ run: string; spin: boolean; tellEnd(outcome: "succeeded" | "failed"): Promise<void> }> {
  const run = crypto.randomUUID();
  const digest = createHash("sha256").update(event.raw).digest("hex");
  const { deliveryId: delivery, attempt } = ctx;
  // Which event it is the body says, as it was sent. The lane is the engine's word, and is judged.
  const { key } = event.body as { key: string };
  const { orderingKey: lane = null, type } = event;
  const boot = Deno.env.get("RIG_BOOT");
  const { spin } = await post("start", { run, delivery, key, lane, type, attempt, digest, boot, pid: Deno.pid });
  return {
    run,
    spin,
    async tellEnd(outcome) {
      await post("end", { run, outcome });
    },
  };
}

async function post(path: string, body: unknown): Promise<{ spin: boolean }> {
  const response = await fetch(`http://${Deno.env.get("RIG_HOST")}/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return await response.json();
}
