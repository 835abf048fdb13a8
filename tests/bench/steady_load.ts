/**
 * How soon work starts while nothing is in a hurry: 200 requests a second whatever the answers do, measured against
 * what the yardstick needs to answer the same.
 */

import { BrokenMeasurement, type Rig } from "./rig.ts";
import { quantile } from "./statistics.ts";

/** The load, and how fast the yardstick answered it. */
export interface SteadyWire {
  readonly order: { readonly count: number; readonly rate: number; readonly connections: number };
  readonly p50: number;
  readonly p99: number;
}

/** Sends the load to the yardstick. */
export async function measureSteadyWire(rig: Rig): Promise<SteadyWire> {
  const order = { count: rig.sizes.latencySeconds * 200, rate: 200, connections: 8 };
  const { answeredMs } = await rig.load(rig.wire, order);
  return { order, p50: quantile(answeredMs, 0.5), p99: quantile(answeredMs, 0.99) };
}

/** How long after their requests the handlers started, beyond what the yardstick took to answer. */
export function startsOverWire(
  wire: SteadyWire,
  events: readonly { sentAt: number; startedAt: number | undefined }[],
): { p50: number; p99: number } {
  const took = events.map(({ sentAt, startedAt }) => startedAt! - sentAt);
  if (!took.every((ms) => ms > 0)) {
    throw new BrokenMeasurement("a handler started before its request was sent, or never");
  }
  return { p50: quantile(took, 0.5) - wire.p50, p99: quantile(took, 0.99) - wire.p99 };
}
