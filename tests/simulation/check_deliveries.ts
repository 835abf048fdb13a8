/**
 * Judges what the log made of each delivery, move by move, against what the workshop saw and what the route asks for:
 * the state machine once more, written down by somebody who has not read it. Nothing that is mended later is forgiven.
 */

import { deathsMax, engineDied, finishedStates } from "../../core/domain/delivery.ts";
import { lostReason } from "../../core/store/recovery.ts";
import type { Evidence, Fact } from "./evidence.ts";
import type { Move, Told } from "./journal.ts";
import type { Ran } from "./work.ts";
import type { Finding } from "./world.ts";

/** Why an attempt ended that its engine did not end itself. */
const reclaimReasons: ReadonlySet<string | null> = new Set([lostReason, "its claim was never confirmed"]);

interface Counts {
  readonly failures: number;
  readonly deaths: number;
}

/** The end of a claim, and all that is known about it. */
interface End {
  readonly move: Move;
  readonly told: Told;
  readonly fact: Fact;
  readonly before: Counts;
  readonly ran: Ran | undefined;
}

/** Finds every move that does not follow from what was seen. */
export function checkDeliveries(evidence: Evidence): Finding[] {
  const told = new Map<string, Told>();
  const counted = new Map<number, Counts>();
  const findings: Finding[] = [];
  for (const entry of evidence.entries) {
    if (entry.kind === "attempt") told.set(`${entry.delivery} ${entry.n}`, entry);
    const fact = entry.kind === "move" ? evidence.facts.get(entry.delivery) : undefined;
    if (entry.kind !== "move" || fact === undefined) continue;
    const report = (name: string, detail: string) => findings.push({ name, subject: fact.id, detail });
    const before = counted.get(entry.delivery) ?? { failures: 0, deaths: 0 };
    counted.set(entry.delivery, { failures: entry.failures, deaths: entry.deaths });

    const wrong = checkMove(entry, { fact, before, evidence });
    if (wrong !== undefined) report(...wrong);
    if (entry.from !== "running") continue;
    const end = told.get(`${entry.delivery} ${entry.n}`);
    if (end === undefined) report("TORN", `left attempt ${entry.n}, and nothing is written of that`);
    else {
      const ran = evidence.ranFor(fact.id, entry.n);
      for (const found of checkEnd({ move: entry, told: end, fact, before, ran }, evidence)) report(...found);
    }
  }
  return findings;
}

type Wrong = readonly [name: string, detail: string];

/** Why it has to be looked at, as far as that is for what it says itself. */
function oddityOf({ queue, body, origin }: Fact): { isVague: boolean; isKeyless: boolean } {
  const isRouted = origin === "event";
  return {
    isVague: isRouted && body.vague,
    isKeyless: isRouted && queue.isOrdered && Array.isArray(body.key),
  };
}

/** What holds of a move whatever came of an attempt. */
function checkMove(
  { from, to, failures, deaths, queue }: Move,
  { fact, before, evidence }: { fact: Fact; before: Counts; evidence: Evidence },
): Wrong | undefined {
  if (from !== null && finishedStates.includes(from)) return ["REVIVED", `was ${from} and became ${to}`];
  const { isVague, isKeyless } = oddityOf(fact);
  if (from === null) {
    const first = isKeyless || isVague && !fact.queue.isOrdered ? "parked" : isVague ? "blocked" : undefined;
    if (first !== undefined && to !== first) return ["UNPARKED", `a person has to look, and it begins ${to}`];
    if (first === undefined && to === "parked") {
      return ["WRONG-PARKED", "nothing is wrong with it, and it begins parked"];
    }
  }
  if (from === "blocked" && to === "ready" && isVague) return ["UNPARKED", "its turn comes before a person has looked"];
  if (from === "blocked" && to === "parked" && !isVague) return ["WRONG-PARKED", "its turn comes, and it is parked"];
  if (from === "parked" && to === "ready") {
    if (!evidence.released.has(fact.id)) return ["INVENTED", "is no longer parked, and nobody asked for it"];
    return failures + deaths === 0 ? undefined : ["MISCOUNTED", `resumed with ${show({ failures, deaths })}`];
  }
  if (from !== "running" && (failures !== before.failures || deaths !== before.deaths)) {
    return ["MISCOUNTED", `${from} with ${show(before)} became ${to} with ${show({ failures, deaths })}`];
  }
  const { onExhausted } = fact.queue.policy;
  if (from !== "running" || to !== "parked") return undefined;
  if (onExhausted === "halt" && queue.pausedFor === null) return ["NOT-HALTED", "parked, and its queue goes on"];
  return onExhausted === "dead" ? ["WRONG-PARKED", "parked, where what is exhausted is dead"] : undefined;
}

/** What an attempt came to: as it was seen, counted as it was seen, and followed by what the route asks for. */
function checkEnd(end: End, evidence: Evidence): Wrong[] {
  const { told, move, ran } = end;
  const wrongs: (Wrong | undefined)[] = [];
  if (reclaimReasons.has(told.reason)) {
    wrongs.push(checkReclaim(end, evidence));
  } else {
    wrongs.push(checkTold(end), checkCounts(end), checkNext(end));
    if (move.to === "succeeded" && ran !== undefined && move.result !== JSON.stringify(ran.run)) {
      wrongs.push(["WRONG-RESULT", `${ran.run} succeeded, and ${move.result} is kept as its result`]);
    }
  }
  if (move.to === "ready") wrongs.push(checkDue(end, evidence));
  return wrongs.filter((wrong) => wrong !== undefined);
}

/** What the engine wrote of an attempt is what the handler did. */
function checkTold({ told, ran }: End): Wrong | undefined {
  const seen = ran?.ended ?? (ran === undefined ? "nothing" : "cut");
  const honest = {
    succeeded: ["succeeded"],
    rejected: ["rejected"],
    failed: told.reason === engineDied ? ["nothing"] : ["failed", "died", "stopped"],
    interrupted: ["nothing", "cut", "stopped"],
  }[told.outcome];
  if (honest.includes(seen)) return undefined;
  return ["MISTOLD", `attempt ${told.n} is told as ${told.outcome}: ${told.reason}; what was seen: ${seen}`];
}

function checkCounts({ told, move, ran, before, fact }: End): Wrong | undefined {
  const counts = told.reason !== engineDied && (told.outcome === "failed" || told.outcome === "rejected");
  // A handler that runs in the engine's own process cannot die without it: there it only threw.
  const died = counts && ran?.ended === "died" && !fact.queue.isInline;
  const expected = { failures: before.failures + (counts ? 1 : 0), deaths: before.deaths + (died ? 1 : 0) };
  return sameCounts(move, expected, `after ${told.outcome}`);
}

/** The death of an engine counts against what it ran itself, once it began to: then it may have been the cause. */
function checkReclaim({ told, move, ran, before, fact }: End, evidence: Evidence): Wrong | undefined {
  if (move.to !== "ready") return ["ILLEGAL", `${told.reason}, and it became ${move.to}`];
  const isCounted = told.outcome === "failed";
  if (isCounted && !fact.queue.isInline) {
    return ["BLAMED", `${told.reason}: counted against what cannot have caused it`];
  }
  const one = isCounted ? 1 : 0;
  const wrong = sameCounts(
    move,
    { failures: before.failures + one, deaths: before.deaths + one },
    `${told.outcome}: ${told.reason}`,
  );
  if (wrong !== undefined || isCounted || ran === undefined || !fact.queue.isInline) return wrong;
  // On a server it counts what it read before: a run that began later is nobody's fault.
  const wasSeen = before.deaths > 0 || !evidence.isShared ||
    (!evidence.hasJumped && evidence.wallAt(ran.startedAt) < told.finishedAt);
  return wasSeen ? ["MISCOUNTED", `${told.reason} while ${ran.run} ran there, and that did not count`] : undefined;
}

function sameCounts({ failures, deaths }: Counts, expected: Counts, when: string): Wrong | undefined {
  if (failures === expected.failures && deaths === expected.deaths) return undefined;
  return ["MISCOUNTED", `${show({ failures, deaths })} instead of ${show(expected)} ${when}`];
}

/** Goes on while it has attempts left, and not a moment longer. */
function checkNext({ told, move, fact: { queue } }: End): Wrong | undefined {
  const { to, failures, deaths } = move;
  const { min, max } = queue.attempts;
  const tried = `${show(move)} of ${min === max ? min : `${min} to ${max}`} attempts, ${told.outcome}`;
  if (told.outcome === "succeeded" || told.outcome === "interrupted") {
    const expected = told.outcome === "succeeded" ? "succeeded" : "ready";
    return to === expected ? undefined : ["ILLEGAL", `${told.outcome}, and became ${to}`];
  }
  if (to === "ready") {
    const isOver = told.outcome === "rejected" || deaths >= deathsMax || failures >= max;
    return isOver ? ["OVERTRIED", `goes on after ${tried}`] : undefined;
  }
  const mayEnd = told.outcome === "rejected" || deaths >= deathsMax || failures >= min;
  if (!mayEnd) return [to === "parked" ? "EARLY-PARKED" : "EARLY-DEAD", `${to} after ${tried}`];
  const expected = queue.policy.onExhausted === "dead" ? "dead" : "parked";
  return to === expected ? undefined : ["UNPARKED", `${to} after ${tried}, not ${expected}`];
}

/** When it is tried again: neither before its schedule nor after it. */
function checkDue({ told, move, fact: { queue }, ran }: End, { isWhole }: Evidence): Wrong | undefined {
  const waitsMs = move.dueAt - told.finishedAt;
  if (told.outcome !== "failed") return sameDelay(waitsMs, { min: 0, max: 0 });
  const { min, max } = queue.delayMs(move.failures);
  if (!reclaimReasons.has(told.reason)) {
    const askedMs = ran?.ended === "failed" ? ran.askedMs : 0;
    return sameDelay(waitsMs, { min: Math.max(min, askedMs), max: Math.max(max, askedMs) });
  }
  // Whoever counted may have known no schedule, or none of its attempts left.
  const hasNone = !isWhole || move.failures >= queue.attempts.min || move.deaths >= deathsMax;
  return sameDelay(waitsMs, { min: hasNone ? 0 : min, max });
}

function sameDelay(ms: number, { min, max }: { min: number; max: number }): Wrong | undefined {
  if (ms >= min && ms <= max + 1) return undefined;
  return [ms < min ? "EARLY" : "LATE", `due ${ms} ms after its attempt, not ${min} to ${max}`];
}

function show({ failures, deaths }: Counts): string {
  return `${failures} failures, ${deaths} deaths`;
}
