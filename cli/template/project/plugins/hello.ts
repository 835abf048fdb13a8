import type { Handler } from "weir";

/** Runs for every event of the route `hello`. What it returns is kept as the result; throwing means: try again later. */
export default ((event, ctx) => {
  ctx.log(`${event.type} from ${event.source}, attempt ${ctx.attempt}`);
  return { greeted: event.body.data?.name ?? event.type };
}) satisfies Handler;
