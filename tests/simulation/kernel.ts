/**
 * Virtual time. Everything that waits in a simulation waits here; among tasks that are due at the same instant the seed
 * picks, and after each one all promises that it settled are followed to their end before the next may run.
 */

import { setImmediate } from "node:timers";
import type { SeededRandom } from "../support/seeded_random.ts";

/** Whatever can die with tasks of its own still waiting; they are then never run. */
export interface Life {
  readonly name: string;
  alive: boolean;
}

/** The one source of time and order. */
export interface Kernel {
  /** Virtual milliseconds since the beginning; only ever grows. */
  readonly now: number;
  /** Tasks run so far. */
  readonly steps: number;
  /** Runs `task` after `delayMs` unless `life` is over by then; the returned function cancels it. */
  schedule(life: Life, delayMs: number, task: () => void): () => void;
  /** Runs one task. False when none waits. */
  step(): Promise<boolean>;
}

interface Task {
  readonly at: number;
  /** Drawn when the task is queued: what is due at one instant is in random order. */
  readonly tie: number;
  readonly life: Life;
  run: (() => void) | undefined;
}

/** Makes a kernel whose ties are broken by `random`. */
export function createKernel(random: SeededRandom): Kernel {
  const heap: Task[] = [];
  let now = 0;
  let steps = 0;

  function push(task: Task): void {
    let at = heap.push(task) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(task, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = task;
  }

  function pop(): Task | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  return {
    get now() {
      return now;
    },
    get steps() {
      return steps;
    },
    schedule(life, delayMs, run) {
      const task: Task = { at: now + Math.max(0, Math.round(delayMs)), tie: random.next(), life, run };
      push(task);
      return () => void (task.run = undefined);
    },
    async step() {
      for (let task = pop(); task !== undefined; task = pop()) {
        if (task.run === undefined || !task.life.alive) continue;
        now = task.at;
        steps++;
        task.run();
        // Every promise that can settle without the kernel has settled once the platform gets to its next turn.
        await new Promise<void>((resolve) => void setImmediate(resolve));
        return true;
      }
      return false;
    },
  };
}

function isBefore(a: Task, b: Task): boolean {
  return a.at !== b.at ? a.at < b.at : a.tie < b.tie;
}
