import type { Handler } from "weir";

/** Takes its time, so that one can see the next event of the same issue wait for it. */
export default (async (event, ctx) => {
  ctx.log(`issue ${event.orderingKey}: ${event.body.action}`);
  await new Promise((resolve) => setTimeout(resolve, 400));
  return { issue: event.body.issue.number, action: event.body.action };
}) satisfies Handler;
