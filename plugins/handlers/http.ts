/**
 * The HTTP target: posts an event and reads the answer as an outcome. A receiver can be slow, endless, lying or gone;
 * an attempt still ends at its deadline, holds at most {@link responseBytesMax} of the answer and sends one request.
 */

import {
  type Attempt,
  type AttemptReport,
  formatDuration,
  type Outcome,
  parseRetryAfter,
  type Runner,
  type RunnerHost,
  type TargetSpec,
} from "../../core/plugin.ts";
import { createRequestMaker, type TargetRequest } from "./http_request.ts";

/** Most bytes of a response that are read; what fits is kept with the attempt. */
export const responseBytesMax = 65_536;

/** Longest location of a redirect that goes into a reason. */
const locationLengthMax = 200;

/** Why a request was given up from our side. */
type Ending = "timed out" | "stopped";

/**
 * Makes the runner of one target.
 *
 * @param spec the target as routes.yaml has it
 * @param host lends the clock
 * @throws TypeError when the URL, a header or a secret of the target cannot be used
 */
export function createTargetRunner(spec: TargetSpec, host: RunnerHost): Runner {
  const url = new URL(spec.url);
  const makeRequest = createRequestMaker(spec);
  const client = Deno.createHttpClient({});

  async function run(attempt: Attempt, stop: AbortSignal): Promise<AttemptReport> {
    if (stop.aborted) return { outcome: outcomeOfEnding("stopped", spec.timeoutMs) };
    const aborter = new AbortController();
    let ending: Ending | undefined;
    const end = (why: Ending) => {
      ending ??= why;
      aborter.abort();
    };
    const onStop = () => end("stopped");
    stop.addEventListener("abort", onStop);
    // One deadline for everything, the reading of the answer included: a drip of one byte a minute never ends by itself.
    const cancelTimer = host.clock.timer(spec.timeoutMs, () => end("timed out"));
    try {
      const response = await post(makeRequest(attempt, host.clock.now()), aborter.signal);
      // The status has been seen, and it decides: an answer that breaks off later changes nothing.
      const outcome = outcomeOfResponse(response, { url, now: host.clock.now() });
      return { outcome, output: await readText(response) };
    } catch (error) {
      if (ending !== undefined) return { outcome: outcomeOfEnding(ending, spec.timeoutMs) };
      return { outcome: { kind: "failed", reason: describeFailure(error, url) } };
    } finally {
      cancelTimer();
      stop.removeEventListener("abort", onStop);
    }
  }

  function post({ headers, body }: TargetRequest, signal: AbortSignal): Promise<Response> {
    // A redirect is never followed: it would carry the signature and the body to whomever the receiver names.
    return fetch(url, { method: "POST", headers, body, redirect: "manual", signal, client });
  }

  return {
    run,
    close() {
      client.close();
      return Promise.resolve();
    },
  };
}

/** Reads what fits and lets go of the connection; an answer that breaks off is kept as far as it came. */
async function readText(response: Response): Promise<string | undefined> {
  if (response.body === null) return undefined;
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = "";
  try {
    for (let left = responseBytesMax; left > 0;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value.subarray(0, left), { stream: true });
      left -= value.length;
    }
    await reader.cancel();
  } catch {
    // Broken off, or out of time: the status stands.
  }
  // The log cannot hold a NUL inside a text.
  return text === "" ? undefined : text.replaceAll("\0", "\ufffd");
}

function outcomeOfResponse(response: Response, at: { url: URL; now: number }): Outcome {
  const { status, headers } = response;
  const answered = `${status} ${response.statusText}`.trim();
  if (status >= 200 && status <= 299) return { kind: "succeeded", result: answered };
  if (status === 410) return { kind: "rejected", reason: `answered ${answered}: the receiver wants no more of these` };
  const location = headers.get("location");
  const reason = status >= 300 && status <= 399 && location !== null
    ? `redirected to ${describeLocation(location, at.url)}, which is not followed (answered ${answered})`
    : `answered ${answered}`;
  return { kind: "failed", reason, retryAfterMs: parseRetryAfter(headers.get("retry-after"), at.now) };
}

/** Without query and credentials, which may be secrets of the receiver. */
function describeLocation(location: string, base: URL): string {
  const to = URL.parse(location, base);
  if (to === null) return "a place that is not a URL";
  return `${to.protocol}//${to.host}${to.pathname}`.slice(0, locationLengthMax);
}

function outcomeOfEnding(ending: Ending, timeoutMs: number): Outcome {
  return ending === "timed out"
    ? { kind: "failed", reason: `timed out after ${formatDuration(timeoutMs)}` }
    : { kind: "interrupted", reason: "the engine is shutting down" };
}

/** What the platform says of a broken request, in words for whoever looks after the target. First match counts. */
const failures: readonly [pattern: RegExp, describe: (address: string, detail: string) => string][] = [
  [/connection refused/i, (address) => `connection refused by ${address}`],
  [/dns error|failed to lookup/i, (address) => `the name of ${address} could not be resolved`],
  [/reset by peer/i, (address) => `${address} reset the connection before it answered`],
  [/closed before message|broken pipe/i, (address) => `${address} closed the connection before it answered`],
  [/head is too large/i, (address) => `${address} answered with headers that are too large`],
  [/\bparsed$/i, (address, detail) => `${address} answered something that is not HTTP: ${detail}`],
  [/certificate|handshake|corrupt message/i, (address, detail) => `no secure connection to ${address}: ${detail}`],
];

function describeFailure(error: unknown, url: URL): string {
  // The platform's message holds the whole URL, which may carry a token; only what stands after it is used.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  const detail = (message.match(/client error \(\w+\): (.*)$/s)?.[1] ?? message).replaceAll(url.href, "the target");
  const address = `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
  const known = failures.find(([pattern]) => pattern.test(detail));
  return known === undefined ? `the request to ${address} failed: ${detail}` : known[1](address, detail);
}
