/**
 * How the admin API says no: a problem document with the thing that was asked for, how it is, and what was expected.
 */

import type { Context } from "hono";
import type { Store } from "../store/store.ts";
import { problemDocument, problemType } from "./problem.ts";

/** Answers with a problem document, in a form that the router can hold against its table. */
// deno-lint-ignore explicit-function-return-type -- Hono infers the answer, no one could write it out
export function refuse<Status extends 404 | 409>(context: Context, status: Status, detail: string) {
  return context.json(problemDocument({ status, detail }), status, { "content-type": problemType });
}

/** Says why a delivery was not moved: there is none, or it is in another state than it would have to be. */
// deno-lint-ignore explicit-function-return-type -- as above
export async function refuseDelivery(
  context: Context,
  { store, id, expected }: { store: Pick<Store, "delivery">; id: string; expected: string },
) {
  const state = (await store.delivery(id))?.state;
  if (state === undefined) return refuse(context, 404, `there is no delivery ${id}`);
  return refuse(context, 409, `delivery ${id} is ${state}; ${expected}`);
}
