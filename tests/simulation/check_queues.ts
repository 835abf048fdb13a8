/**
 * Judges what queues let through, over all engines of a log: how much at once and how often, what a pause, a halt or an
 * open breaker holds back, and what `skip_older` makes superfluous.
 */

import { clockSkewMsMax } from "../../core/domain/clock.ts";
import { engineDied } from "../../core/domain/delivery.ts";
import { spacingMs } from "../../core/domain/throttle.ts";
import { lostReason } from "../../core/store/recovery.ts";
import type { Evidence, Fact, Queue } from "./evidence.ts";
import type { Move, Told } from "./journal.ts";
import { operatorPauses } from "./operator.ts";
import { versionScales } from "./work.ts";
import type { Finding } from "./world.ts";

type Report = (name: string, detail: string) => void;

/** Finds whatever began, or waits, against the rules of its queue. */
export function checkQueues(evidence: Evidence): Finding[] {
  const findings: Finding[] = [];
  const reportOn = (queue: Queue): Report => (name, detail) => {
    findings.push({ name, subject: queue.name, detail });
  };
  const judges = new Map([...evidence.queues].map(([id, queue]) => [id, judgeQueue(queue, evidence, reportOn(queue))]));
  for (const entry of evidence.entries) {
    if (entry.kind === "pause") judges.get(entry.queue)?.paused(entry.pausedFor);
    const fact = entry.kind === "pause" ? undefined : evidence.facts.get(entry.delivery);
    if (fact === undefined) continue;
    const judge = judges.get(fact.queue.id)!;
    if (entry.kind === "attempt") judge.told(entry);
    if (entry.kind === "move" && entry.to === "running") judge.claimed(entry, fact);
    if (entry.kind === "move") judge.moved(entry, fact);
  }
  return findings;
}

interface QueueJudge {
  paused(why: string): void;
  told(attempt: Told): void;
  claimed(move: Move, fact: Fact): void;
  moved(move: Move, fact: Fact): void;
}

function judgeQueue(queue: Queue, evidence: Evidence, report: Report): QueueJudge {
  const breaker = judgeBreaker(queue, evidence, report);
  const rate = judgeRate(queue, evidence, report);
  const versions = judgeVersions(queue, evidence, report);
  return {
    paused(why) {
      if (why !== operatorPauses && queue.policy.onExhausted !== "halt") {
        report("WRONG-HALT", `is paused, and nothing here asks for that: ${why}`);
      }
    },
    told: breaker.told,
    claimed(move, { id }) {
      const { running, pausedFor } = move.queue;
      const { concurrencyMax } = queue;
      if (running > concurrencyMax) report("OVERRUN", `${running} at once over all engines, ${concurrencyMax} allowed`);
      if (pausedFor !== null) report("PAUSED-RUN", `${id} was claimed: ${pausedFor}`);
      if (move.dueAt > move.claimedAt!) {
        report("EARLY", `${id} was claimed ${move.dueAt - move.claimedAt!} ms too early`);
      }
      breaker.claimed(move, id);
      rate(move, id);
    },
    moved: versions,
  };
}

/** After so many failures in a row it is open; then for so long nothing begins, and after that one at a time. */
function judgeBreaker(
  { policy: { breaker } }: Queue,
  { hasJumped }: Evidence,
  report: Report,
): { told(attempt: Told): void; claimed(move: Move, id: string): void } {
  let inARow = 0;
  let openedAt = -Infinity;
  return {
    told({ outcome, reason, finishedAt }) {
      if (breaker === undefined) return;
      if (outcome === "succeeded") inARow = 0;
      // What died with its engine says nothing about the queue.
      if (outcome !== "failed" || reason === lostReason || reason === engineDied) return;
      if (++inARow === breaker.failures) openedAt = finishedAt;
    },
    claimed({ claimedAt, queue: { failures, openUntil, running } }, id) {
      if (breaker === undefined) return;
      const seen = `${inARow} failures in a row, ${failures} counted, ${breaker.failures} allowed`;
      const isOpen = failures >= breaker.failures;
      if (isOpen !== (inARow >= breaker.failures)) {
        return report(isOpen ? "WRONG-OPEN" : "NOT-OPENED", `${id} was claimed: ${seen}`);
      }
      if (!isOpen) return;
      if (running > 1) report("OPEN-RUN", `${id} was claimed beside ${running - 1} others: ${seen}`);
      const heldMs = (openUntil ?? 0) - claimedAt!;
      if (heldMs > 0 && heldMs <= breaker.openMsMax + clockSkewMsMax) {
        report("OPEN-RUN", `${id} was claimed ${heldMs} ms before its breaker's time was over`);
      }
      const opensAt = openedAt + Math.min(breaker.openMs, breaker.openMsMax);
      if (failures === breaker.failures && !hasJumped && claimedAt! < opensAt) {
        report("OPEN-RUN", `${id} was claimed ${opensAt - claimedAt!} ms before its breaker may let anything through`);
      }
    },
  };
}

/** A full bucket, and whatever has flowed in since: of any row of claims, no more than that. */
function judgeRate({ policy: { rateLimit } }: Queue, { hasJumped }: Evidence, report: Report) {
  let claims = 0;
  let least = Infinity;
  return ({ claimedAt }: Move, id: string): void => {
    if (rateLimit === undefined || hasJumped) return;
    const flowed = claimedAt! / spacingMs(rateLimit);
    least = Math.min(least, claims - flowed);
    claims++;
    const over = claims - flowed - least - rateLimit.count;
    // A thousandth of a start for what rounding does to such large numbers.
    if (over > 0.001) report("OVERRATE", `${id} was claimed, ${over.toFixed(3)} more than ${rateLimit.count} a period`);
  };
}

/** What is older than something that finished in its lane does not begin, unless somebody asked for it by name. */
function judgeVersions({ policy: { skipsOlder } }: Queue, { erases }: Evidence, report: Report) {
  const newest = new Map<string, number>();
  return ({ from, to }: Move, { id, lane, origin, version, body }: Fact): void => {
    // What was erased has taken its mark along.
    if (!skipsOlder || erases || lane === null || origin !== "event") return;
    const scale = versionScales.findIndex((versionOf) => versionOf(body.version) === version);
    if (version === null || scale === -1) return report("WRONG-VERSION", `${id} has ${version} for ${body.version}`);
    const place = `${lane} by scale ${scale}`;
    const best = newest.get(place) ?? -Infinity;
    if (from === "running" && (to === "succeeded" || to === "dead")) newest.set(place, Math.max(best, version));
    if (from === "blocked" && to === "ready" && version < best) {
      report("STALE", `${id} of version ${version} begins in ${lane}, where version ${best} has finished`);
    }
  };
}
