import type { Handler } from "weir";

/** Never works, so that one can see a dead letter: `weir dead list`. */
export default (() => {
  throw new Error("the printer is on fire");
}) satisfies Handler;
