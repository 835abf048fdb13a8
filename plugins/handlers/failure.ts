/**
 * Why a handler failed, in words for the attempt: the error, the line of the handler where it arose, and for a denied
 * permission the line to add to routes.yaml.
 */

import { describeError, shortReason } from "../../core/plugin.ts";

/** Where the handler stands. */
export interface HandlerPlace {
  readonly route: string;
  /** URL of the handler's folder, with a slash at its end. */
  readonly folderUrl: string;
}

const causesMax = 5;

/** One line that says what was thrown; never throws itself, whatever the handler threw. */
export function describeFailure(thrown: unknown, place: HandlerPlace): string {
  try {
    const words = explainDenial(thrown, place.route) ?? describeError(thrown);
    const line = ownLine(thrown, place.folderUrl);
    return shortReason(line === undefined || words.includes(line) ? words : `${words} (at ${line})`);
  } catch {
    return "thrown: something that cannot be described";
  }
}

/** `Requires net access to "example.com:443"` anywhere in the chain of causes, as advice. */
function explainDenial(thrown: unknown, route: string): string | undefined {
  let error = thrown;
  for (let depth = 0; depth < causesMax && error instanceof Error; depth++, error = error.cause) {
    const [, kind, wanted] = error.message.match(/Requires (\w+) access(?: to "([^"]+)")?/) ?? [];
    if (kind === undefined) continue;
    const what = wanted === undefined ? `${kind} access` : `${kind} access to ${wanted}`;
    if (kind !== "net" && kind !== "env" && kind !== "read") return `${what} is not granted and cannot be`;
    const example = wanted ?? (kind === "env" ? "NAME" : kind === "net" ? "host:port" : "/path");
    return `${what} is not granted; add under routes.${route}: permissions: { ${kind}: [${JSON.stringify(example)}] }`;
  }
  return undefined;
}

/** The topmost stack line in the handler's own folder, as `file.ts:line:column`. */
function ownLine(thrown: unknown, folderUrl: string): string | undefined {
  if (!(thrown instanceof Error) || typeof thrown.stack !== "string") return undefined;
  for (const line of thrown.stack.split("\n")) {
    const at = line.indexOf(folderUrl);
    if (at < 0) continue;
    const place = line.slice(at + folderUrl.length).match(/^[^()\s]+:\d+:\d+/);
    if (place !== null) return place[0];
  }
  return undefined;
}
