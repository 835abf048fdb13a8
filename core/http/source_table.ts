/**
 * The HTTP sources of a configuration, ready to be asked on every request: found by path, address blocks parsed, rate
 * limits counting. Made anew when the configuration is replaced; what a rate limit has counted stays.
 */

import type { Clock } from "../domain/clock.ts";
import type { HttpSource } from "../domain/config.ts";
import type { Rate } from "../domain/duration.ts";
import type { Generation } from "../engine/generation.ts";
import type { SourceAtWork } from "../engine/intake.ts";
import { type AddressSet, parseAddressSet } from "./client_address.ts";
import { createTokenBucket, type TokenBucket } from "./rate_limiter.ts";

/** One source as the ingress needs it. */
export interface Entry extends SourceAtWork<HttpSource> {
  /** Undefined when any address may call. */
  readonly allowed?: AddressSet;
  readonly contentTypes: ReadonlySet<string>;
  readonly bucket?: TokenBucket;
}

/** All sources, and what is believed of proxies. */
export interface SourceTable {
  readonly byPath: ReadonlyMap<string, Entry>;
  readonly trusted: AddressSet;
  /** Whether anything depends on who the peer is; with `Deno.serve` to ask costs a call into the platform. */
  readonly asksForPeers: boolean;
  readonly publicUrl?: string;
}

/**
 * Keeps the table of the configuration at work.
 *
 * @param atWork hands out the generation at work; another object means that it was replaced
 */
export function createSourceTable(atWork: () => Generation, clock: Clock): () => SourceTable {
  let builtFrom: Generation | undefined;
  let table: SourceTable;
  let buckets = new Map<string, { rate: Rate; bucket: TokenBucket }>();

  function build(generation: Generation): SourceTable {
    const { config } = generation;
    const kept = new Map<string, { rate: Rate; bucket: TokenBucket }>();
    const byPath = new Map<string, Entry>();
    for (const source of config.sources.values()) {
      if (source.kind !== "http") continue;
      const counted = source.rateLimit && countedBy(source.rateLimit, buckets.get(source.name), clock);
      if (counted) kept.set(source.name, counted);
      byPath.set(source.path, {
        source,
        generation,
        allowed: source.allowIps.length === 0 ? undefined : parseAddressSet(source.allowIps),
        contentTypes: new Set(source.contentTypes.map((type) => type.toLowerCase())),
        bucket: counted?.bucket,
      });
    }
    buckets = kept;
    const { trustedProxies, publicUrl } = config.server;
    const asksForPeers = trustedProxies.length > 0 || [...byPath.values()].some(({ allowed }) => allowed !== undefined);
    return { byPath, trusted: parseAddressSet(trustedProxies), asksForPeers, publicUrl };
  }
  return () => {
    const current = atWork();
    if (current !== builtFrom) {
      table = build(current);
      builtFrom = current;
    }
    return table;
  };
}

function countedBy(rate: Rate, before: { rate: Rate; bucket: TokenBucket } | undefined, clock: Clock) {
  return before?.rate.count === rate.count && before.rate.perMs === rate.perMs
    ? before
    : { rate, bucket: createTokenBucket(rate, clock) };
}
