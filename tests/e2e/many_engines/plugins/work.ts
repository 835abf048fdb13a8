import { createHash } from "node:crypto";
import type { Handler } from "weir";
import { tellStart } from "./tell.ts";

/**
 * Mostly takes a moment, and now and then long enough for a kill to come in the middle. Which attempts fail is decided by
 * their name, so that every run of an attempt ends alike.
 */
export default (async (event, ctx) => {
  const { run, tellEnd } = await tellStart(event, ctx);
  const [chance, pause] = createHash("sha256").update(`${event.idempotencyKey}/${ctx.attempt}`).digest();
  await new Promise((resolve) => setTimeout(resolve, pause! < 32 ? 500 : pause! % 8));
  const fails = chance! % 3 === 0;
  await tellEnd(fails ? "failed" : "succeeded");
  if (fails) throw new Error("one of the third that fails");
  return run;
}) satisfies Handler;
