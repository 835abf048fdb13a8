/**
 * The operator's door: what the engine holds and does, and the few things a person may change, as JSON over HTTP. Only
 * the command line and the dashboard use it; senders never see this port.
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Clock } from "../domain/clock.ts";
import type { Config } from "../domain/config.ts";
import { type DeliveryState, finishedStates } from "../domain/delivery.ts";
import { describeError } from "../domain/error.ts";
import type { Observer } from "../engine/observer.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";
import { createGuard } from "./admin_guard.ts";
import * as routes from "./admin_routes.ts";
import type { EngineStatus, IssueView } from "./admin_schema.ts";
import { viewEvent, viewRoute, viewSource } from "./admin_view.ts";
import { peerOf, splitUrl } from "./client_address.ts";
import { type Metrics, metricsType } from "./metrics.ts";
import { answerProbe, comeBackMs } from "./probe.ts";
import { problem, problemDocument, problemType, retryAfter } from "./problem.ts";

export type { EngineStatus } from "./admin_schema.ts";

/** What the admin API is wired to. */
export interface AdminOptions {
  readonly store: Store;
  readonly config: () => Config;
  /** Called when a delivery may have become ready. */
  readonly wake: () => void;
  readonly reload: () => Promise<{ ok: true } | { ok: false; issues: readonly IssueView[] }>;
  readonly status: () => EngineStatus;
  readonly metrics: Metrics;
  readonly observe: Observer;
  readonly token: string;
  readonly makeDeliveryId: () => string;
  readonly clock: Clock;
  /** Host names, without ports, that it may be called by beside its address and localhost. */
  readonly hosts?: readonly string[];
}

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
      return guard.refuseSite(request) ??
        answerProbe(path, { method: request.method, ready: status().ready }) ??
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

function createRouter({ store, config, wake, reload, status, metrics, observe, makeDeliveryId, clock }: AdminOptions) {
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
  router.notFound(() => problem({ status: 404, detail: "there is nothing at this path" }));
  router.onError((error) => {
    if (error instanceof StoreUnavailable) {
      return problem({ status: 503, detail: "the log cannot be reached", headers: retryAfter(comeBackMs) });
    }
    observe({ kind: "engine", at: clock.now(), level: "error", message: `admin: ${describeError(error)}` });
    return problem({ status: 500, detail: "the request could not be handled" });
  });

  router.openapi(routes.statusRoute, async (context) => {
    return context.json({ ...status(), queues: await store.queues() }, 200);
  });
  router.openapi(routes.eventsRoute, async (context) => {
    return context.json(await store.events(context.req.valid("query")), 200);
  });
  router.openapi(routes.eventRoute, async (context) => {
    const { id } = context.req.valid("param");
    const event = await store.event(id);
    return event === undefined ? refuse(context, 404, `there is no event ${id}`) : context.json(viewEvent(event), 200);
  });
  router.openapi(routes.deliveriesRoute, async (context) => {
    return context.json(await store.deliveries(context.req.valid("query")), 200);
  });
  router.openapi(routes.deadRoute, async (context) => {
    return context.json(await store.deliveries({ ...context.req.valid("query"), state: "dead" }), 200);
  });
  router.openapi(routes.deliveryRoute, async (context) => {
    const { id } = context.req.valid("param");
    const delivery = await store.delivery(id);
    return delivery === undefined ? refuse(context, 404, noDelivery(id)) : context.json(delivery, 200);
  });

  router.openapi(routes.redeliverRoute, async (context) => {
    const { id } = context.req.valid("param");
    const made = { id: makeDeliveryId(), now: clock.now() };
    if (await store.redeliver(id, made)) {
      wake();
      return context.json({ id: made.id }, 201);
    }
    const state = (await store.delivery(id))?.state;
    if (state === undefined) return refuse(context, 404, noDelivery(id));
    return refuse(context, 409, whyNotRedelivered(id, state));
  });
  router.openapi(routes.cancelRoute, async (context) => {
    const { id } = context.req.valid("param");
    if (await store.cancel(id, { now: clock.now(), reason: "cancelled by a person" })) {
      // Whatever waited behind it in its lane may run now.
      wake();
      return context.json({ id, state: "cancelled" as const }, 200);
    }
    const state = (await store.delivery(id))?.state;
    if (state === undefined) return refuse(context, 404, noDelivery(id));
    return refuse(context, 409, `delivery ${id} is ${state}; only one that waits can be cancelled`);
  });

  router.openapi(routes.routesRoute, (context) => context.json(config().routes.map(viewRoute), 200));
  router.openapi(routes.sourcesRoute, (context) => {
    return context.json([...config().sources.values()].map(viewSource), 200);
  });
  router.openapi(routes.reloadRoute, async (context) => {
    const reloaded = await reload();
    if (reloaded.ok) return context.json({ configHash: config().hash }, 200);
    const document = problemDocument({ status: 422, detail: "the configuration has mistakes; the old one stays" });
    return context.json({ ...document, issues: reloaded.issues }, 422, { "content-type": problemType });
  });

  router.get("/metrics", async (context) => {
    return context.body(await metrics.render(store), 200, { "content-type": metricsType });
  });
  router.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  router.doc31("/api/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Weir admin API", version: status().version },
    security: [{ bearer: [] }],
  });
  return router;
}

function refuse<Status extends 404 | 409>(context: Context, status: Status, detail: string) {
  return context.json(problemDocument({ status, detail }), status, { "content-type": problemType });
}

function noDelivery(id: string): string {
  return `there is no delivery ${id}`;
}

function whyNotRedelivered(id: string, state: DeliveryState): string {
  return finishedStates.includes(state)
    ? `the event of delivery ${id} is gone`
    : `delivery ${id} is ${state}; only a finished one can be redelivered`;
}
