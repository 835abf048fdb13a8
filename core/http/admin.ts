/**
 * The operator's door: what the engine holds and does, and the few things a person may change, as JSON over HTTP. Only
 * the command line and the dashboard use it; senders never see this port.
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import type { Config } from "../domain/config.ts";
import { finishedStates } from "../domain/delivery.ts";
import { describeError } from "../domain/error.ts";
import { openCount } from "../engine/reload_effect.ts";
import { DiskFull, StoreUnavailable } from "../store/store.ts";
import { addActions } from "./admin_actions.ts";
import { createGuard } from "./admin_guard.ts";
import { findMistyped } from "./admin_names.ts";
import type { AdminOptions } from "./admin_options.ts";
import { withTimes } from "./admin_query_schema.ts";
import { refuse, refuseDelivery } from "./admin_refusal.ts";
import * as routes from "./admin_routes.ts";
import { viewEvent, viewOpen, viewQueue, viewRoute, viewSource } from "./admin_view.ts";
import { toResponse } from "./answer.ts";
import { peerOf, splitUrl } from "./client_address.ts";
import { metricsType } from "./metrics.ts";
import { answerProbe, comeBackMs } from "./probe.ts";
import { problem, problemDocument, problemType, retryAfter } from "./problem.ts";

export type { AdminOptions } from "./admin_options.ts";
export type { EngineStatus } from "./admin_schema.ts";

/** Most bytes of a request's body; a thousand ids are far below it. */
export const adminBodyBytesMax = 262_144;

/** The operator's door. `fetch` never rejects. */
export interface Admin {
  fetch(request: Request, info?: { remoteAddr?: Deno.Addr }): Promise<Response>;
}

/**
 * Makes the operator's door.
 *
 * @throws RangeError when the token is too short
 */
export function createAdmin(options: AdminOptions): Admin {
  const { config, clock, hosts = [], status, token } = options;
  const guard = createGuard({
    token,
    clock,
    hosts: () => [...ownHosts(config()), ...hosts.map((h) => h.toLowerCase())],
  });
  const router = createRouter(options);
  return {
    async fetch(request, info) {
      const { path } = splitUrl(request.url);
      const probe = answerProbe(path, { method: request.method, ready: status().ready });
      return guard.refuseSite(request) ?? (probe && toResponse(probe)) ??
        guard.refuseCaller(request, peerOf(info?.remoteAddr)) ??
        await router.fetch(request);
    },
  };
}

/** The configured address, unless it is a wildcard, which is no name to call anything by. */
function ownHosts({ server: { admin: { hostname } } }: Config): string[] {
  if (hostname === "0.0.0.0" || hostname === "::") return [];
  return [hostname.includes(":") ? `[${hostname}]` : hostname.toLowerCase()];
}

function createRouter(options: AdminOptions) {
  const { store, config, wake, reload, status, metrics, observe, makeDeliveryId, clock, pauses } = options;
  const router = new OpenAPIHono({
    defaultHook(result) {
      if (result.success) return;
      const issues = result.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
      return problem({ status: 400, detail: "the request is not as it should be", members: { issues } });
    },
  });
  router.use(async (context, next) => {
    await next();
    context.header("cache-control", "no-store");
    context.header("x-content-type-options", "nosniff");
  });
  router.use(bodyLimit({
    maxSize: adminBodyBytesMax,
    onError: () => problem({ status: 413, detail: `the body may have at most ${adminBodyBytesMax} bytes` }),
  }));
  router.notFound(() => problem({ status: 404, detail: "there is nothing at this path" }));
  router.onError((error) => {
    if (error instanceof StoreUnavailable) {
      const detail = error instanceof DiskFull ? error.message : "the log cannot be reached";
      return problem({ status: 503, detail, headers: retryAfter(comeBackMs) });
    }
    // What the router itself refuses: a body that does not parse, before any schema is held against it.
    if (error instanceof HTTPException && error.status === 400) {
      return problem({ status: 400, detail: "the body is not valid JSON" });
    }
    observe({ kind: "engine", at: clock.now(), level: "error", message: `admin: ${describeError(error)}` });
    return problem({ status: 500, detail: "the request could not be handled" });
  });

  router.openapi(routes.statusRoute, async (context) => {
    const queues = (await store.queues()).map((queue) => viewQueue(queue, config(), clock.now()));
    const orphaned = queues.reduce((sum, queue) => sum + (queue.orphaned ? openCount(queue) : 0), 0);
    const pausedSources = [...config().sources.keys()].flatMap((name) => {
      const paused = pauses.get(name);
      return paused === undefined ? [] : [{ name, paused }];
    });
    return context.json({ ...status(), queues, orphaned, pausedSources }, 200);
  });
  router.openapi(routes.eventsRoute, async (context) => {
    const query = context.req.valid("query");
    const page = await store.events(withTimes(query, clock.now()));
    const unknown = await findMistyped(query, page.rows, options);
    return unknown === undefined ? context.json(page, 200) : refuse(context, 404, unknown);
  });
  router.openapi(routes.eventRoute, async (context) => {
    const { id } = context.req.valid("param");
    const event = await store.event(id);
    if (event === undefined) return refuse(context, 404, `there is no event ${id}`);
    return context.json(viewEvent(event, await viewOpen(event.deliveryRows, options)), 200);
  });
  router.openapi(routes.deliveriesRoute, async (context) => {
    const query = context.req.valid("query");
    const page = await store.deliveries(withTimes(query, clock.now()));
    const unknown = await findMistyped(query, page.rows, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    return context.json({ ...page, rows: await viewOpen(page.rows, options) }, 200);
  });
  router.openapi(routes.deadRoute, async (context) => {
    const { unrepeated, ...query } = context.req.valid("query");
    const filter = { ...withTimes(query, clock.now()), state: "dead" as const };
    const page = await store.deliveries({ ...filter, unrepeated });
    const unknown = await findMistyped(query, page.rows, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    if (!unrepeated || query.before !== undefined) return context.json(page, 200);
    const [left, all] = [await store.countDeliveries({ ...filter, unrepeated }), await store.countDeliveries(filter)];
    return context.json({ ...page, repeated: Math.max(0, all - left) }, 200);
  });
  router.openapi(routes.deliveryRoute, async (context) => {
    const { id } = context.req.valid("param");
    const delivery = await store.delivery(id);
    if (delivery === undefined) return refuse(context, 404, `there is no delivery ${id}`);
    return context.json((await viewOpen([delivery], options))[0]!, 200);
  });

  router.openapi(routes.redeliverRoute, async (context) => {
    const { id } = context.req.valid("param");
    const made = { id: makeDeliveryId(), now: clock.now() };
    if (await store.redeliver(id, made)) {
      wake();
      return context.json({ id: made.id }, 201);
    }
    const state = (await store.delivery(id))?.state;
    if (state !== undefined && finishedStates.includes(state)) {
      return refuse(context, 409, `the event of delivery ${id} is gone`);
    }
    return await refuseDelivery(context, { store, id, expected: "only a finished one can be redelivered" });
  });
  router.openapi(routes.cancelRoute, async (context) => {
    const { id } = context.req.valid("param");
    if (await store.cancel(id, { now: clock.now(), reason: "cancelled by a person" })) {
      // Whatever waited behind it in its lane may run now.
      wake();
      return context.json({ id, state: "cancelled" as const }, 200);
    }
    return await refuseDelivery(context, { store, id, expected: "only one that waits can be cancelled" });
  });
  addActions(router, options);

  router.openapi(routes.routesRoute, (context) => context.json(config().routes.map(viewRoute), 200));
  router.openapi(routes.sourcesRoute, (context) => {
    return context.json([...config().sources.values()].map((each) => viewSource(each, pauses.get(each.name))), 200);
  });
  router.openapi(routes.reloadRoute, async (context) => {
    const reloaded = await reload();
    if (reloaded.ok) {
      const { orphaned, reorderedLanes } = reloaded;
      return context.json({ configHash: config().hash, orphaned, reorderedLanes }, 200);
    }
    const document = problemDocument({ status: 422, detail: "the configuration has mistakes; the old one stays" });
    return context.json({ ...document, issues: reloaded.issues }, 422, { "content-type": problemType });
  });

  router.get("/metrics", async (context) => {
    return context.body(await metrics.render(options), 200, { "content-type": metricsType });
  });
  router.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  router.doc31("/api/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Weir admin API", version: status().version },
    security: [{ bearer: [] }],
  });
  return router;
}
