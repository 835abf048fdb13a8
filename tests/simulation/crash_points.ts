/**
 * The places at which an engine may die: wherever a change of state borders on an effect. Adding one is a line in
 * {@link crashPointNames} and, if it is a commit of a new kind, one in {@link commitKinds}.
 */

import type { Statement } from "../../core/store/database.ts";

/** How the batches of the log are told apart: by a piece of SQL that only one kind of them has. */
export const commitKinds = {
  append: /INSERT INTO events/,
  claim: /^UPDATE deliveries SET state = 'running'/,
  settle: /^UPDATE deliveries SET state = v.column3, due_at/,
  recover: /SELECT seq, executions, claimed_at, \?, iif\(due_at/,
  "count death": /^UPDATE deliveries SET failures = v.column3/,
  cancel: /^UPDATE deliveries SET state = \?, finished_at/,
  resume: /^UPDATE deliveries SET state = 'ready', due_at = \?, failures = 0/,
  replay: /INSERT INTO deliveries [^]*'replay'/,
  pause: /^UPDATE queues SET paused_at = \?, paused_reason = \? WHERE route/,
  redeliver: /INSERT INTO deliveries \([^)]*redelivery_of/,
  reload: /^INSERT INTO queues/,
  beat: /^UPDATE engines SET beat/,
  "pause source": /^INSERT INTO sources [^]*paused_at/,
  erase: /^DELETE FROM (idempotency|marks|attempts|deliveries|events)/,
} as const satisfies Record<string, RegExp>;

export type CommitKind = keyof typeof commitKinds;

const kindOfText = new Map<string, CommitKind | undefined>();

/** What is being committed; a group may hold several kinds. */
export function kindsOf(batch: readonly Statement[]): readonly CommitKind[] {
  const kinds = new Set(batch.map(({ sql }) => {
    if (!kindOfText.has(sql)) {
      const text = sql.trimStart();
      kindOfText.set(sql, (Object.keys(commitKinds) as CommitKind[]).find((kind) => commitKinds[kind].test(text)));
    }
    return kindOfText.get(sql);
  }));
  return [...kinds].filter((kind) => kind !== undefined);
}

/** Every place. Before and after a commit means: before it begins, and after it holds but before anyone has heard. */
export const crashPointNames = [
  "append before commit",
  "append after commit",
  "append before answer",
  "claim before commit",
  "claim after commit",
  "runner started",
  "effect done",
  "settle before commit",
  "settle after commit",
  "recover before commit",
  "recover after commit",
  "count death before commit",
  "count death after commit",
  "cancel before commit",
  "cancel after commit",
  "redeliver before commit",
  "redeliver after commit",
  "resume before commit",
  "resume after commit",
  "replay before commit",
  "replay after commit",
  "pause before commit",
  "pause after commit",
  "reload before commit",
  "reload after commit",
  "reload before swap",
  "reload after swap",
  "beat before commit",
  "beat after commit",
  "pause source before commit",
  "pause source after commit",
  "erase before commit",
  "erase after commit",
  "while stopping",
] as const;

export type CrashPoint = (typeof crashPointNames)[number];

/** How often each place killed an engine. */
export type CrashCounts = Partial<Record<CrashPoint, number>>;

/** Adds `more` to `counts`. */
export function addCrashes(counts: CrashCounts, more: CrashCounts): void {
  for (const [point, count] of Object.entries(more) as [CrashPoint, number][]) {
    counts[point] = (counts[point] ?? 0) + count;
  }
}

/** Reached so seldom that a death there has to be more likely, or the place would hardly be tried. */
export const seldomReached: ReadonlySet<CrashPoint> = new Set(
  crashPointNames.filter((point) =>
    /^(recover|count|cancel|redeliver|resume|replay|pause|reload|beat|while)/.test(point)
  ),
);
