/**
 * `weir pause` and `weir resume`: nothing is taken from a queue, or taken in from a source, until somebody says so.
 */

import type { QueueView } from "../core/mod.ts";
import { connect, type EngineOptions } from "./client.ts";
import { UsageError } from "./failure.ts";
import { escapeControls, print } from "./print.ts";
import { describeGate, parseQueue, queueOf } from "./wording.ts";

/** What is meant, beside a queue. */
interface PauseOptions extends EngineOptions {
  readonly source?: string;
  readonly reason?: string;
}

/** Pauses the queues of a route, one queue, or a source. */
export async function pause(queue: string | undefined, options: PauseOptions): Promise<number> {
  const { source, reason } = options;
  const client = await connect(checked(queue, options));
  if (source !== undefined) {
    const { kind } = await client.pauseSource({ name: source, reason });
    const follows = kind === "cron"
      ? "it does not tick; of what it misses, the last tick runs when it goes on"
      : "its requests are answered 503";
    print(`source ${source} paused: ${follows}`);
  } else {
    const { queues } = await client.pauseQueues({ ...parseQueue(queue!), reason });
    for (const each of queues) print(`${queueOf(each)} paused`);
  }
  return 0;
}

/** Lets them go on, and says what holds each of them all the same. */
export async function resume(queue: string | undefined, options: PauseOptions): Promise<number> {
  const { source } = options;
  const client = await connect(checked(queue, options));
  if (source !== undefined) {
    const { kind } = await client.resumeSource({ name: source });
    print(`source ${source} goes on${kind === "cron" ? ", within a minute" : ""}`);
  } else {
    const { queues } = await client.resumeQueues(parseQueue(queue!));
    const { queues: all } = await client.status();
    const now = Date.now();
    for (const { route, target } of queues) {
      const queue = all.find((each) => each.route === route && each.target === target);
      print([`${queueOf({ route, target })} goes on`, ...queue === undefined ? [] : holdsOf(queue, now)].join("; "));
    }
  }
  return 0;
}

/** What the end of a pause does not end. */
function holdsOf(queue: QueueView, now: number): string[] {
  const gate = describeGate(queue, now);
  const { route, target, parked } = queue;
  const where = `--route ${route}${target === "" ? "" : ` --target ${target}`}`;
  return [
    ...gate === "" ? [] : [escapeControls(gate)],
    ...parked === 0 ? [] : [`${parked} parked: weir deliveries list --state parked ${where}`],
  ];
}

function checked(queue: string | undefined, options: PauseOptions): PauseOptions {
  if ((queue === undefined) !== (options.source === undefined)) return options;
  throw new UsageError("say what: ROUTE, ROUTE/TARGET, or --source NAME");
}
