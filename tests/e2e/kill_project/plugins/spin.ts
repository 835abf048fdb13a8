import type { Handler } from "weir";
import { tellStart } from "./tell.ts";

/** Burns a core until its process is killed, when the rig wants it to. */
export default (async (event, ctx) => {
  const { run, spin, tellEnd } = await tellStart(event, ctx);
  while (spin);
  await tellEnd("succeeded");
  return run;
}) satisfies Handler;
