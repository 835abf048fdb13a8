/**
 * What a person does about work that is stuck or was wrong: skip and resume, pause, redeliver and cancel by a filter,
 * replay; and why an event went where it went.
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import { unknownName, unknownQueue } from "../domain/naming.ts";
import { createBulkActions } from "../engine/bulk.ts";
import { purge } from "../engine/purge.ts";
import type { LaneRow, Paused } from "../store/store.ts";
import * as routes from "./admin_action_routes.ts";
import { describeMissingLane, findMistyped, findUnknownName } from "./admin_names.ts";
import type { AdminOptions } from "./admin_options.ts";
import { withTimes } from "./admin_query_schema.ts";
import { refuse, refuseDelivery } from "./admin_refusal.ts";
import { viewExplanation, viewHeads, viewLanes, viewOpen } from "./admin_view.ts";

/** Adds them to the router of the admin API. */
export function addActions(router: OpenAPIHono, options: AdminOptions): void {
  addLanes(router, options);
  addPauses(router, options);
  addBulk(router, options);
  addEvents(router, options);
}

function addLanes(router: OpenAPIHono, options: AdminOptions): void {
  const { store, clock, wake } = options;

  async function findLane(lane: { route: string; target: string; lane: string }): Promise<LaneRow | undefined> {
    return (await store.lanes({ ...lane, limit: 1 }))[0];
  }
  /** What will hold the queue of a lane up, once its head has been moved. */
  async function findPause(lane: LaneRow): Promise<Paused | undefined> {
    return (await store.gates()).find((gate) => gate.route === lane.route && gate.target === lane.target)?.paused;
  }
  const skip = (id: string) => store.skip(id, { now: clock.now(), reason: "skipped by a person" });
  const resume = (id: string) => store.resume(id, { now: clock.now() });

  router.openapi(routes.lanesRoute, async (context) => {
    const { state: headState, ...filter } = context.req.valid("query");
    const lanes = await store.lanes({ ...filter, headState });
    const unknown = await findMistyped(filter, lanes, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    return context.json({ rows: await viewLanes(lanes, options) }, 200);
  });
  router.openapi(routes.laneRoute, async (context) => {
    const { after, limit, ...named } = context.req.valid("query");
    const lane = await findLane(named);
    const head = lane && await store.delivery(lane.head);
    if (lane === undefined || head === undefined) {
      return refuse(context, 404, await describeMissingLane(named, options));
    }
    const page = await store.deliveries({ ...named, state: "blocked", after, limit });
    const [headDelivery] = await viewOpen([head], options);
    const behind = await viewOpen(page.rows, options);
    const { waiting, timeoutMs } = headDelivery!;
    const open = { waiting, timeoutMs };
    return context.json({ ...lane, ...open, headDelivery: headDelivery!, behind, nextAfter: page.nextAfter }, 200);
  });
  router.openapi(routes.laneSkipRoute, async (context) => {
    const named = context.req.valid("json");
    const lane = await findLane(named);
    if (lane === undefined) return refuse(context, 404, await describeMissingLane(named, options));
    const paused = await findPause(lane);
    if (!await skip(lane.head)) return refuse(context, 409, `its head ${lane.head} is running, or has just finished`);
    wake();
    return context.json({ id: lane.head, state: "skipped" as const, paused }, 200);
  });
  router.openapi(routes.laneResumeRoute, async (context) => {
    const named = context.req.valid("json");
    const lane = await findLane(named);
    if (lane === undefined) return refuse(context, 404, await describeMissingLane(named, options));
    const paused = await findPause(lane);
    if (!await resume(lane.head)) return refuse(context, 409, `its head ${lane.head} is ${lane.headState}, not parked`);
    wake();
    return context.json({ id: lane.head, state: "ready" as const, paused }, 200);
  });
  router.openapi(routes.skipRoute, async (context) => {
    const { id } = context.req.valid("param");
    if (!await skip(id)) {
      return await refuseDelivery(context, { store, id, expected: "only one that waits can be skipped" });
    }
    wake();
    return context.json({ id, state: "skipped" as const }, 200);
  });
  router.openapi(routes.resumeRoute, async (context) => {
    const { id } = context.req.valid("param");
    if (!await resume(id)) {
      return await refuseDelivery(context, { store, id, expected: "only a parked one can be resumed" });
    }
    wake();
    return context.json({ id, state: "ready" as const }, 200);
  });
}

function addPauses(router: OpenAPIHono, { store, config, pauses, clock, wake }: AdminOptions): void {
  /** The queues that are meant. Those of a route that is gone too: what is in them may be meant to stay where it is. */
  async function findQueues(named: { route: string; target?: string }) {
    const all = await store.gates();
    const unknown = unknownQueue(named, all);
    const { route, target } = named;
    const queues = all.filter((queue) => queue.route === route && (target === undefined || queue.target === target))
      .map((queue) => ({ route: queue.route, target: queue.target }));
    return { unknown, queues };
  }

  router.openapi(routes.queuePauseRoute, async (context) => {
    const { reason, ...named } = context.req.valid("json");
    const { unknown, queues } = await findQueues(named);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    const paused = { at: clock.now(), reason };
    for (const queue of queues) await store.pauseQueue(queue, paused);
    return context.json({ queues: queues.map((queue) => ({ ...queue, paused })) }, 200);
  });
  router.openapi(routes.queueResumeRoute, async (context) => {
    const named = context.req.valid("json");
    const { unknown, queues } = await findQueues(named);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    for (const queue of queues) {
      await store.pauseQueue(queue, undefined);
      wake();
    }
    return context.json({ queues }, 200);
  });
  router.openapi(routes.sourcePauseRoute, async (context) => {
    const { name, reason } = context.req.valid("json");
    const source = config().sources.get(name);
    if (source === undefined) return refuse(context, 404, unknownName("source", name, config().sources.keys()));
    if (source.kind === "publish") {
      return refuse(context, 409, `the program itself publishes under ${name}; pause the routes that take from it`);
    }
    const paused = { at: clock.now(), reason };
    await pauses.set(name, paused);
    return context.json({ name, kind: source.kind, paused }, 200);
  });
  router.openapi(routes.sourceResumeRoute, async (context) => {
    const { name } = context.req.valid("json");
    const source = config().sources.get(name);
    if (source === undefined && pauses.get(name) === undefined) {
      return refuse(context, 404, unknownName("source", name, config().sources.keys()));
    }
    await pauses.set(name, undefined);
    return context.json({ name, kind: source?.kind }, 200);
  });
}

function addBulk(router: OpenAPIHono, options: AdminOptions): void {
  const { clock } = options;
  const actions = createBulkActions(options);

  router.openapi(routes.bulkRedeliverRoute, async (context) => {
    const { filter, ...request } = context.req.valid("json");
    const unknown = await findUnknownName({ ...request, filter }, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    const answer = await actions.redeliver({ ...request, filter: withTimes(filter, clock.now()) });
    return answer.ok ? context.json(answer.bulk, 200) : refuse(context, 409, answer.reason);
  });
  router.openapi(routes.bulkCancelRoute, async (context) => {
    const { filter, ...request } = context.req.valid("json");
    const unknown = await findUnknownName({ ...request, filter }, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    const answer = await actions.cancel({ ...request, filter: withTimes(filter, clock.now()) });
    return answer.ok ? context.json(answer.bulk, 200) : refuse(context, 409, answer.reason);
  });
}

function addEvents(router: OpenAPIHono, options: AdminOptions): void {
  const { store, config, clock, replay, wake, backup } = options;

  router.openapi(routes.replayRoute, async (context) => {
    const { filter, ...request } = context.req.valid("json");
    const names = config().routes.map(({ name }) => name);
    const noRoute = request.routes?.find((name) => !names.includes(name));
    if (noRoute !== undefined) return refuse(context, 404, unknownName("route", noRoute, names));
    const unknown = await findUnknownName({ ...request, filter }, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    const times = filter && withTimes(filter, clock.now());
    return context.json(await replay({ ...request, filter: times }), 200);
  });
  router.openapi(routes.purgeRoute, async (context) => {
    const { filter, ids, ...request } = context.req.valid("json");
    const unknown = await findUnknownName({ ...request, filter }, options);
    if (unknown !== undefined) return refuse(context, 404, unknown);
    const meant = filter === undefined ? { ids } : withTimes(filter, clock.now());
    return context.json(await purge({ ...request, filter: meant }, { store, clock, wake }), 200);
  });
  router.openapi(routes.backupRoute, async (context) => {
    const made = await backup(context.req.valid("json").file);
    return made.ok ? context.json(made, 200) : refuse(context, 409, made.reason);
  });
  router.openapi(routes.explainRoute, async (context) => {
    const { id } = context.req.valid("param");
    const event = await store.event(id);
    if (event === undefined) return refuse(context, 404, `there is no event ${id}`);
    const deliveries = await viewHeads(await viewOpen(event.deliveryRows, options), options);
    return context.json(viewExplanation(event, config(), deliveries), 200);
  });
}
