import type { Handler } from "weir";

export default ((event, ctx) => {
  const payment = event.body.data.object;
  if (payment.amount < 0) throw ctx.reject("a payment cannot be negative"); // no retry: a dead letter now
  console.log(`attempt ${ctx.attempt}: ${payment.id} into ${Deno.env.get("LEDGER_NAME")}`);
  return { booked: payment.amount, once: ctx.idempotencyKey };
}) satisfies Handler;
