/**
 * How an engine dies at a place of the rig's choosing: it counts how often it comes there, and the last time it kills
 * itself, as suddenly as anybody else could. `import_map.ts` brings this into an engine that knows nothing of it.
 */

import type { Database } from "../../../core/store/database.ts";
import { type CrashPoint, kindsOf } from "../../simulation/crash_points.ts";

const lingerMs = 20;

const point = Deno.env.get("RIG_CRASH_POINT");
let passesLeft = Number(Deno.env.get("RIG_CRASH_PASS"));
let stopping = false;

if (point === "while stopping") Deno.addSignalListener("SIGTERM", () => stopping = true);

/** The engine is at this place: if it is the one that was chosen, and for the last time, nothing follows. */
export function pass(name: CrashPoint): void {
  if (isLast(name)) die();
}

function isLast(name: CrashPoint): boolean {
  return name === point && --passesLeft <= 0;
}

/** A database whose engine dies at its commits. On the way down it dies at the latest when the database is closed. */
export function dieAtCommits(database: Database): Database {
  return {
    read: (statement) => database.read(statement),
    async write(batch) {
      const kinds = kindsOf(batch);
      for (const kind of kinds) if (isLast(`${kind} before commit`)) dieSlowly();
      passStopping();
      const results = await database.write(batch);
      for (const kind of kinds) pass(`${kind} after commit`);
      passStopping();
      return results;
    },
    async close() {
      passStopping();
      await database.close();
      if (stopping) die();
    },
  };
}

function passStopping(): void {
  if (stopping) pass("while stopping");
}

/** The log's thread stands still for a moment: whoever would answer before the commit has the time to do so. */
function dieSlowly(): never {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lingerMs);
  die();
}

function die(): never {
  Deno.kill(Deno.pid, "SIGKILL");
  while (true); // until the kernel has seen to it
}
