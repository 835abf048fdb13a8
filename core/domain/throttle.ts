/**
 * Who may start how much when not all can: the shares of queues in what an engine can still run, and the arithmetic of
 * a rate limit.
 */

import type { Rate } from "./duration.ts";

/** A queue that wants to start something. */
export interface Want<Key> {
  readonly key: Key;
  /** Most that it could start now. */
  readonly limit: number;
  /** Higher goes first. */
  readonly priority: number;
}

/**
 * Deals out what is free: higher priorities first, and among equals round by round, so that a hot queue never takes what
 * a quiet one could use.
 *
 * @param wants limits below one are left out
 * @param free how many may be started in all
 * @returns the share of each queue that gets any
 */
export function shareOut<Key>(wants: readonly Want<Key>[], free: number): Map<Key, number> {
  const shares = new Map<Key, number>();
  const open = wants.filter(({ limit }) => limit > 0).sort((a, b) => b.priority - a.priority || a.limit - b.limit);
  let left = free;
  for (let at = 0; at < open.length && left > 0;) {
    const peers = open.slice(at).filter(({ priority }) => priority === open[at]!.priority);
    // Smallest first: what one does not need raises the share of those after it.
    peers.forEach(({ key, limit }, index) => {
      const share = Math.min(limit, Math.ceil(left / (peers.length - index)));
      if (share > 0) shares.set(key, share);
      left -= share;
    });
    at += peers.length;
  }
  return shares;
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
  return Math.max(rateAt, now - rate.perMs) + spacingMs(rate);
}
