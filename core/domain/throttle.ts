/**
 * Who may start how much when not all can: the shares of queues in what an engine can still run, and the arithmetic of
 * a rate limit.
 */

import { clockSkewMsMax } from "./clock.ts";
import type { Rate } from "./duration.ts";

/** A queue that wants to start something. */
export interface Want<Key> {
  readonly key: Key;
  /** Most that it could start now. */
  readonly limit: number;
  /** What it runs already. */
  readonly running: number;
  /** Higher goes first. */
  readonly priority: number;
}

/**
 * Deals out what is free: higher priorities first, and among equals always to the one that has least, what runs already
 * included. Were only what is free shared evenly, those that run most would get most of it back, one end at a time, and
 * keep the others out for ever.
 *
 * @param wants limits below one are left out; of those that have equally much the earlier ones go first
 * @param free how many may be started in all
 * @returns the share of each queue that gets any
 */
export function shareOut<Key>(wants: readonly Want<Key>[], free: number): Map<Key, number> {
  const shares = new Map<Key, number>();
  const open = wants.filter(({ limit }) => limit > 0);
  let left = free;
  for (const priority of [...new Set(open.map(({ priority }) => priority))].sort((a, b) => b - a)) {
    const peers = open.filter((want) => want.priority === priority);
    const level = levelOf(peers, left);
    const rest = left - sumUpTo(peers, level);
    let raised = 0;
    for (const peer of peers) {
      const more = raised < rest && upTo(peer, level + 1) > upTo(peer, level) ? 1 : 0;
      raised += more;
      const share = upTo(peer, level) + more;
      if (share > 0) shares.set(peer.key, share);
      left -= share;
    }
  }
  return shares;
}

/** The highest number at once to which all of them can be raised with what is free. */
function levelOf(peers: readonly Want<unknown>[], free: number): number {
  let level = 0;
  for (let end = Math.max(...peers.map(({ running, limit }) => running + limit)); level < end;) {
    const middle = Math.ceil((level + end) / 2);
    if (sumUpTo(peers, middle) <= free) level = middle;
    else end = middle - 1;
  }
  return level;
}

function sumUpTo(peers: readonly Want<unknown>[], level: number): number {
  return peers.reduce((sum, peer) => sum + upTo(peer, level), 0);
}

/** What it takes to raise a queue to so many at once, as far as it wants that. */
function upTo({ running, limit }: Want<unknown>, level: number): number {
  return Math.min(limit, Math.max(0, level - running));
}

/** Milliseconds between two starts at exactly the rate; a whole bucket of `rate.count` may start at once. */
export function spacingMs(rate: Rate): number {
  return rate.perMs / rate.count;
}

/**
 * When the next start is allowed; not later than `now` when it already is.
 *
 * @param rateAt when the bucket would be empty, were it never refilled (GCRA's theoretical arrival time)
 */
export function rateOpensAt(rateAt: number, rate: Rate, now: number): number {
  // Further ahead than clocks differ: it was written before the clock was set back, and the bucket is empty now.
  const spentTo = rateAt > now + clockSkewMsMax ? now : rateAt;
  return Math.max(spentTo, now - rate.perMs) + spacingMs(rate);
}
