/**
 * What came of one attempt. The runner reports it; `delivery.ts` decides what follows from it.
 */

export type Outcome =
  /** Done; `result` is the handler's return value as JSON text or the target's status line. */
  | { readonly kind: "succeeded"; readonly result?: string }
  /** Counts as an attempt and may be retried. `died` says that its process ended unasked; being killed at the timeout is no death. */
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfterMs?: number; readonly died?: boolean }
  /** Will never succeed: no retry. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** Stopped from outside through no fault of its own; does not count. */
  | { readonly kind: "interrupted"; readonly reason: string };

/** Most characters that are kept of a reason: it is stored twice and shown in lists. */
export const reasonLengthMax = 4_096;

/** The outcome with a reason that the log and a person can bear, whoever gave it. */
export function withShortReason(outcome: Outcome): Outcome {
  if (outcome.kind === "succeeded") return outcome;
  return { ...outcome, reason: shortReason(outcome.reason) };
}

/** The beginning of a reason that is too long. */
export function shortReason(reason: string): string {
  return reason.length <= reasonLengthMax ? reason : `${reason.slice(0, reasonLengthMax - 1)}…`;
}

/** Everything that a runner has to say about one attempt. */
export interface AttemptReport {
  readonly outcome: Outcome;
  /** What the handler printed, or what the target answered; capped by the runner. */
  readonly output?: string;
  /** The content hash of the handler that ran. */
  readonly codeHash?: string;
}
