/**
 * What is said of a reload, whoever asked for it: what changed, what a person should know about it, or why nothing did.
 * The log and the metrics hear the same, because both hear it from the engine.
 */

import type { Clock } from "../domain/clock.ts";
import type { Address, Config } from "../domain/config.ts";
import type { Observation, Observer } from "./observer.ts";
import type { ReloadEffect } from "./reload_effect.ts";

/** One thing to say. */
export type ReloadMessage = Pick<Observation & { kind: "engine" }, "level" | "message">;

/** The ports that are open. */
export interface Ports {
  readonly ingest: Address;
  readonly admin: Address;
}

/** What came of a reload; `Issue` is a mistake in the configuration. */
type Result<Issue> = ({ readonly ok: true } & ReloadEffect) | { readonly ok: false; readonly issues: readonly Issue[] };

/** Options of {@link reportReloads}. */
export interface ReloadReportOptions<Issue> {
  readonly config: () => Config;
  /** Undefined while there are none. */
  readonly ports: () => Ports | undefined;
  readonly formatIssue: (issue: Issue) => string;
  readonly clock: Clock;
  readonly observe: Observer;
}

/** The same reload, which says what came of it. */
export function reportReloads<Issue>(
  reload: () => Promise<Result<Issue>>,
  options: ReloadReportOptions<Issue>,
): () => Promise<Result<Issue>> {
  const { config, ports, formatIssue, clock, observe } = options;
  const say = (message: ReloadMessage) => observe({ kind: "engine", at: clock.now(), ...message });
  return async () => {
    const before = config();
    try {
      const result = await reload();
      if (!result.ok) say(describeRefusal(result.issues.map(formatIssue)));
      else for (const each of describeReload(before, config(), { ...result, ports: ports() })) say(each);
      return result;
    } catch (error) {
      say(describeRefusal([(error as Error).message]));
      throw error;
    }
  };
}

/** What a reload did, and what follows from it. */
export function describeReload(
  before: Config,
  after: Config,
  { orphaned, reorderedLanes, ports }: ReloadEffect & { ports?: Ports },
): ReloadMessage[] {
  const messages: ReloadMessage[] = [{ level: "info", message: `reloaded: ${describeChange(before, after)}` }];
  const warn = (message: string) => messages.push({ level: "warn", message });
  if (orphaned > 0) warn(`orphaned: ${orphaned} open, whose route or target is gone; they wait until it is back`);
  if (reorderedLanes > 0) {
    const lanes = count(reorderedLanes, "lane");
    warn(`another order_by: ${lanes} of the old one still to finish; order across the change is not promised`);
  }
  const { listen, admin } = after.server;
  if (ports !== undefined && !(isOpenAt(listen, ports.ingest) && isOpenAt(admin, ports.admin))) {
    warn("server.listen and server.admin are read at the start only: restart the engine to listen there");
  }
  return messages;
}

/** That nothing has changed, and why. */
function describeRefusal([first, ...others]: readonly string[]): ReloadMessage {
  const more = others.length === 0 ? "" : `; and ${count(others.length, "more issue")}`;
  return { level: "error", message: `not reloaded, the configuration before stays: ${first}${more}` };
}

/** What a reload changed, as far as names tell. */
function describeChange(before: Config, after: Config): string {
  const values = otherValues(before, after);
  if (before.hash === after.hash) {
    return ["routes.yaml says the same as before", ...values].join(", with ");
  }
  const parts = [
    ...changes("source", [...before.sources.keys()], [...after.sources.keys()]),
    ...changes("route", before.routes.map((route) => route.name), after.routes.map((route) => route.name)),
    ...values,
  ];
  const standing = `${count(after.sources.size, "source")}, ${count(after.routes.length, "route")}`;
  return parts.length === 0 ? standing : `${standing} (${parts.join(", ")})`;
}

/** A secret that was rotated changes no word of routes.yaml. */
function otherValues({ variables: before }: Config, { variables: after }: Config): string[] {
  const names = [...after].filter(([name, digest]) => before.has(name) && before.get(name) !== digest);
  return names.length === 0 ? [] : [`another value of ${names.map(([name]) => name).join(" and ")}`];
}

function changes(what: string, before: readonly string[], after: readonly string[]): string[] {
  const added = after.filter((name) => !before.includes(name)).map((name) => `${what} ${name} added`);
  const removed = before.filter((name) => !after.includes(name)).map((name) => `${what} ${name} removed`);
  return [...added, ...removed];
}

/** Port 0 asks for any, so whichever is open will do. */
function isOpenAt(wanted: Address, open: Address): boolean {
  return wanted.hostname === open.hostname && (wanted.port === 0 || wanted.port === open.port);
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
