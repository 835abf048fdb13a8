/**
 * `weir deliveries redeliver|cancel|resume|skip` and `weir dead redeliver`: one word for the deliveries that are named; the
 * words that nobody has to think about one by one, also for all that a filter matches. What a filter matches is counted
 * before anything is done, and nothing is done to it without `--all`.
 */

import type { Bulk } from "../core/mod.ts";
import { type BulkCall, type Client, connect, type DeliveryFilter, type EngineOptions } from "./client.ts";
import { filterOf } from "./deliveries.ts";
import { failAfter, Failure, UsageError } from "./failure.ts";
import { escapeControls, print, printError } from "./print.ts";
import { describeResumed } from "./wording.ts";

/** What these commands share. */
export interface BulkOptions extends EngineOptions, DeliveryFilter {
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

/** What is done to one delivery. */
interface OneAction {
  one(client: Client, id: string): Promise<string>;
}

/** What is done to one delivery, and to many. */
interface Action extends OneAction {
  many(client: Client, call: BulkCall): Promise<Bulk>;
  readonly done: string;
}

const redelivering: Action = {
  one: async (client, id) => `${id} → ${(await client.redeliver(id)).id}`,
  many: (client, call) => client.redeliverMany(call),
  done: "redelivered",
};

const cancelling: Action = {
  async one(client, id) {
    await client.cancel(id);
    return `${id} cancelled`;
  },
  many: (client, call) => client.cancelMany(call),
  done: "cancelled",
};

const resuming: OneAction = {
  async one(client, id) {
    await client.resume(id);
    const row = await client.delivery(id);
    return `${id} resumed${escapeControls(describeResumed(row, Date.now()))}`;
  },
};

const skipping: OneAction = {
  async one(client, id) {
    await client.skip(id);
    return `${id} skipped`;
  },
};

/** Makes new deliveries from finished ones. Exit code 1 when one that was named could not be. */
export async function redeliver(ids: readonly string[], options: BulkOptions): Promise<number> {
  return await act(ids, options, redelivering);
}

/** Cancels deliveries that are neither running nor finished. Exit code 1 when one that was named could not be. */
export async function cancel(ids: readonly string[], options: BulkOptions): Promise<number> {
  return await act(ids, options, cancelling);
}

/** Runs parked deliveries again, those without a lane too. Exit code 1 when one of them could not be. */
export async function resumeDeliveries(ids: readonly string[], options: EngineOptions): Promise<number> {
  return await actOnEach(ids, await connect(options), resuming);
}

/** Ends deliveries that are neither running nor finished as skipped. Exit code 1 when one of them could not be. */
export async function skipDeliveries(ids: readonly string[], options: EngineOptions): Promise<number> {
  return await actOnEach(ids, await connect(options), skipping);
}

/** Makes new deliveries from dead letters. Exit code 1 when one that was named could not be. */
export async function redeliverDead(ids: readonly string[], options: BulkOptions): Promise<number> {
  return await act(ids, ids.length > 0 ? options : { ...options, state: "dead" }, redelivering, "dead letters");
}

async function act(
  ids: readonly string[],
  options: BulkOptions,
  action: Action,
  noun = "deliveries",
): Promise<number> {
  const filter = filterOf(options);
  const filtered = options.all || options.dryRun || Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0) {
    if (filtered) throw new UsageError(`name ${noun}, or describe them with options: not both`);
    return await actOnEach(ids, await connect(options), action);
  }
  if (!filtered) throw new UsageError(`say which ${noun}: their ids, or a filter with --all`);
  if (!options.all && !options.dryRun) {
    throw new UsageError(`this is for all ${noun} that match: say --all, or --dry-run to count them`);
  }
  return await actOnAll({ filter, dryRun: options.dryRun }, await connect(options), action, noun);
}

async function actOnEach(ids: readonly string[], client: Client, action: OneAction): Promise<number> {
  let refused = 0;
  for (const id of ids) {
    try {
      print(await action.one(client, id));
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      printError(`${id}: ${thrown.message}`);
      refused++;
    }
  }
  return refused === 0 ? 0 : 1;
}

/** Piece by piece, in the order of the log, up to what was there when the first piece began. */
async function actOnAll(call: BulkCall, client: Client, action: Action, noun: string): Promise<number> {
  let answer = await action.many(client, call);
  const matched = answer.matched ?? 0;
  let { done } = answer;
  if (matched === 0) {
    printError(`no ${noun} match`);
    return 0;
  }
  if (call.dryRun) {
    print(`${matched} would be ${action.done}`);
    return 0;
  }
  while (answer.nextAfter !== undefined) {
    const { nextAfter: after, before, until }: Bulk = answer;
    const next = { ...call, filter: { ...call.filter, until: until?.toString() }, after, before };
    answer = await action.many(client, next)
      .catch((thrown) => failAfter(`${done} of ${matched} ${action.done}`, thrown));
    done += answer.done;
  }
  print(`${done} of ${matched} ${action.done}`);
  return 0;
}
