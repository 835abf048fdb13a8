/**
 * Where the engine's observations become log lines: one JSON line each for a program that reads them, one short line
 * each for a person at a terminal.
 */

import type { Observation } from "../core/mod.ts";
import { observationLine } from "./observation_line.ts";
import { isTerminal, printLater } from "./print.ts";

/** Takes observations of an engine and notes of the command that runs it. */
export interface Log {
  observe(observation: Observation): void;
  /** A note of the process itself, in the shape of an observation of the engine. */
  note(level: "info" | "warn" | "error", message: string): void;
}

/**
 * Opens the log on stdout.
 *
 * @param options.readable lines for a person; the default is whether stdout is a terminal
 */
export function openLog(options: { readable?: boolean } = {}): Log {
  const format = options.readable ?? isTerminal() ? observationLine : jsonLine;
  const observe = (observation: Observation) => printLater(format(observation));
  return {
    observe,
    note: (level, message) => observe({ kind: "engine", at: Date.now(), level, message }),
  };
}

/** How much an observation wants a person. */
function levelOf(observation: Observation): "info" | "warn" | "error" {
  switch (observation.kind) {
    case "engine":
      return observation.level;
    case "delivery.attempted":
      // Dead and parked are what a person has to look at.
      if (observation.state === "dead" || observation.state === "parked") return "error";
      return observation.outcome === "failed" ? "warn" : "info";
    case "request.refused":
    case "lease.lost":
      return "warn";
    case "event.received":
      if (observation.fault === undefined) return "info";
      return observation.queues.length === 0 ? "warn" : "error";
  }
}

function jsonLine(observation: Observation): string {
  const { at, kind, ...rest } = observation;
  return JSON.stringify({ time: new Date(at).toISOString(), level: levelOf(observation), kind, ...rest });
}
