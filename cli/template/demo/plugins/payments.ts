import type { Handler } from "weir";

/** Its bank is down for the first two attempts. */
export default ((event, ctx) => {
  if (ctx.attempt < 3) throw new Error("the bank does not answer");
  return { booked: event.body.data.object.amount, key: ctx.idempotencyKey };
}) satisfies Handler;
