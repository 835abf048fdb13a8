/**
 * The peers: engines that others would use for the same work, and the ways each is run. As they are set up here they
 * neither recognise duplicates nor keep an order, which the engine does: what is compared is in their favour.
 */

import type { Workload } from "../workloads.ts";
import { measurePeer, type Peer } from "./peer_workload.ts";
import { findPostgres, startPostgres } from "./postgres_server.ts";
import { findRedis, type FsyncPolicy, startRedis } from "./redis_server.ts";
import { startRestate } from "./restate_server.ts";

/** A peer by the name that `--peers` takes, and the ways it is run. */
interface PeerChoice {
  /** Throws when something must be installed first. */
  readonly find?: () => unknown;
  readonly ways: readonly Peer[];
}

/** With `everysec` a power cut takes up to a second of what was answered; with `always` it takes nothing. */
function bullmq(appendfsync: FsyncPolicy): Peer {
  return {
    name: `bullmq-${appendfsync}`,
    front: "peers/bullmq.ts",
    durability: `appendonly yes, appendfsync ${appendfsync}`,
    async start(folder) {
      const { port, ...server } = await startRedis(folder, appendfsync);
      return { ...server, frontArgs: [String(port)] };
    },
  };
}

/** NOTIFY starts work sooner and takes a lock of the whole database in every commit, so it is a choice. */
function pgBoss(wakeUp: "polling" | "notify"): Peer {
  return {
    name: `pg-boss-${wakeUp}`,
    front: "peers/pg_boss.ts",
    durability: "fsync on, synchronous_commit on",
    async start(folder) {
      const { address, ...server } = await startPostgres(folder);
      return { ...server, frontArgs: [JSON.stringify(address), wakeUp] };
    },
  };
}

const restate: Peer = {
  name: "restate",
  front: "peers/restate.ts",
  frontFlags: ["--unstable-no-legacy-abort"], // the abort signal means what it means to Node.js, as its SDK expects
  async start(folder) {
    const { address, ...server } = await startRestate(folder);
    return { ...server, frontArgs: [JSON.stringify(address)] };
  },
};

const choices: Readonly<Record<string, PeerChoice>> = {
  bullmq: { find: findRedis, ways: [bullmq("everysec"), bullmq("always")] },
  "pg-boss": { find: findPostgres, ways: [pgBoss("polling"), pgBoss("notify")] },
  restate: { ways: [restate] },
};

/** What `--peers` takes. */
export const peerNames: readonly string[] = Object.keys(choices);

/**
 * The workloads of the named peers.
 *
 * @throws RangeError when there is no such peer, or when its server is not installed
 */
export function findPeers(names: readonly string[]): [name: string, workload: Workload][] {
  return names.flatMap((name) => {
    const choice = Object.hasOwn(choices, name) ? choices[name] : undefined;
    if (choice === undefined) throw new RangeError(`there is no peer ${name}, there are ${peerNames.join(", ")}`);
    choice.find?.();
    return choice.ways.map((peer): [string, Workload] => [peer.name, measurePeer(peer)]);
  });
}
